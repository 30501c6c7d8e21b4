"""An orderer that delivers what another one has ordered, and lies about it when told to."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from tongban.node.services.guard import Handler
from tongban.protos.ab_pb2 import DeliverResponse

DELIVER = "/orderer.AtomicBroadcast/Deliver"

Connect = Callable[[], grpc.aio.Channel]

Lie = Callable[[bytes], Iterable[bytes]]
"""What is sent instead of a serialized response of the honest orderer; nothing is silence."""


def truth(response: bytes) -> Iterable[bytes]:
    yield response


class LyingOrderer:
    """Serves on a thread of its own. Use it as a context manager."""

    def __init__(self, certificate: Path, key: Path, honest: Connect) -> None:
        """``honest`` connects to the orderer whose blocks are delivered."""
        self._pair = (key.read_bytes(), certificate.read_bytes())
        self._honest = honest
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._calls: set[asyncio.Task[None]] = set()
        self.lie: Lie = truth
        self.port = 0
        self.told = 0
        """How often a lie was told since the last :meth:`tell`."""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def tell(self, lie: Lie) -> None:
        """From now on; who is connected is cut off and has to ask again."""
        self.lie = lie
        self.told = 0
        self._loop.call_soon_threadsafe(self._cut_off)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        self._server = grpc.aio.server()
        handler: Handler = grpc.stream_stream_rpc_method_handler(self._deliver)
        service, method = DELIVER[1:].split("/")
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {method: handler}),)
        )
        credentials = grpc.ssl_server_credentials([self._pair])
        self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        await self._server.start()

    async def _stop(self) -> None:
        self._cut_off()
        await self._server.stop(None)

    def _cut_off(self) -> None:
        for task in self._calls:
            task.cancel()

    async def _deliver(
        self, requests: AsyncIterator[bytes], context: "grpc.aio.ServicerContext[bytes, bytes]"
    ) -> None:
        relay = asyncio.create_task(self._relay(requests, context))
        self._calls.add(relay)
        relay.add_done_callback(self._calls.discard)
        await asyncio.gather(relay, return_exceptions=True)

    async def _relay(
        self, requests: AsyncIterator[bytes], context: "grpc.aio.ServicerContext[bytes, bytes]"
    ) -> None:
        request = await anext(requests)
        async with self._honest() as channel:
            call = channel.stream_stream(DELIVER, bytes, bytes)()
            await call.write(request)
            async for response in call:
                assert isinstance(response, bytes)
                is_block = DeliverResponse.FromString(response).HasField("block")
                for said in self.lie(response) if is_block else [response]:
                    await context.write(said)
                self.told += self.lie is not truth
