"""The server's side of a framed stream of requests: each runs in a task and is answered by its id.

Open requests and unread answers are bounded; a request beyond the window is refused by its id. A
cancelled request gets no answer. When the stream ends, what is still running is cancelled.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from tongban.node.core.errors import Overloaded
from tongban.node.runtime.faults import FaultSink
from tongban.node.runtime.outbox import Outbox

UNREAD_MAX = 8_192
"""Answers that may wait for a slow reader; no further requests are read then."""


class Places:
    """Requests that all streams of one service have open together."""

    def __init__(self, service: str, count_max: int) -> None:
        self._service = service
        self._count_max = count_max
        self.count = 0

    def check(self) -> None:
        """Return if there is room for one more.

        Raises:
            Overloaded: there is not.
        """
        if self.count >= self._count_max:
            raise Overloaded(self._service, self._count_max)


class StreamMessage(Protocol):
    """A message with the id of a request."""

    id: int


M = TypeVar("M", bound=StreamMessage)

Work = Callable[[], Coroutine[Any, Any, None]]
"""Serves one request."""


class StreamSession(Generic[M]):
    """Runs the requests of one stream. ``serve`` answers one of them by putting messages into the
    outbox, and raises nothing but faults."""

    def __init__(self, window: int, faults: FaultSink, places: Places | None = None) -> None:
        """``places`` are shared with other streams; starting a request takes one."""
        self._window = window
        self._faults = faults
        self._places = places
        self._running: dict[int, asyncio.Task[None]] = {}
        self._finished = False
        self.outbox: Outbox[M] = Outbox()

    @property
    def is_full(self) -> bool:
        return len(self._running) >= self._window

    def is_open(self, request_id: int) -> bool:
        """Whether a request of this id is being served."""
        return request_id in self._running

    def start(self, request_id: int, work: Work) -> None:
        """Run the work of a request; the id must not be open."""
        assert request_id not in self._running, "checked by the caller"
        if self._places is not None:
            self._places.count += 1
        task = asyncio.get_running_loop().create_task(self._serve(request_id, work))
        self._running[request_id] = task

    def cancel(self, request_id: int) -> None:
        """Stop serving a request; an id that is not open is ignored."""
        task = self._running.get(request_id)
        if task is not None:
            # One that has not begun to run will never come into _serve. All could be ended by such
            # a callback, but that is one more turn of the event loop for each.
            task.add_done_callback(partial(self._ended, request_id))
            task.cancel()

    def finish(self) -> None:
        """No request will come; the outbox closes when the running ones are answered."""
        self._finished = True
        if not self._running:
            self.outbox.close()

    def abort(self) -> None:
        """The stream is gone: nobody will read an answer."""
        self._finished = True
        for request_id in list(self._running):
            self.cancel(request_id)
        self.outbox.close()

    async def _serve(self, request_id: int, work: Work) -> None:
        try:
            await work()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # carried to the supervisor
            self._faults.fault(error)
        finally:
            self._ended(request_id, asyncio.current_task())

    def _ended(self, request_id: int, task: asyncio.Task[None] | None) -> None:
        if self._running.get(request_id) is not task:
            return
        del self._running[request_id]
        if self._places is not None:
            self._places.count -= 1
        if self._finished and not self._running:
            self.outbox.close()
