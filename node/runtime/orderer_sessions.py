"""One connected stream to an orderer, of our kind or of Fabric's, shared by many callers."""

import asyncio
from collections import deque
from typing import NamedTuple, Protocol

from tongban.node.runtime.dialing import ByteStream, write
from tongban.node.runtime.gateway.submit import OrdererUnreachable
from tongban.node.runtime.outbox import Outbox
from tongban.node.runtime.pace import Pace
from tongban.protos.ab_pb2 import BroadcastResponse
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import Envelope, Status
from tongban.protos.stream_pb2 import OrdererFrame, OrdererMessage

FOREIGN_WINDOW = 128
"""Envelopes without answer on a Broadcast stream; all of them are sent again after a refusal."""


class OrdererSession(Protocol):
    """A way for envelopes while it lasts."""

    async def broadcast(self, envelope: Envelope) -> BroadcastResponse:
        """Raises:
        OrdererUnreachable: the session was lost before the answer.
        """
        ...

    async def write(self, call: ByteStream) -> None:
        """Send what callers bring, until the call has ended."""
        ...

    async def read(self, call: ByteStream) -> None:
        """Hand out answers until the orderer ends the stream."""
        ...

    def lose(self, reason: str) -> None:
        """Every caller is told that there will be no answer."""
        ...


class FramedSession:
    """Our stream: answers by id, in any order."""

    def __init__(self, window: int, pace: Pace | None = None) -> None:
        self._window = window
        self._open: dict[int, asyncio.Future[BroadcastResponse]] = {}
        self._outbox: Outbox[OrdererMessage] = Outbox(pace)
        self._next_id = 1
        self._room = asyncio.Event()
        self._lost: str | None = None

    async def broadcast(self, envelope: Envelope) -> BroadcastResponse:
        while len(self._open) >= self._window and self._lost is None:
            self._room.clear()
            await self._room.wait()
        if self._lost is not None:
            raise OrdererUnreachable(self._lost)
        request_id, self._next_id = self._next_id, self._next_id + 1
        answer: asyncio.Future[BroadcastResponse] = asyncio.get_running_loop().create_future()
        self._open[request_id] = answer
        self._outbox.put(OrdererMessage(id=request_id, broadcast=envelope))
        return await answer

    async def write(self, call: ByteStream) -> None:
        while messages := await self._outbox.take():
            if not await write(call, OrdererFrame(messages=messages).SerializeToString()):
                return

    async def read(self, call: ByteStream) -> None:
        while isinstance(data := await call.read(), bytes):
            for message in parse(OrdererFrame, data).messages:
                self._take(message)
            self._room.set()

    def lose(self, reason: str) -> None:
        self._lost = reason
        self._room.set()
        for answer in self._open.values():
            _fail(answer, reason)
        self._open.clear()

    def _take(self, message: OrdererMessage) -> None:
        # A caller that gave up is still counted until here, since the orderer counts it too.
        answer = self._open.pop(message.id, None)
        if answer is None:
            return
        if message.WhichOneof("body") == "ordered":
            _resolve(answer, message.ordered)
        else:
            _fail(answer, message.failed.message or "the orderer gave an answer of unknown kind")


class _Waiting(NamedTuple):
    envelope: bytes
    answer: asyncio.Future[BroadcastResponse]


class ForeignSession:
    """Fabric's stream, opened anew after each refusal."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._sent: deque[_Waiting] = deque()
        self._changed = asyncio.Event()
        self._lost: str | None = None

    async def broadcast(self, envelope: Envelope) -> BroadcastResponse:
        if self._lost is not None:
            raise OrdererUnreachable(self._lost)
        answer: asyncio.Future[BroadcastResponse] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(envelope.SerializeToString(), answer))
        self._changed.set()
        return await answer

    async def write(self, call: ByteStream) -> None:
        self._waiting.extendleft(reversed(self._sent))
        self._sent.clear()
        while True:
            while not self._waiting or len(self._sent) >= FOREIGN_WINDOW:
                self._changed.clear()
                await self._changed.wait()
            waiting = self._waiting.popleft()
            if waiting.answer.done():
                continue  # its caller has given up
            self._sent.append(waiting)
            if not await write(call, waiting.envelope):
                return

    async def read(self, call: ByteStream) -> None:
        """Returns after a refusal, when the stream is over and another one goes on."""
        while isinstance(data := await call.read(), bytes):
            response = parse(BroadcastResponse, data)
            if self._sent:
                _resolve(self._sent.popleft().answer, response)
                self._changed.set()
            if response.status != Status.SUCCESS:
                return
        raise OrdererUnreachable("the orderer ended the stream")

    def lose(self, reason: str) -> None:
        self._lost = reason
        for waiting in (*self._sent, *self._waiting):
            _fail(waiting.answer, reason)
        self._sent.clear()
        self._waiting.clear()


def _resolve(answer: asyncio.Future[BroadcastResponse], response: BroadcastResponse) -> None:
    if not answer.done():
        answer.set_result(response)


def _fail(answer: asyncio.Future[BroadcastResponse], reason: str) -> None:
    if not answer.done():
        answer.set_exception(OrdererUnreachable(reason))
