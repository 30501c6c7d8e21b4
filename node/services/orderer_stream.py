"""``tongban.orderer.Orderer/Stream``: many envelopes in a frame, answers by id as they are ordered.

A refused envelope ends nothing: its answer says why, and the others go on. A client may have as
many open requests as our Hello says; one more is refused by its id.
"""

import asyncio
from functools import partial

import grpc

from tongban.node.runtime.broadcaster import Broadcaster
from tongban.node.runtime.outbox import Outbox
from tongban.node.services.framing import check_hello, parse_frame, serve_stream
from tongban.node.services.guard import Context, Handler
from tongban.protos.ab_pb2 import BroadcastResponse
from tongban.protos.stream_pb2 import Failed, Hello, OrdererFrame, OrdererMessage
from tongban.protos.streams import PROTOCOL_VERSION

WINDOW = 4_096
"""Open requests of one stream. A gateway at its own limits has fewer."""

SLICE = 32
"""Envelopes checked between two looks at the rest of the node; about 2 ms."""


class OrdererStreamService:
    """Serves the stream; transport-free but for its edges."""

    def __init__(
        self, broadcaster: Broadcaster, draining: asyncio.Event, software: str = "tongban"
    ) -> None:
        self._broadcaster = broadcaster
        self._draining = draining
        self._software = software

    def register(self, server: grpc.aio.Server) -> None:
        """Serve on this server, with frames as bytes."""
        handler: Handler = grpc.stream_stream_rpc_method_handler(self.stream)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("tongban.orderer.Orderer", {"Stream": handler}),)
        )

    async def stream(self, requests: object, context: Context) -> None:
        """One stream, until the client ends it or the node drains."""
        hello = Hello(version=PROTOCOL_VERSION, window=WINDOW, software=self._software)
        await context.write(OrdererFrame(hello=hello).SerializeToString())
        session = OrdererSession(self._broadcaster)
        await serve_stream(_read(context, session), _write(context, session.outbox), self._draining)


class OrdererSession:
    """The open requests of one stream."""

    def __init__(self, broadcaster: Broadcaster) -> None:
        self._broadcaster = broadcaster
        self.outbox: Outbox[OrdererMessage] = Outbox()
        self._open = 0
        self._finished = False
        self._greeted = False

    async def take_frame(self, data: bytes) -> None:
        """Every message of a serialized frame is answered sooner or later.

        Raises:
            MalformedMessage: it is not a frame, or the first one says no Hello we can speak to.
            LimitExceeded: it holds too much.
        """
        frame = parse_frame(OrdererFrame, data)
        if not self._greeted:
            check_hello(frame)
            self._greeted = True
        for index, message in enumerate(frame.messages):
            if index and index % SLICE == 0:
                await asyncio.sleep(0)
            self._take(message)

    def finish(self) -> None:
        """No request will come; the outbox closes when the open ones are answered."""
        self._finished = True
        if self._open == 0:
            self.outbox.close()

    def _take(self, message: OrdererMessage) -> None:
        if message.WhichOneof("body") != "broadcast":
            self._refuse(message.id, grpc.StatusCode.UNIMPLEMENTED, "unknown kind of request")
        elif self._open >= WINDOW:
            text = f"more than {WINDOW} requests are open on this stream"
            self._refuse(message.id, grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        else:
            self._open += 1
            self._broadcaster.broadcast(message.broadcast, partial(self._answer, message.id))

    def _answer(self, request_id: int, response: BroadcastResponse) -> None:
        self._open -= 1
        self.outbox.put(OrdererMessage(id=request_id, ordered=response))
        if self._finished and self._open == 0:
            self.outbox.close()

    def _refuse(self, request_id: int, code: grpc.StatusCode, text: str) -> None:
        failed = Failed(code=code.value[0], message=text)
        self.outbox.put(OrdererMessage(id=request_id, failed=failed))


async def _read(context: Context, session: OrdererSession) -> None:
    try:
        while (data := await context.read()) is not grpc.aio.EOF:
            await session.take_frame(data)
            await session.outbox.wait_below(WINDOW)
    finally:
        session.finish()


async def _write(context: Context, outbox: Outbox[OrdererMessage]) -> None:
    while messages := await outbox.take():
        await context.write(OrdererFrame(messages=messages).SerializeToString())
