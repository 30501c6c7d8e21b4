"""Whether an orderer admits an envelope: form, kind, size, expiry of its creator, writers' policy.

The checks, their order, statuses and texts are those of Fabric's orderers
(fabric orderer/common/broadcast/broadcast.go, orderer/common/msgprocessor). The body of a
transaction is not read: an orderer decides on order, not on contents.
"""

from dataclasses import dataclass
from datetime import datetime

from tongban.node.core.channel import ChannelConfig
from tongban.node.core.errors import AccessDenied
from tongban.node.core.identity import Identity, is_expired
from tongban.node.core.policy import SignatureVerifier
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import (
    ChannelHeader,
    Envelope,
    HeaderType,
    Payload,
    SignatureHeader,
    Status,
)
from tongban.protos.errors import LimitExceeded, MalformedMessage, TongbanError

WRITERS = "/Channel/Writers"
"""The policy that a creator must satisfy."""

EXPIRY_CAPABILITIES = frozenset({"V1_1", "V1_4_2", "V2_0"})
"""Orderer capabilities with which an expired creator is refused; each implies the ones before
(fabric common/capabilities/orderer.go, ExpirationCheck)."""


class BroadcastRefused(TongbanError):
    """An envelope is not admitted. ``status`` goes into the BroadcastResponse with the text."""

    def __init__(self, status: Status.ValueType, info: str) -> None:
        super().__init__(info)
        self.status = status
        self.info = info


@dataclass(frozen=True, slots=True)
class BroadcastRequest:
    """An envelope as an orderer sees it."""

    channel_id: str
    kind: int
    """A HeaderType."""
    payload: bytes
    signature: bytes
    signature_header: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.payload) + len(self.signature)

    def serialize(self) -> bytes:
        """The canonical bytes that go into a block: these two fields and nothing else, since
        peers refuse an envelope that does not serialize to itself
        (fabric protoutil/blockutils.go, VerifyTransactionsAreWellFormed)."""
        return Envelope(payload=self.payload, signature=self.signature).SerializeToString()


def parse_broadcast(envelope: Envelope) -> BroadcastRequest:
    """Read as much of an envelope as ordering needs.

    Raises:
        BroadcastRefused: the channel header cannot be read.
    """
    payload = envelope.payload
    try:
        parsed = parse(Payload, payload)
        if not parsed.HasField("header"):
            raise MalformedMessage("Payload", "header not set")
        header = parsed.header
        if not header.channel_header:
            raise MalformedMessage("Payload", "channel header not set")
        channel_header = parse(ChannelHeader, header.channel_header)
    except (MalformedMessage, LimitExceeded) as error:
        raise _bad_request(f"could not determine channel ID: {error}") from None
    return BroadcastRequest(
        channel_header.channel_id,
        channel_header.type,
        payload,
        envelope.signature,
        header.signature_header,
    )


def check_kind(request: BroadcastRequest) -> None:
    """Return if an envelope of this kind may be ordered here.

    Raises:
        BroadcastRefused: it may not.
    """
    match request.kind:
        case HeaderType.CONFIG:
            raise _bad_request("message is of type that cannot be processed directly")
        case HeaderType.ORDERER_TRANSACTION:
            raise _bad_request("message is of type that is no longer supported")
        case HeaderType.CONFIG_UPDATE:
            raise _bad_request(
                "this orderer does not apply channel configuration updates; "
                "the channel keeps the configuration of its last config block"
            )


def check_broadcast(
    request: BroadcastRequest, channel: ChannelConfig, verifier: SignatureVerifier, now: datetime
) -> None:
    """Return if the envelope may be ordered under this configuration.

    Raises:
        BroadcastRefused: it may not.
    """
    check_kind(request)
    if channel.orderer.in_maintenance:
        raise BroadcastRefused(
            Status.SERVICE_UNAVAILABLE, "normal transactions are rejected: maintenance mode"
        )
    if not request.payload:
        raise _bad_request("Message was empty")
    limit = channel.batch_bytes_absolute_max
    if request.size_bytes > limit:
        raise _bad_request(
            f"message payload is {request.size_bytes} bytes and exceeds "
            f"maximum allowed {limit} bytes"
        )
    creator = _find_creator(request, channel)
    if (
        creator is not None
        and channel.orderer_capabilities & EXPIRY_CAPABILITIES
        and is_expired(creator, now)
    ):
        raise _bad_request("broadcast client identity expired")
    signers = []
    if creator is not None and verifier.verify(creator, request.payload, request.signature):
        signers.append(creator)
    verdict = channel.policies.get(WRITERS).evaluate(signers)
    if not verdict.satisfied:
        raise BroadcastRefused(Status.FORBIDDEN, f"{verdict.reason}: permission denied")


def _find_creator(request: BroadcastRequest, channel: ChannelConfig) -> Identity | None:
    """The creator, or None if it is nobody that the channel knows: no policy counts it then."""
    try:
        header = parse(SignatureHeader, request.signature_header)
    except MalformedMessage as error:
        raise _bad_request(f"could not convert message to signedData: {error}") from None
    try:
        return channel.msps.deserialize(header.creator)
    except AccessDenied:
        return None


def _bad_request(info: str) -> BroadcastRefused:
    return BroadcastRefused(Status.BAD_REQUEST, info)
