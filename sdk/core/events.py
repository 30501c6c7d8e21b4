"""Requests for events and blocks, and where to go on after a broken connection.

A source knows its position: after an event of transaction T in block N it asks for block N after T,
after block N for block N + 1. So a stream that is opened again repeats nothing and leaves nothing
out. (Forms: fabric internal/pkg/gateway/chaincodeevents.go, common/deliver/deliver.go.)
"""

from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, Self, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from tongban.protos.ab_pb2 import SeekInfo, SeekNextCommit, SeekPosition, SeekSpecified
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import (
    Block,
    ChannelHeader,
    Envelope,
    Header,
    HeaderType,
    Payload,
    SignatureHeader,
    Status,
)
from tongban.protos.events_pb2 import BlockAndPrivateData, DeliverResponse, FilteredBlock
from tongban.protos.gateway_pb2 import (
    ChaincodeEventsRequest,
    ChaincodeEventsResponse,
    SignedChaincodeEventsRequest,
)

from ..errors import EventsError, StatusCode
from .signable import Party, Signable
from .unary import CHAINCODE_EVENTS

BLOCK_NUMBER_MAX = 2**64 - 1
"""As a stop position it means: never stop."""


@dataclass(frozen=True, slots=True)
class ChaincodeEvent:
    """What a contract emitted in a valid transaction."""

    block_number: int
    transaction_id: str
    chaincode_name: str
    event_name: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Position:
    """Where a stream begins."""

    block_number: int | None = None
    """None: with the next block that is committed."""
    after_transaction_id: str | None = None
    """Of that block, leave out everything up to this transaction."""

    def to_message(self) -> SeekPosition:
        if self.block_number is None:
            return SeekPosition(next_commit=SeekNextCommit())
        return SeekPosition(specified=SeekSpecified(number=self.block_number))


class Checkpoint(Protocol):
    """A remembered position."""

    @property
    def block_number(self) -> int | None: ...

    @property
    def transaction_id(self) -> str | None: ...


def to_position(start_block: int | None, checkpoint: Checkpoint | None) -> Position:
    """The checkpoint's position if it has one, otherwise the start block."""
    if checkpoint is None or checkpoint.block_number is None:
        return Position(start_block)
    return Position(checkpoint.block_number, checkpoint.transaction_id)


class SignableChaincodeEvents(Signable):
    """A request for the events of one chaincode."""

    @classmethod
    def build(cls, channel_id: str, chaincode: str, position: Position, party: Party) -> Self:
        request = ChaincodeEventsRequest(
            channel_id=channel_id,
            chaincode_id=chaincode,
            identity=party.creator,
            start_position=position.to_message(),
            after_transaction_id=position.after_transaction_id or "",
        )
        return cls(request.SerializeToString())

    @classmethod
    def parse(cls, data: bytes, signature: bytes | None = None) -> Self:
        """Read back ``bytes``; a signature given here replaces the one inside.

        Raises:
            MalformedMessage: these are not the bytes of such a request.
        """
        outer = parse(SignedChaincodeEventsRequest, data)
        parse(ChaincodeEventsRequest, outer.request)
        return cls(outer.request, outer.signature if signature is None else signature)

    @property
    def bytes(self) -> bytes:
        return SignedChaincodeEventsRequest(
            request=self.message, signature=self.signature
        ).SerializeToString()


class SignableBlocks(Signable):
    """A request for blocks: a signed envelope for the peer's deliver service."""

    @classmethod
    def build(cls, channel_id: str, position: Position, party: Party, timestamp_ns: int) -> Self:
        seconds, nanos = divmod(timestamp_ns, 1_000_000_000)
        channel_header = ChannelHeader(
            type=HeaderType.DELIVER_SEEK_INFO,
            timestamp=Timestamp(seconds=seconds, nanos=nanos),
            channel_id=channel_id,
            tls_cert_hash=party.tls_certificate_hash,
        )
        seek = SeekInfo(
            start=position.to_message(),
            stop=SeekPosition(specified=SeekSpecified(number=BLOCK_NUMBER_MAX)),
        )
        payload = Payload(
            header=Header(
                channel_header=channel_header.SerializeToString(),
                signature_header=SignatureHeader(creator=party.creator).SerializeToString(),
            ),
            data=seek.SerializeToString(),
        )
        return cls(payload.SerializeToString())

    @classmethod
    def parse(cls, data: bytes, signature: bytes | None = None) -> Self:
        """Read back ``bytes``; a signature given here replaces the one inside.

        Raises:
            MalformedMessage: these are not the bytes of such a request.
        """
        envelope = parse(Envelope, data)
        parse(SeekInfo, parse(Payload, envelope.payload).data)
        return cls(envelope.payload, envelope.signature if signature is None else signature)

    @property
    def bytes(self) -> bytes:
        return Envelope(payload=self.message, signature=self.signature).SerializeToString()


