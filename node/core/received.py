"""A signed proposal as it came in, read layer by layer.

A gateway and the endorser beside it look at the same layers; each is parsed once.
"""

from tongban.protos import chaincode_pb2, common_pb2, proposal_pb2
from tongban.protos.codec import parse


class ReceivedProposal:
    """What has been received, and what was read of it so far.

    Every layer is parsed when it is first asked for; asking raises MalformedMessage or
    LimitExceeded if it, or one around it, cannot be.
    """

    __slots__ = (
        "_channel_header",
        "_header",
        "_invocation",
        "_payload",
        "_proposal",
        "_signature_header",
        "signed",
    )

    def __init__(self, signed: proposal_pb2.SignedProposal) -> None:
        self.signed = signed
        self._proposal: proposal_pb2.Proposal | None = None
        self._header: common_pb2.Header | None = None
        self._channel_header: common_pb2.ChannelHeader | None = None
        self._signature_header: common_pb2.SignatureHeader | None = None
        self._payload: proposal_pb2.ChaincodeProposalPayload | None = None
        self._invocation: chaincode_pb2.ChaincodeInvocationSpec | None = None

    @property
    def proposal(self) -> proposal_pb2.Proposal:
        found = self._proposal
        if found is None:
            found = self._proposal = parse(proposal_pb2.Proposal, self.signed.proposal_bytes)
        return found

    @property
    def header(self) -> common_pb2.Header:
        found = self._header
        if found is None:
            found = self._header = parse(common_pb2.Header, self.proposal.header)
        return found

    @property
    def channel_header(self) -> common_pb2.ChannelHeader:
        found = self._channel_header
        if found is None:
            data = self.header.channel_header
            found = self._channel_header = parse(common_pb2.ChannelHeader, data)
        return found

    @property
    def signature_header(self) -> common_pb2.SignatureHeader:
        found = self._signature_header
        if found is None:
            data = self.header.signature_header
            found = self._signature_header = parse(common_pb2.SignatureHeader, data)
        return found

    @property
    def payload(self) -> proposal_pb2.ChaincodeProposalPayload:
        found = self._payload
        if found is None:
            data = self.proposal.payload
            found = self._payload = parse(proposal_pb2.ChaincodeProposalPayload, data)
        return found

    @property
    def invocation(self) -> chaincode_pb2.ChaincodeInvocationSpec:
        found = self._invocation
        if found is None:
            data = self.payload.input
            found = self._invocation = parse(chaincode_pb2.ChaincodeInvocationSpec, data)
        return found
