"""What the client called, which in a called contract is not what this contract was asked."""

from typing import NamedTuple

from tongban.contracts.errors import ContractError
from tongban.protos.chaincode_pb2 import ChaincodeInvocationSpec
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import ChannelHeader, Header
from tongban.protos.errors import TongbanError
from tongban.protos.proposal_pb2 import (
    ChaincodeHeaderExtension,
    ChaincodeProposalPayload,
    Proposal,
    SignedProposal,
)


class ClientCall(NamedTuple):
    """The chaincode and the arguments in the client's proposal."""

    chaincode: str
    args: tuple[bytes, ...]


def client_call(signed_proposal: bytes) -> ClientCall:
    """What the client signed.

    Raises:
        ContractError: INVALID_PROPOSAL, it cannot be read.
    """
    try:
        signed = parse(SignedProposal, signed_proposal)
        proposal = parse(Proposal, signed.proposal_bytes)
        header = parse(ChannelHeader, parse(Header, proposal.header).channel_header)
        extension = parse(ChaincodeHeaderExtension, header.extension)
        payload = parse(ChaincodeProposalPayload, proposal.payload)
        invocation = parse(ChaincodeInvocationSpec, payload.input)
    except TongbanError as error:
        raise ContractError("INVALID_PROPOSAL", str(error)) from None
    args = tuple(invocation.chaincode_spec.input.args)
    return ClientCall(extension.chaincode_id.name, args)
