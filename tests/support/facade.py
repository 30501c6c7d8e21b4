"""The asyncio SDK behind the blocking one's face, so that one test serves both drivers.

A loop runs on a thread; whatever can be awaited is awaited there, and what comes back is wrapped
again when it belongs to the SDK.
"""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

_DONE = object()


class Loop:
    """An event loop on a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def do(self, function: Callable[[], Any]) -> Any:
        """Call on the loop, and await what can be awaited."""

        async def inside() -> Any:
            found = function()
            return await found if inspect.isawaitable(found) else found

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(30)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Facade:
    """One object of the asyncio SDK."""

    def __init__(self, loop: Loop, inner: Any) -> None:
        self._loop = loop
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._wrap(self._loop.do(lambda: found(*args, **kwargs)))

        return call

    def _wrap(self, found: Any) -> Any:
        if inspect.isasyncgen(found):
            return self._iterate(found)
        if type(found).__module__.startswith("tongban.sdk.aio"):
            return Facade(self._loop, found)
        return found

    def _iterate(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(items, _DONE)

        while (item := self._loop.do(following)) is not _DONE:
            yield item

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        async def following() -> Any:
            return await anext(self._inner, _DONE)

        item = self._loop.do(following)
        if item is _DONE:
            raise StopIteration
        return item

    def __enter__(self) -> "Facade":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
