"""Streams of events and blocks, on asyncio."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import grpc

from tongban.protos.common_pb2 import Block
from tongban.protos.events_pb2 import BlockAndPrivateData, FilteredBlock

from ..channel import failure_of
from ..core.backoff import Reconnection
from ..core.commands import Failure
from ..core.events import (
    BlockKind,
    BlocksSource,
    ChaincodeEvent,
    ChaincodeEventsSource,
    SignableBlocks,
    SignableChaincodeEvents,
    Source,
)
from ..core.signable import Party
from ..core.unary import CHAINCODE_EVENTS
from ..errors import EventsError, StatusCode

T = TypeVar("T")
B = TypeVar("B", Block, FilteredBlock, BlockAndPrivateData)

_Call = grpc.aio.UnaryStreamCall[bytes, bytes] | grpc.aio.StreamStreamCall[bytes, bytes]


class EventStream(Generic[T]):
    """What the peer has to tell, in order, for ever. A broken connection is opened again at the
    place where it broke; nothing is repeated or left out.

    Read it with ``async for``; it is read no faster than it is consumed. Close it, or use it as a
    context manager.
    """

    def __init__(
        self, channel: grpc.aio.Channel, source: Source[T], reconnect_for_s: float
    ) -> None:
        self._channel = channel
        self._source = source
        self._reconnection = Reconnection(reconnect_for_s if source.can_resume else 0)
        self._call: _Call | None = None
        self._ready: deque[T] = deque()
        self._is_closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """
        Raises:
            EventsError: the peer refused, or could not be reached again in time.
        """
        while not self._ready:
            if self._is_closed:
                raise StopAsyncIteration
            try:
                await self._receive()
            except grpc.aio.AioRpcError as error:
                await self._after(failure_of(error))
            except EventsError as error:
                await self._after(Failure(error.code, error.message, error.details))
            except asyncio.CancelledError:
                if not self._is_closed or _is_being_cancelled():
                    raise
        return self._ready.popleft()

    async def close(self) -> None:
        """End the stream. Whoever waits for the next item is told that there is none."""
        self._is_closed = True
        self._ready.clear()
        if self._call is not None:
            self._call.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _receive(self) -> None:
        if self._call is None:
            self._call = await self._open()
        data = await self._call.read()
        if isinstance(data, bytes):
            self._ready.extend(self._source.take(data))
            self._reconnection.received()
        else:
            await self._after(Failure(StatusCode.UNAVAILABLE, "the peer ended the stream"))

    async def _open(self) -> _Call:
        request = self._source.request(time.time_ns())
        self._reconnection.opened(time.monotonic())
        if self._source.method == CHAINCODE_EVENTS:
            ask: grpc.aio.UnaryStreamMultiCallable[bytes, bytes]
            ask = self._channel.unary_stream(self._source.method, None, None)
            return ask(request)
        converse: grpc.aio.StreamStreamMultiCallable[bytes, bytes]
        converse = self._channel.stream_stream(self._source.method, None, None)
        call = converse()
        await call.write(request)
        return call

    async def _after(self, failure: Failure) -> None:
        if self._call is not None:
            self._call.cancel()
        self._call = None
        if self._is_closed:
            return
        delay_s = self._reconnection.delay_s(failure, time.monotonic())
        if delay_s is None:
            raise EventsError(failure.code, failure.message, failure.details)
        await asyncio.sleep(delay_s)


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@dataclass(frozen=True, slots=True)
class Listener:
    """Who asks for events, through what, and how long a broken connection is tried again."""

    party: Party
    channel: grpc.aio.Channel
    reconnect_for_s: float


class ChaincodeEventsRequest(SignableChaincodeEvents):
    """A request for the events of one chaincode."""

    _listener: Listener

    def of(self, listener: Listener) -> Self:
        """The same, to be carried by this listener."""
        self._listener = listener
        return self

    def events(self) -> EventStream[ChaincodeEvent]:
        """Events of valid transactions from the requested position on."""
        listener = self._listener
        source = ChaincodeEventsSource(self, listener.party)
        return EventStream(listener.channel, source, listener.reconnect_for_s)


class BlocksRequest(SignableBlocks):
    """A request for the blocks of a channel."""

    _listener: Listener

    def of(self, listener: Listener) -> Self:
        """The same, to be carried by this listener."""
        self._listener = listener
        return self

    def blocks(self) -> EventStream[Block]:
        """Whole blocks."""
        return self._stream(BlockKind.WHOLE, Block)

    def filtered_blocks(self) -> EventStream[FilteredBlock]:
        """Ids, verdicts and names of events only."""
        return self._stream(BlockKind.FILTERED, FilteredBlock)

    def blocks_and_private_data(self) -> EventStream[BlockAndPrivateData]:
        """Whole blocks with the private values that the identity may see."""
        return self._stream(BlockKind.WITH_PRIVATE_DATA, BlockAndPrivateData)

    def _stream(self, kind: BlockKind, of: type[B]) -> EventStream[B]:
        listener = self._listener
        source = BlocksSource[B](kind, of, self, listener.party)
        return EventStream(listener.channel, source, listener.reconnect_for_s)