class BlockKind(Enum):
    """How much of each block is wanted; the value is the method that delivers it."""

    WHOLE = "/protos.Deliver/Deliver"
    FILTERED = "/protos.Deliver/DeliverFiltered"
    WITH_PRIVATE_DATA = "/protos.Deliver/DeliverWithPrivateData"


T = TypeVar("T")


class Source(Protocol, Generic[T]):
    """What an event stream reads from: where to call, what to send, what comes of each answer."""

    @property
    def method(self) -> str: ...

    @property
    def can_resume(self) -> bool:
        """Whether another request can be made and signed here."""

    def request(self, timestamp_ns: int) -> bytes:
        """The signed request for everything from the present position on."""

    def take(self, data: bytes) -> list[T]:
        """What one answer holds; the position moves behind it.

        Raises:
            EventsError: the gateway ended the stream with a status.
            MalformedMessage: it is not an answer.
        """


class ChaincodeEventsSource:
    """Events of one chaincode."""

    method = CHAINCODE_EVENTS

    def __init__(self, request: SignableChaincodeEvents, party: Party) -> None:
        self._first: SignableChaincodeEvents | None = request
        self._party = party
        asked = ChaincodeEventsRequest.FromString(request.message)
        self._channel_id = asked.channel_id
        self._chaincode = asked.chaincode_id
        self._position: Position | None = None

    @property
    def can_resume(self) -> bool:
        return self._party.sign is not None

    def request(self, timestamp_ns: int) -> bytes:
        request = self._first
        if self._position is not None:
            request = SignableChaincodeEvents.build(
                self._channel_id, self._chaincode, self._position, self._party
            )
        assert request is not None
        request.sign_by(self._party)
        return request.bytes

    def take(self, data: bytes) -> list[ChaincodeEvent]:
        answer = parse(ChaincodeEventsResponse, data)
        events = [
            ChaincodeEvent(answer.block_number, e.tx_id, e.chaincode_id, e.event_name, e.payload)
            for e in answer.events
        ]
        if events:
            self._position = Position(answer.block_number, events[-1].transaction_id)
        return events


BlockLike = Block | FilteredBlock | BlockAndPrivateData
B = TypeVar("B", Block, FilteredBlock, BlockAndPrivateData)


class BlocksSource(Generic[B]):
    """Blocks of one channel, each as much as its kind says."""

    def __init__(self, kind: BlockKind, of: type[B], request: SignableBlocks, party: Party) -> None:
        self._kind = kind
        self._of: type[B] = of
        self._first = request
        self._party = party
        header = Payload.FromString(request.message).header
        self._channel_id = ChannelHeader.FromString(header.channel_header).channel_id
        self._next: int | None = None

    @property
    def method(self) -> str:
        return self._kind.value

    @property
    def can_resume(self) -> bool:
        return self._party.sign is not None

    def request(self, timestamp_ns: int) -> bytes:
        request = self._first
        if self._next is not None:
            request = SignableBlocks.build(
                self._channel_id, Position(self._next), self._party, timestamp_ns
            )
        request.sign_by(self._party)
        return request.bytes

    def take(self, data: bytes) -> list[B]:
        answer = parse(DeliverResponse, data)
        found: BlockLike
        match answer.WhichOneof("Type"):
            case "block":
                found, number = answer.block, answer.block.header.number
            case "filtered_block":
                found, number = answer.filtered_block, answer.filtered_block.number
            case "block_and_private_data":
                found = answer.block_and_private_data
                number = found.block.header.number
            case _:
                raise EventsError(*_deliver_status(answer.status))
        if not isinstance(found, self._of):
            raise EventsError(
                StatusCode.INTERNAL, f"asked for {self._of.__name__}, got {type(found).__name__}"
            )
        self._next = number + 1
        return [found]


_DELIVER_CODES = {
    Status.BAD_REQUEST: StatusCode.INVALID_ARGUMENT,
    Status.FORBIDDEN: StatusCode.PERMISSION_DENIED,
    Status.NOT_FOUND: StatusCode.NOT_FOUND,
    Status.SERVICE_UNAVAILABLE: StatusCode.UNAVAILABLE,
}


def _deliver_status(status: Status.ValueType) -> tuple[StatusCode, str]:
    name = Status.Name(status) if status in Status.values() else "unknown"
    code = _DELIVER_CODES.get(status, StatusCode.UNKNOWN)
    return code, f"the peer ended the blocks with status {int(status)} ({name})"
