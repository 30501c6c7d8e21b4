"""Whether an orderer admits an envelope: form, kind, size, expiry of its creator, writers' policy.

The checks, their order, statuses and texts are those of Fabric's orderers
(fabric orderer/common/broadcast/broadcast.go, orderer/common/msgprocessor). The body of a
transaction is not read: an orderer decides on order, not on contents.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, NoReturn

from tongban.node.core.channel import ChannelConfig
from tongban.node.core.errors import AccessDenied
from tongban.node.core.identity import Identity, is_expired
from tongban.node.core.lru import LruCache
from tongban.node.core.policy import PolicyVerdict
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import (
    ChannelHeader,
    Envelope,
    HeaderType,
    Payload,
    SignatureHeader,
    Status,
)
from tongban.protos.errors import (
    InvalidSignature,
    LimitExceeded,
    MalformedMessage,
    TongbanError,
)

WRITERS = "/Channel/Writers"
"""The policy that a creator must satisfy."""

EXPIRY_CAPABILITIES = frozenset({"V1_1", "V1_4_2", "V2_0"})
"""Orderer capabilities with which an expired creator is refused; each implies the ones before
(fabric common/capabilities/orderer.go, ExpirationCheck)."""


WRITERS_MAX = 4_096
"""Creators remembered for each configuration, as many as their identities."""

_NEVER_ORDERED: Mapping[int, str] = {
    int(HeaderType.CONFIG): "message is of type that cannot be processed directly",
    int(HeaderType.ORDERER_TRANSACTION): "message is of type that is no longer supported",
    int(HeaderType.CONFIG_UPDATE): "this orderer does not apply channel configuration updates; "
    "the channel keeps the configuration of its last config block",
}


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


class Admission:
    """Decides on envelopes under one configuration of a channel.

    Whether a creator is a writer does not change while the configuration stands, so it is decided
    once for each creator that is met.
    """

    def __init__(self, channel: ChannelConfig) -> None:
        self.channel = channel
        self._policy = channel.policies.get(WRITERS)
        self._expires = bool(channel.orderer_capabilities & EXPIRY_CAPABILITIES)
        self._writers: LruCache[bytes, _Writer] = LruCache(WRITERS_MAX)

    def check(self, request: BroadcastRequest, now: datetime) -> None:
        """Return if the envelope may be ordered.

        Raises:
            BroadcastRefused: it may not.
        """
        if request.kind in _NEVER_ORDERED:
            raise _bad_request(_NEVER_ORDERED[request.kind])
        if self.channel.orderer.in_maintenance:
            raise BroadcastRefused(
                Status.SERVICE_UNAVAILABLE, "normal transactions are rejected: maintenance mode"
            )
        if not request.payload:
            raise _bad_request("Message was empty")
        limit = self.channel.orderer.batch_bytes_absolute_max
        if (size := request.size_bytes) > limit:
            raise _bad_request(
                f"message payload is {size} bytes and exceeds maximum allowed {limit} bytes"
            )
        writer = self._find_writer(request)
        if writer is not None and self._expires and is_expired(writer.identity, now):
            raise _bad_request("broadcast client identity expired")
        if writer is None or not (writer.verdict.satisfied and _is_signed(request, writer)):
            self._refuse(writer)

    def _find_writer(self, request: BroadcastRequest) -> "_Writer | None":
        """The creator, or None if it is nobody that the channel knows: no policy counts it."""
        try:
            creator = parse(SignatureHeader, request.signature_header).creator
        except MalformedMessage as error:
            raise _bad_request(f"could not convert message to signedData: {error}") from None
        writer = self._writers.find(creator)
        if writer is None:
            try:
                identity = self.channel.msps.deserialize(creator)
            except AccessDenied:
                return None
            writer = _Writer(identity, self._policy.evaluate([identity]))
            self._writers.put(creator, writer)
        return writer

    def _refuse(self, writer: "_Writer | None") -> NoReturn:
        """Say what the policy says to the signatures that hold."""
        signed = writer is not None and not writer.verdict.satisfied
        verdict = writer.verdict if signed and writer else self._policy.evaluate([])
        raise BroadcastRefused(Status.FORBIDDEN, f"{verdict.reason}: permission denied")


class _Writer(NamedTuple):
    identity: Identity
    verdict: PolicyVerdict


def _is_signed(request: BroadcastRequest, writer: _Writer) -> bool:
    try:
        writer.identity.verify(request.payload, request.signature)
    except InvalidSignature:
        return False
    return True


def _bad_request(info: str) -> BroadcastRefused:
    return BroadcastRefused(Status.BAD_REQUEST, info)
