"""Streams of events and blocks."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

import grpc

from tongban.protos.common_pb2 import Block
from tongban.protos.events_pb2 import BlockAndPrivateData, FilteredBlock

from ..channel import AnswerStream, failure_of
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


class EventStream(Generic[T]):
    """What the peer has to tell, in order, for ever. A broken connection is opened again at the
    place where it broke; nothing is repeated or left out.

    Read it with ``for``; it is read no faster than it is consumed. Another thread may close it.
    """

    def __init__(self, channel: grpc.Channel, source: Source[T], reconnect_for_s: float) -> None:
        self._channel = channel
        self._source = source
        self._reconnection = Reconnection(reconnect_for_s if source.can_resume else 0)
        self._call: AnswerStream | None = None
        self._sent = threading.Event()
        """Set when the request side of the present call may end."""
        self._ready: deque[T] = deque()
        self._closed = threading.Event()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """
        Raises:
            EventsError: the peer refused, or could not be reached again in time.
        """
        while not self._ready:
            if self._closed.is_set():
                raise StopIteration
            try:
                self._receive()
            except grpc.RpcError as error:
                self._after(failure_of(error))
            except EventsError as error:
                self._after(Failure(error.code, error.message, error.details))
        return self._ready.popleft()

    def close(self) -> None:
        """End the stream. Whoever waits for the next item is told that there is none."""
        self._closed.set()
        self._ready.clear()
        self._sent.set()
        if self._call is not None:
            self._call.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receive(self) -> None:
        if self._call is None:
            self._call = self._open()
            if self._closed.is_set():  # closed meanwhile, by another thread
                self._call.cancel()
        data = next(self._call, None)
        if data is not None:
            self._ready.extend(self._source.take(data))
            self._reconnection.received()
        else:
            self._after(Failure(StatusCode.UNAVAILABLE, "the peer ended the stream"))

    def _open(self) -> AnswerStream:
        request = self._source.request(time.time_ns())
        self._reconnection.opened(time.monotonic())
        if self._source.method == CHAINCODE_EVENTS:
            ask: grpc.UnaryStreamMultiCallable[bytes, bytes]
            ask = self._channel.unary_stream(self._source.method, None, None)
            return ask(request)
        converse: grpc.StreamStreamMultiCallable[bytes, bytes]
        converse = self._channel.stream_stream(self._source.method, None, None)
        self._sent = threading.Event()
        return converse(_once(request, self._sent))

    def _after(self, failure: Failure) -> None:
        if self._call is not None:
            self._call.cancel()
        self._call = None
        self._sent.set()
        if self._closed.is_set():
            return
        delay_s = self._reconnection.delay_s(failure, time.monotonic())
        if delay_s is None:
            raise EventsError(failure.code, failure.message, failure.details)
        self._closed.wait(delay_s)


def _once(request: bytes, until: threading.Event) -> Iterator[bytes]:
    """One request on a stream that stays open: a peer may take its end for ours."""
    yield request
    until.wait()


@dataclass(frozen=True, slots=True)
class Listener:
    """Who asks for events, through what, and how long a broken connection is tried again."""

    party: Party
    channel: grpc.Channel
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
