"""What a gateway call says, read from the signed proposal alone; request fields are for logs."""

from typing import NamedTuple

from tongban.node.core.gateway.errors import Code, GatewayError
from tongban.protos import chaincode_pb2, common_pb2, proposal_pb2
from tongban.protos.codec import parse
from tongban.protos.errors import TongbanError


class ProposalFacts(NamedTuple):
    """What the gateway needs to know of a proposal; peers check it in full."""

    signed: proposal_pb2.SignedProposal
    proposal: proposal_pb2.Proposal
    channel_id: str
    chaincode: str
    tx_id: str
    has_transient: bool


def read_proposal(signed: proposal_pb2.SignedProposal) -> ProposalFacts:
    """Raises MalformedMessage if any layer that the gateway needs cannot be parsed."""
    proposal = parse(proposal_pb2.Proposal, signed.proposal_bytes)
    header = parse(common_pb2.Header, proposal.header)
    channel_header = parse(common_pb2.ChannelHeader, header.channel_header)
    payload = parse(proposal_pb2.ChaincodeProposalPayload, proposal.payload)
    invocation = parse(chaincode_pb2.ChaincodeInvocationSpec, payload.input)
    return ProposalFacts(
        signed=signed,
        proposal=proposal,
        channel_id=channel_header.channel_id,
        chaincode=invocation.chaincode_spec.chaincode_id.name,
        tx_id=channel_header.tx_id,
        has_transient=bool(payload.TransientMap),
    )


def read_for_endorse(signed: proposal_pb2.SignedProposal) -> ProposalFacts:
    """Texts of fabric internal/pkg/gateway/endorse.go."""
    if not signed.proposal_bytes:
        raise GatewayError(
            Code.INVALID_ARGUMENT, "the proposed transaction must contain a signed proposal"
        )
    try:
        return read_proposal(signed)
    except TongbanError as error:
        raise GatewayError(Code.INVALID_ARGUMENT, str(error)) from None


def read_for_evaluate(signed: proposal_pb2.SignedProposal) -> ProposalFacts:
    """Texts of fabric internal/pkg/gateway/evaluate.go."""
    try:
        if not signed.proposal_bytes:
            raise _Unpackable("a signed proposal is required")
        facts = read_proposal(signed)
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
