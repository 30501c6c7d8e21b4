"""Reads a proposal and checks everything about it that needs no simulation.

The order of the checks and the words of the refusals are those of Fabric's peer, because clients
and gateways act on them: first the filters (core/handlers/auth/filter), then the layers
(core/endorser/msgvalidation.go), then the channel (core/endorser/endorser.go, preProcess).
A refusal knows how it is returned: with a response, as an error of the call, or as both.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import NamedTuple

from google.protobuf.message import DecodeError

from tongban.node.core.lru import LruCache
from tongban.node.core.received import ReceivedProposal
from tongban.protos import (
    chaincode_pb2,
    common_pb2,
    identities_pb2,
    proposal_pb2,
    proposal_response_pb2,
)
from tongban.protos.certificates import load_certificate
from tongban.protos.codec import parse
from tongban.protos.digest import compute_proposal_hash, compute_tx_id, encode_uvarint
from tongban.protos.errors import LimitExceeded, MalformedMessage, TongbanError

TIME_WINDOW = timedelta(minutes=15)
"""How far a proposal's time may be from the peer's (fabric sampleconfig/core.yaml,
peer.authentication.timewindow)."""

_ENDORSER_TRANSACTION = int(common_pb2.ENDORSER_TRANSACTION)
_CONFIG = int(common_pb2.CONFIG)
_NO_EXPIRY = datetime.max.replace(tzinfo=UTC)

_OUTER_LAYERS = (
    ("proposal", "Proposal"),
    ("header", "Header"),
    ("signature_header", "SignatureHeader"),
    ("channel_header", "ChannelHeader"),
)
"""Attributes of a ReceivedProposal and the names of their messages, from the outside inwards."""


class Delivery(Enum):
    """How a refusal reaches the client."""

    ERROR_ONLY = "an error of the call without a response"
    ERROR_AND_RESPONSE = "an error of the call, beside a response for callers in this process"
    RESPONSE_ONLY = "a response with status 500"


class ProposalRefused(TongbanError):
    """A proposal is not simulated, or not endorsed; nothing has changed."""

    def __init__(self, text: str, delivery: Delivery = Delivery.ERROR_AND_RESPONSE) -> None:
        super().__init__(text)
        self.text = text
        self.delivery = delivery

    def to_response(self) -> proposal_response_pb2.ProposalResponse:
        """The response that tells the refusal: status 500, no payload."""
        response = proposal_response_pb2.Response(status=500, message=self.text)
        return proposal_response_pb2.ProposalResponse(response=response)


class ParsedProposal(NamedTuple):
    """A proposal, read. Nothing in it has been checked yet except its form."""

    channel_id: str
    """Empty for calls that concern only this peer."""

    tx_id: str
    header_type: int
    epoch: int
    timestamp: tuple[int, int]
    """Seconds and nanoseconds since 1970, as the client claims."""

    creator: bytes
    nonce: bytes
    chaincode_name: str
    """From the header's extension: the one that is called and endorsed."""

    spec_name: str | None
    """From the invocation; system chaincodes look at it. None if it is missing."""

    args: tuple[bytes, ...]
    is_init: bool
    transient: Mapping[str, bytes]
    proposal_bytes: bytes
    """As received; the creator's signature covers it."""

    signature: bytes


class ClockRules(NamedTuple):
    """Which checks look at the clock. Replaying recorded proposals needs none of them."""

    time_window: timedelta | None = TIME_WINDOW
    """None accepts a proposal of any time."""

    refuse_expired: bool = True
    """Whether the creator's certificate must not have expired."""


def open_proposal(received: ReceivedProposal) -> None:
    """Return if the outermost layers, which the filters look at, can be read.

    Raises:
        ProposalRefused: one of them cannot; an error of the call only.
    """
    layer = _OUTER_LAYERS[0]
    try:
        for layer in _OUTER_LAYERS:
            getattr(received, layer[0])
    except (MalformedMessage, LimitExceeded) as error:
        what = layer[0].replace("_", " ")
        raise ProposalRefused(
            f"failed parsing {what}: error unmarshaling {layer[1]}: {error}", Delivery.ERROR_ONLY
        ) from None


def check_clock(
    received: ReceivedProposal, now: datetime, rules: ClockRules, expiry: "ExpiryReader"
) -> None:
    """Return if the proposal and its creator's certificate are in time at ``now`` (UTC).

    Raises:
        ProposalRefused: they are not; an error of the call only.
    """
    if rules.refuse_expired and now > expiry.expires_at(received.signature_header.creator):
        raise ProposalRefused("proposal client identity expired", Delivery.ERROR_ONLY)
    if rules.time_window is None:
        return
    stamp = received.channel_header.timestamp
    if abs(now.timestamp() - (stamp.seconds + stamp.nanos / 1e9)) > (
        rules.time_window.total_seconds()
    ):
        raise ProposalRefused(
            f"request unauthorized due to incorrect timestamp {_show_time(stamp.seconds)}, "
            f"peer time {_show_time(int(now.timestamp()))}, "
            f"peer.authentication.timewindow {_show_duration(rules.time_window)}",
            Delivery.ERROR_ONLY,
        )


def read_proposal(received: ReceivedProposal) -> ParsedProposal:
    """The whole proposal, of which the outer layers can be read.

    Raises:
        ProposalRefused: a layer is unreadable or lacks something.
    """
    channel_header, signature_header = received.channel_header, received.signature_header
    chaincode_name = _read_chaincode_name(channel_header.extension)
    spec = _read_spec(received)
    stamp, called = channel_header.timestamp, spec.input
    return ParsedProposal(
        channel_header.channel_id,
        channel_header.tx_id,
        channel_header.type,
        channel_header.epoch,
        (stamp.seconds, stamp.nanos),
        signature_header.creator,
        signature_header.nonce,
        chaincode_name,
        spec.chaincode_id.name if spec.HasField("chaincode_id") else None,
        tuple(called.args),
        called.is_init,
        dict(received.payload.TransientMap),
        received.signed.proposal_bytes,
        received.signed.signature,
    )


