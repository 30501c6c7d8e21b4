"""``tongban.gateway.Gateway/Stream``: many transactions of one application on one stream.

The same signed bytes as in the unary calls, and the same gateway behind them. ``submit`` has two
answers: when an orderer has accepted the envelope, and when its block is on disk. An answer that
was lost with a stream is asked for again with ``commit_status``.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import grpc

from tongban.node.core.errors import Overloaded
from tongban.node.core.gateway.errors import Code, GatewayError
from tongban.node.runtime.faults import FaultSink
from tongban.node.runtime.gateway.gateway import Gateway
from tongban.node.runtime.stream_session import UNREAD_MAX, Places, StreamSession
from tongban.node.services.framing import check_hello, parse_frame, serve_stream
from tongban.node.services.guard import Context, Handler
from tongban.node.services.status import to_status
from tongban.protos.errors import TongbanError
from tongban.protos.gateway_pb2 import SubmitResponse
from tongban.protos.stream_pb2 import GatewayFrame, GatewayMessage, Hello
from tongban.protos.streams import PROTOCOL_VERSION

SERVICE = "tongban.gateway.Gateway"


WINDOW = 2_048
"""Requests that one application may have open, unless the configuration says otherwise."""

OPEN_MAX = 8_192
"""Requests that all applications may have open together, unless the configuration says otherwise:
some dozens of megabytes, and more than two cores serve in several seconds."""

Work = Callable[[GatewayMessage, float | None], Coroutine[Any, Any, None]]


class GatewayStreamService:
    """Serves the streams of all applications."""

    def __init__(
        self,
        gateway: Gateway,
        draining: asyncio.Event,
        faults: FaultSink,
        window: int = WINDOW,
        open_max: int = OPEN_MAX,
    ) -> None:
        self._gateway = gateway
        self._draining = draining
        self._faults = faults
        self._window = window
        self._places = Places(f"/{SERVICE}", open_max)

    def register(self, server: grpc.aio.Server) -> None:
        """Serve on this server, with frames as bytes."""
        handler: Handler = grpc.stream_stream_rpc_method_handler(self.stream)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"Stream": handler}),)
        )

    async def stream(self, requests: object, context: Context) -> None:
        """One stream, until the client ends it or the node drains."""
        hello = Hello(version=PROTOCOL_VERSION, window=self._window, software="tongban")
        await context.write(GatewayFrame(hello=hello).SerializeToString())
        session = GatewaySession(self._gateway, self._window, self._faults, self._places)
        try:
            await serve_stream(_read(context, session), _write(context, session), self._draining)
        finally:
            session.requests.abort()


class GatewaySession:
    """One application's stream, free of transport: serialized frames in, messages out."""

    def __init__(self, gateway: Gateway, window: int, faults: FaultSink, places: Places) -> None:
        self._gateway = gateway
        self._greeted = False
        self._places = places
        self.requests: StreamSession[GatewayMessage] = StreamSession(window, faults, places)
        self._kinds: dict[str, Work] = {
            "propose": self._propose,
            "submit": self._submit,
            "evaluate": self._evaluate,
            "commit_status": self._commit_status,
        }

    def take_frame(self, data: bytes) -> None:
        """Start serving every request of a serialized frame.

        Raises:
            MalformedMessage: it is not a frame, or the first one says no Hello we can speak to.
            LimitExceeded: it holds too much.
        """
        frame = parse_frame(GatewayFrame, data)
        if not self._greeted:
            check_hello(frame)
            self._greeted = True
        for message in frame.messages:
            self._take(message)

    def _take(self, message: GatewayMessage) -> None:
        kind = message.WhichOneof("body") or ""
        if kind == "cancel":
            self.requests.cancel(message.id)
            return
        work = self._kinds.get(kind)
        if work is None:
            self._fail(message.id, GatewayError(Code.UNIMPLEMENTED, "unknown kind of request"))
        elif self.requests.is_open(message.id):
            text = f"a request with id {message.id} is open already"
            self._fail(message.id, GatewayError(Code.INVALID_ARGUMENT, text))
        elif self.requests.is_full:
            text = "more requests are open on this stream than its Hello allows"
            self._fail(message.id, GatewayError(Code.RESOURCE_EXHAUSTED, text))
        else:
            self._start(work, message)

    def _start(self, work: Work, message: GatewayMessage) -> None:
        try:
            self._places.check()
        except Overloaded as error:
            self._fail(message.id, error)
            return
        deadline = message.deadline_ms / 1000 if message.deadline_ms else None
        self.requests.start(message.id, partial(self._serve, work, message, deadline))

    async def _serve(self, work: Work, message: GatewayMessage, deadline: float | None) -> None:
        try:
            await work(message, deadline)
        except TongbanError as error:
            self._fail(message.id, error)

    async def _propose(self, message: GatewayMessage, deadline: float | None) -> None:
        prepared = await self._gateway.endorse(message.propose, deadline)
        self._put(GatewayMessage(id=message.id, prepared=prepared))

    async def _evaluate(self, message: GatewayMessage, deadline: float | None) -> None:
        evaluated = await self._gateway.evaluate(message.evaluate, deadline)
        self._put(GatewayMessage(id=message.id, evaluated=evaluated))

    async def _commit_status(self, message: GatewayMessage, deadline: float | None) -> None:
        committed = await self._gateway.commit_status(message.commit_status, deadline)
        self._put(GatewayMessage(id=message.id, committed=committed))

    async def _submit(self, message: GatewayMessage, deadline: float | None) -> None:
        def accept(accepted: SubmitResponse) -> None:
            self._put(GatewayMessage(id=message.id, accepted=accepted))

        committed = await self._gateway.submit_and_wait(message.submit, accept, deadline)
        self._put(GatewayMessage(id=message.id, committed=committed))

    def _fail(self, request_id: int, error: TongbanError) -> None:
        self._put(GatewayMessage(id=request_id, failed=to_status(error).to_failed()))

    def _put(self, message: GatewayMessage) -> None:
        self.requests.outbox.put(message)


async def _read(context: Context, session: GatewaySession) -> None:
    try:
        while (data := await context.read()) is not grpc.aio.EOF:
            session.take_frame(data)
            await session.requests.outbox.wait_below(UNREAD_MAX)
    finally:
        session.requests.finish()


async def _write(context: Context, session: GatewaySession) -> None:
    while messages := await session.requests.outbox.take():
        await context.write(GatewayFrame(messages=messages).SerializeToString())
