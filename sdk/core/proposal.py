"""Proposals: what a creator asks endorsers to run, and everything that hangs on its bytes.

Layout and transaction id are Fabric's (fabric protoutil/proputils.go). The nonce and the time are
told from outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from tongban.protos.chaincode_pb2 import ChaincodeID, ChaincodeInput, ChaincodeInvocationSpec
from tongban.protos.chaincode_pb2 import ChaincodeSpec as Spec
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import ChannelHeader, Header, HeaderType, SignatureHeader
from tongban.protos.digest import compute_tx_id
from tongban.protos.errors import MalformedMessage
from tongban.protos.proposal_pb2 import (
    ChaincodeHeaderExtension,
    ChaincodeProposalPayload,
    Proposal,
)

from .fields import encode_field, encode_fields, tag_of

NONCE_BYTES = 24
"""Random bytes in a signature header; every official client takes as many."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a chaincode function."""

    channel_id: str
    chaincode_name: str
    args: tuple[bytes, ...]
    """The function's name, then its arguments."""
    transient: Mapping[str, bytes] = field(default_factory=dict)
    """Values for the endorsers' eyes only; they never reach the ledger."""
    organizations: tuple[str, ...] = ()
    """MSP ids that must endorse, or may be asked; empty leaves the choice to the gateway."""
    is_init: bool = False


class Moment(NamedTuple):
    """What makes one proposal different from the next."""

    nonce: bytes
    timestamp_ns: int
    """Since 1970. Peers refuse proposals that are more than 15 minutes off their clock."""


class ProposalFacts(NamedTuple):
    """What a client must know of a proposal, also of one that somebody else has built."""

    channel_id: str
    transaction_id: str
    channel_header: bytes
    signature_header: bytes
    call: bytes
    """The serialized ChaincodeInvocationSpec."""


class ProposalBuilder:
    """Builds the proposals of one creator to one chaincode of one channel.

    What is the same in all of them is serialized once: proposals are most of a client's own work.
    """

    def __init__(
        self,
        channel_id: str,
        chaincode_name: str,
        creator: bytes,
        tls_certificate_hash: bytes = b"",
    ) -> None:
        self._channel_id = channel_id
        self._creator = creator
        chaincode = ChaincodeID(name=chaincode_name)
        self._kind = ChannelHeader(type=HeaderType.ENDORSER_TRANSACTION).SerializeToString()
        self._channel = ChannelHeader(channel_id=channel_id).SerializeToString()
        self._rest = ChannelHeader(
            extension=ChaincodeHeaderExtension(chaincode_id=chaincode).SerializeToString(),
            tls_cert_hash=tls_certificate_hash,
        ).SerializeToString()
        self._signer = SignatureHeader(creator=creator).SerializeToString()
        self._spec = Spec(type=Spec.Type.NODE, chaincode_id=chaincode).SerializeToString()

    def build(self, invocation: Invocation, moment: Moment) -> tuple[ProposalFacts, bytes]:
        """A serialized Proposal, whose bytes the creator signs, and what it says."""
        transaction_id = compute_tx_id(moment.nonce, self._creator)
        seconds, nanos = divmod(moment.timestamp_ns, 1_000_000_000)
        timestamp = Timestamp(seconds=seconds, nanos=nanos).SerializeToString()
        channel_header = b"".join(
            (
                self._kind,
                encode_field(_TIMESTAMP, timestamp),
                self._channel,
                encode_field(_TX_ID, transaction_id.encode()),
                self._rest,
            )
        )
        signature_header = self._signer + encode_field(_NONCE, moment.nonce)
        call = self._call(invocation)
        header = encode_field(_CHANNEL_HEADER, channel_header) + encode_field(
            _SIGNATURE_HEADER, signature_header
        )
        payload = encode_field(_INPUT, call)
        if invocation.transient:
            payload += ChaincodeProposalPayload(
                TransientMap=invocation.transient
            ).SerializeToString()
        facts = ProposalFacts(
            self._channel_id, transaction_id, channel_header, signature_header, call
        )
        return facts, encode_field(_HEADER, header) + encode_field(_PAYLOAD, payload)

    def _call(self, invocation: Invocation) -> bytes:
        arguments = encode_fields(_ARGS, invocation.args)
        if invocation.is_init:
            arguments += ChaincodeInput(is_init=True).SerializeToString()
        return encode_field(_SPEC, self._spec + encode_field(_CHAINCODE_INPUT, arguments))


_TIMESTAMP = tag_of(ChannelHeader, "timestamp")
_TX_ID = tag_of(ChannelHeader, "tx_id")
_NONCE = tag_of(SignatureHeader, "nonce")
_CHANNEL_HEADER = tag_of(Header, "channel_header")
_SIGNATURE_HEADER = tag_of(Header, "signature_header")
_INPUT = tag_of(ChaincodeProposalPayload, "input")
_HEADER = tag_of(Proposal, "header")
_PAYLOAD = tag_of(Proposal, "payload")
_ARGS = tag_of(ChaincodeInput, "args")
_SPEC = tag_of(ChaincodeInvocationSpec, "chaincode_spec")
_CHAINCODE_INPUT = tag_of(Spec, "input")


def build_proposal(
    invocation: Invocation, creator: bytes, moment: Moment, tls_certificate_hash: bytes = b""
) -> tuple[ProposalFacts, bytes]:
    """A serialized Proposal, whose bytes the creator signs, and what it says."""
    builder = ProposalBuilder(
        invocation.channel_id, invocation.chaincode_name, creator, tls_certificate_hash
    )
    return builder.build(invocation, moment)


def parse_proposal(data: bytes) -> ProposalFacts:
    """Read a serialized Proposal.

    Raises:
        MalformedMessage: it is not one, or it names no transaction.
    """
    proposal = parse(Proposal, data)
    header = parse(Header, proposal.header)
    channel = parse(ChannelHeader, header.channel_header)
    if not channel.tx_id:
        raise MalformedMessage("Proposal", "expected a transaction id in its channel header")
    return ProposalFacts(
        channel_id=channel.channel_id,
        transaction_id=channel.tx_id,
        channel_header=header.channel_header,
        signature_header=header.signature_header,
        call=parse(ChaincodeProposalPayload, proposal.payload).input,
    )
