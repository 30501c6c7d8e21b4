"""Proposals: what a creator asks endorsers to run, and everything that hangs on its bytes.

Layout and transaction id are Fabric's (fabric protoutil/proputils.go). The nonce and the time are
told from outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True)
class Moment:
    """What makes one proposal different from the next."""

    nonce: bytes
    timestamp_ns: int
    """Since 1970. Peers refuse proposals that are more than 15 minutes off their clock."""


@dataclass(frozen=True, slots=True)
class ProposalFacts:
    """What a client must know of a proposal, also of one that somebody else has built."""

    channel_id: str
    transaction_id: str
    channel_header: bytes
    signature_header: bytes
    call: bytes
    """The serialized ChaincodeInvocationSpec."""


def build_proposal(
    invocation: Invocation, creator: bytes, moment: Moment, tls_certificate_hash: bytes = b""
) -> tuple[ProposalFacts, bytes]:
    """A serialized Proposal, whose bytes the creator signs, and what it says."""
    transaction_id = compute_tx_id(moment.nonce, creator)
    chaincode = ChaincodeID(name=invocation.chaincode_name)
    seconds, nanos = divmod(moment.timestamp_ns, 1_000_000_000)
    channel_header = ChannelHeader(
        type=HeaderType.ENDORSER_TRANSACTION,
        timestamp=Timestamp(seconds=seconds, nanos=nanos),
        channel_id=invocation.channel_id,
        tx_id=transaction_id,
        extension=ChaincodeHeaderExtension(chaincode_id=chaincode).SerializeToString(),
        tls_cert_hash=tls_certificate_hash,
    )
    header = Header(
        channel_header=channel_header.SerializeToString(),
        signature_header=SignatureHeader(creator=creator, nonce=moment.nonce).SerializeToString(),
    )
    spec = ChaincodeInvocationSpec(
        chaincode_spec=Spec(
            type=Spec.Type.NODE,
            chaincode_id=chaincode,
            input=ChaincodeInput(args=invocation.args, is_init=invocation.is_init),
        )
    )
    call = spec.SerializeToString()
    payload = ChaincodeProposalPayload(input=call, TransientMap=invocation.transient)
    proposal = Proposal(header=header.SerializeToString(), payload=payload.SerializeToString())
    facts = ProposalFacts(
        invocation.channel_id, transaction_id, header.channel_header, header.signature_header, call
    )
    return facts, proposal.SerializeToString()


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
