"""``protos.Endorser``: one proposal in, one proposal response out."""

from tongban.node.core.received import ReceivedProposal
from tongban.node.runtime.endorser import Endorser
from tongban.node.services.guard import Context
from tongban.protos.proposal_pb2 import SignedProposal
from tongban.protos.proposal_response_pb2 import ProposalResponse
from tongban.protos.services.endorser_pb2_grpc import EndorserServicer


class EndorserService(EndorserServicer):
    """Serves clients and foreign gateways."""

    def __init__(self, endorser: Endorser) -> None:
        self._endorser = endorser

    async def ProcessProposal(  # noqa: N802, the name on the wire
        self, request: SignedProposal, context: Context
    ) -> ProposalResponse:
        return await self._endorser.process(ReceivedProposal(request))
