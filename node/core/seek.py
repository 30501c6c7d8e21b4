"""What a deliver request asks for, and which blocks that means.

Rules and statuses are those of peers and orderers (fabric common/deliver/deliver.go,
common/ledger/blockledger/fileledger/impl.go).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tongban.protos.ab_pb2 import SeekInfo, SeekPosition, SeekSpecified
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import (
    ChannelHeader,
    Envelope,
    Header,
    HeaderType,
    Payload,
    SignatureHeader,
    Status,
)
from tongban.protos.errors import LimitExceeded, MalformedMessage, TongbanError
from tongban.protos.signing import Signer

TIME_WINDOW = timedelta(minutes=15)
"""How far the time of a request may be from ours, either way (``authentication.timewindow``)."""

FOREVER = 2**64 - 1
"""The stop position of a client that follows."""


class SeekRefused(TongbanError):
    """A deliver request that is answered with ``status`` instead of blocks."""

    def __init__(self, status: Status.ValueType, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SeekRequest:
    """A deliver request whose headers are in order. Its signature is not checked yet."""

    channel_id: str
    payload: bytes
    signature: bytes
    creator: bytes
    data: bytes
    """A serialized SeekInfo, read after the channel is found."""


@dataclass(frozen=True, slots=True)
class SeekRange:
    """Blocks from ``start`` to ``stop``, both included."""

    start: int
    stop: int


def seek_specified(number: int) -> SeekPosition:
    """The position of block ``number``."""
    return SeekPosition(specified=SeekSpecified(number=number))


def build_seek(
    channel_id: str, seek: SeekInfo, signer: Signer, nonce: bytes, now: datetime
) -> bytes:
    """A serialized, signed deliver request."""
    channel_header = ChannelHeader(type=HeaderType.DELIVER_SEEK_INFO, channel_id=channel_id)
    channel_header.timestamp.FromDatetime(now)
    signature_header = SignatureHeader(creator=signer.creator, nonce=nonce)
    header = Header(
        channel_header=channel_header.SerializeToString(),
        signature_header=signature_header.SerializeToString(),
    )
    payload = Payload(header=header, data=seek.SerializeToString()).SerializeToString()
    return Envelope(payload=payload, signature=signer.sign(payload)).SerializeToString()


def parse_seek(envelope: bytes, now: datetime, tls_cert_hash: bytes | None) -> SeekRequest:
    """Read the headers of a deliver request. ``tls_cert_hash`` is the digest of the client's TLS
    certificate when the server demands one, else None.

    Raises:
        SeekRefused: BAD_REQUEST, also for a request that is too old or too far ahead.
    """
    try:
        received = parse(Envelope, envelope)
        payload = parse(Payload, received.payload)
        if not payload.HasField("header"):
            raise MalformedMessage("Payload", "envelope has no header")
        channel_header = parse(ChannelHeader, payload.header.channel_header)
        signature_header = parse(SignatureHeader, payload.header.signature_header)
    except (MalformedMessage, LimitExceeded) as error:
        raise SeekRefused(Status.BAD_REQUEST, str(error)) from None
    _check_time(channel_header, now)
    if tls_cert_hash is not None and channel_header.tls_cert_hash != tls_cert_hash:
        raise SeekRefused(
            Status.BAD_REQUEST,
            "claimed TLS cert hash does not match the certificate of the connection"
            if channel_header.tls_cert_hash
            else "client didn't include its TLS cert hash",
        )
    return SeekRequest(
        channel_header.channel_id,
        received.payload,
        received.signature,
        signature_header.creator,
        payload.data,
    )


def parse_seek_info(data: bytes) -> SeekInfo:
    """Raises:
    SeekRefused: the bytes are not a SeekInfo.
    """
    try:
        return parse(SeekInfo, data)
    except (MalformedMessage, LimitExceeded) as error:
        raise SeekRefused(Status.BAD_REQUEST, str(error)) from None


def find_range(seek: SeekInfo, height: int) -> SeekRange:
    """The blocks that are asked for when the chain has ``height`` blocks.

    Raises:
        SeekRefused: BAD_REQUEST or NOT_FOUND.
    """
    if not (seek.HasField("start") and seek.HasField("stop")):
        raise SeekRefused(Status.BAD_REQUEST, "start or stop is missing")
    start = _find_start(seek, height)
    match seek.stop.WhichOneof("Type"):
        case "oldest":
            stop = start
        case "newest":
            both_newest = seek.start.WhichOneof("Type") == "newest"
            stop = start if both_newest else height - 1
        case "specified":
            stop = seek.stop.specified.number
            if stop < start:
                raise SeekRefused(
                    Status.BAD_REQUEST,
                    f"start number {start} greater than stop number {stop}",
                )
        case _:
            # Fabric stops at block 0 here, which a later start never meets.
            stop = 0 if start == 0 else FOREVER
    if stop < start:
        stop = FOREVER
    return SeekRange(start, stop)


def _find_start(seek: SeekInfo, height: int) -> int:
    match seek.start.WhichOneof("Type"):
        case "oldest":
            return 0
        case "newest":
            return height - 1
        case "next_commit":
            return height
        case "specified" if seek.start.specified.number <= height:
            return seek.start.specified.number
        case "specified":
            raise SeekRefused(
                Status.NOT_FOUND,
                f"start {seek.start.specified.number} is beyond the height {height}",
            )
        case _:
            raise SeekRefused(Status.NOT_FOUND, "the start position has no type")


def _check_time(header: ChannelHeader, now: datetime) -> None:
    if not header.HasField("timestamp"):
        raise SeekRefused(Status.BAD_REQUEST, "channel header in envelope must contain timestamp")
    try:
        sent = header.timestamp.ToDatetime(tzinfo=UTC)
    except ValueError as error:
        raise SeekRefused(Status.BAD_REQUEST, f"timestamp: {error}") from None
    if abs(now - sent) > TIME_WINDOW:
        raise SeekRefused(
            Status.BAD_REQUEST,
            f"envelope timestamp {sent} is more than {TIME_WINDOW} apart from "
            f"current server time {now}",
        )
