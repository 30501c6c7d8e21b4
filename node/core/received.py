"""A signed proposal as it came in, read layer by layer.

A gateway and the endorser beside it look at the same layers; each is parsed once.
"""

from functools import cached_property

from tongban.protos import chaincode_pb2, common_pb2, proposal_pb2
from tongban.protos.codec import parse


class ReceivedProposal:
    """What has been received, and what was read of it so far.

    Every layer is parsed when it is first asked for; asking raises MalformedMessage or
    LimitExceeded if it, or one around it, cannot be.
    """

    def __init__(self, signed: proposal_pb2.SignedProposal) -> None:
        self.signed = signed

    @cached_property
    def proposal(self) -> proposal_pb2.Proposal:
        return parse(proposal_pb2.Proposal, self.signed.proposal_bytes)

    @cached_property
    def header(self) -> common_pb2.Header:
        return parse(common_pb2.Header, self.proposal.header)

    @cached_property
    def channel_header(self) -> common_pb2.ChannelHeader:
        return parse(common_pb2.ChannelHeader, self.header.channel_header)

    @cached_property
    def signature_header(self) -> common_pb2.SignatureHeader:
        return parse(common_pb2.SignatureHeader, self.header.signature_header)

    @cached_property
    def payload(self) -> proposal_pb2.ChaincodeProposalPayload:
        return parse(proposal_pb2.ChaincodeProposalPayload, self.proposal.payload)

    @cached_property
    def invocation(self) -> chaincode_pb2.ChaincodeInvocationSpec:
        return parse(chaincode_pb2.ChaincodeInvocationSpec, self.payload.input)