def _read_chaincode_name(header_extension: bytes) -> str:
    try:
        extension = parse(proposal_pb2.ChaincodeHeaderExtension, header_extension)
    except (MalformedMessage, LimitExceeded) as error:
        raise _unreadable("ChaincodeHeaderExtension", error) from None
    if not extension.HasField("chaincode_id"):
        raise ProposalRefused("ChaincodeHeaderExtension.ChaincodeId is nil")
    name = extension.chaincode_id.name
    if not name:
        raise ProposalRefused("ChaincodeHeaderExtension.ChaincodeId.Name is empty")
    return name


def _read_spec(received: ReceivedProposal) -> chaincode_pb2.ChaincodeSpec:
    kind = "ChaincodeProposalPayload"
    try:
        received.payload  # noqa: B018, a layer is parsed when it is asked for
        kind = "ChaincodeInvocationSpec"
        invocation = received.invocation
    except (MalformedMessage, LimitExceeded) as error:
        raise _unreadable(kind, error) from None
    if not invocation.HasField("chaincode_spec"):
        raise ProposalRefused("chaincode invocation spec did not contain chaincode spec")
    spec = invocation.chaincode_spec
    if not spec.HasField("input"):
        raise ProposalRefused("chaincode input did not contain any input")
    return spec


def compute_hash(received: ReceivedProposal) -> bytes:
    """What every endorsement of the proposal refers to it by."""
    header = received.header
    payload = encode_payload(received.payload.input)
    return compute_proposal_hash(header.channel_header, header.signature_header, payload)


def encode_payload(invocation: bytes) -> bytes:
    """A serialized ChaincodeProposalPayload that holds only ``input``, as the hash covers it."""
    return b"\n" + encode_uvarint(len(invocation)) + invocation if invocation else b""


def check_form(proposal: ParsedProposal) -> None:
    """Return if type, epoch, nonce, creator, transaction id and signature are as they must be.

    Raises:
        ProposalRefused: they are not.
    """
    if proposal.header_type not in (_ENDORSER_TRANSACTION, _CONFIG):
        raise _invalid(f"invalid header type {_show_type(proposal.header_type)}")
    if proposal.epoch:
        raise _invalid("epoch is non-zero")
    if not proposal.nonce:
        raise _invalid("nonce is empty")
    if not proposal.creator:
        raise _invalid("creator is empty")
    expected = compute_tx_id(proposal.nonce, proposal.creator)
    if proposal.tx_id != expected:
        raise _invalid(f"incorrectly computed txid '{proposal.tx_id}' -- expected '{expected}'")
    if not proposal.proposal_bytes:
        raise _invalid("empty proposal bytes")
    if not proposal.signature:
        raise _invalid("empty signature bytes")


def refuse_unknown_creator(proposal: ParsedProposal) -> ProposalRefused:
    """The refusal of a creator whose identity cannot be read."""
    return _invalid(
        f"access denied: channel [{proposal.channel_id}] creator org unknown, creator is malformed"
    )


def refuse_creator(proposal: ParsedProposal, msp_id: str) -> ProposalRefused:
    """The refusal of an identity that is not valid or whose signature is wrong; deliberately the
    same, so that nobody learns which."""
    return _invalid(f"access denied: channel [{proposal.channel_id}] creator org [{msp_id}]")


def refuse_unknown_channel(channel_id: str) -> ProposalRefused:
    return ProposalRefused(f"channel '{channel_id}' not found", Delivery.RESPONSE_ONLY)


def refuse_duplicate(proposal: ParsedProposal) -> ProposalRefused:
    """The refusal of a transaction id that the ledger has, valid or not."""
    return ProposalRefused(
        f"duplicate transaction found [{proposal.tx_id}]. Creator [{proposal.creator.hex()}]"
    )


class ExpiryReader:
    """When creators' certificates expire, remembered for those seen lately."""

    def __init__(self, entries_max: int = 1_000) -> None:
        self._known: LruCache[bytes, datetime] = LruCache(entries_max)

    def expires_at(self, creator: bytes) -> datetime:
        """The end of the certificate's validity. A creator without a readable certificate never
        expires: who it is will be looked at later (fabric common/crypto/expiration.go)."""
        found = self._known.find(creator)
        if found is None:
            found = _read_expiry(creator)
            self._known.put(creator, found)
        return found


def _read_expiry(creator: bytes) -> datetime:
    try:
        identity = identities_pb2.SerializedIdentity.FromString(creator)
        return load_certificate(identity.id_bytes).not_valid_after_utc
    except (DecodeError, ValueError, MalformedMessage, LimitExceeded):
        return _NO_EXPIRY


def _unreadable(kind: str, error: TongbanError) -> ProposalRefused:
    return ProposalRefused(f"error unmarshaling {kind}: {error}")


def _invalid(text: str) -> ProposalRefused:
    return ProposalRefused(f"error validating proposal: {text}")


def _show_type(number: int) -> str:
    known = common_pb2.HeaderType.DESCRIPTOR.values_by_number.get(number)
    return str(number) if known is None else known.name


def _show_time(seconds: int) -> str:
    """As RFC 3339 in UTC, without fractions."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{seconds}s since 1970"
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _show_duration(duration: timedelta) -> str:
    """As Go prints a duration of whole seconds, such as ``15m0s``."""
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
