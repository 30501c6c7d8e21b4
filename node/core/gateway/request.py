"""What a gateway call says, read from the signed proposal alone; request fields are for logs."""

from typing import NamedTuple

from tongban.node.core.gateway.errors import Code, GatewayError
from tongban.node.core.received import ReceivedProposal
from tongban.protos import proposal_pb2
from tongban.protos.errors import TongbanError


class ProposalFacts(NamedTuple):
    """What the gateway needs to know of a proposal; peers check it in full."""

    received: ReceivedProposal
    channel_id: str
    chaincode: str
    tx_id: str
    has_transient: bool


def read_proposal(received: ReceivedProposal) -> ProposalFacts:
    """Raises MalformedMessage if any layer that the gateway needs cannot be parsed."""
    channel_header = received.channel_header
    return ProposalFacts(
        received,
        channel_header.channel_id,
        received.invocation.chaincode_spec.chaincode_id.name,
        channel_header.tx_id,
        bool(received.payload.TransientMap),
    )


def read_for_endorse(signed: proposal_pb2.SignedProposal) -> ProposalFacts:
    """Texts of fabric internal/pkg/gateway/endorse.go."""
    if not signed.proposal_bytes:
        raise GatewayError(
            Code.INVALID_ARGUMENT, "the proposed transaction must contain a signed proposal"
        )
    try:
        return read_proposal(ReceivedProposal(signed))
    except TongbanError as error:
        raise GatewayError(Code.INVALID_ARGUMENT, str(error)) from None


def read_for_evaluate(signed: proposal_pb2.SignedProposal) -> ProposalFacts:
    """Texts of fabric internal/pkg/gateway/evaluate.go."""
    try:
        if not signed.proposal_bytes:
            raise _Unpackable("a signed proposal is required")
        facts = read_proposal(ReceivedProposal(signed))
        if not facts.channel_id:
            raise _Unpackable("no channel id provided")
        if not facts.chaincode:
            raise _Unpackable(f"no chaincode name is provided, channel id [{facts.channel_id}]")
    except TongbanError as error:
        text = f"failed to unpack transaction proposal: {error}"
        raise GatewayError(Code.INVALID_ARGUMENT, text) from None
    return facts


class _Unpackable(TongbanError):
    pass
