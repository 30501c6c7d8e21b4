"""Run a proposal on one peer and return what the contract says
(fabric internal/pkg/gateway/evaluate.go)."""

from collections.abc import Sequence

from tongban.node.core.gateway.answer import classify, result_of
from tongban.node.core.gateway.directory import PeerRecord
from tongban.node.core.gateway.errors import Code, GatewayError, NodeError
from tongban.node.core.gateway.request import ProposalFacts
from tongban.node.runtime.gateway.ask import ask
from tongban.node.runtime.gateway.ports import Endorsers
from tongban.protos.proposal_response_pb2 import Response


async def evaluate(
    facts: ProposalFacts, endorsers: Endorsers, organizations: Sequence[str], limit: float | None
) -> Response:
    """The first answer that a suitable peer gives; each may take ``limit`` seconds.

    Raises:
        GatewayError: the contract refused, or no peer could answer.
    """
    errors: list[NodeError] = []
    code = Code.UNAVAILABLE
    for peer in _candidates(facts, endorsers, organizations):
        answer = await ask(endorsers.evaluate, peer, facts.received, limit)
        failure = classify(answer)
        if failure is None and answer.response is not None:
            return result_of(answer.response)
        if failure is None:
            raise AssertionError("a success has a response")
        code = failure.code
        errors.append(NodeError(peer.endpoint, peer.msp_id, failure.message))
        if failure.forget_peer:
            endorsers.forget(peer)
        if not failure.may_retry:
            text = f"evaluate call to endorser returned error: {failure.message}"
            raise GatewayError(code, text, errors)
    text = "failed to evaluate transaction, see attached details for more info"
    raise GatewayError(code, text, errors)


def _candidates(
    facts: ProposalFacts, endorsers: Endorsers, organizations: Sequence[str]
) -> list[PeerRecord]:
    peers = endorsers.with_chaincode(facts.channel_id, facts.chaincode)
    protected = facts.has_transient and not organizations
    wanted = [endorsers.local.msp_id] if protected else list(organizations)
    chosen = [peer for peer in peers if peer.msp_id in wanted] if wanted else peers
    if chosen:
        return chosen
    text = (
        f"no peers available to evaluate chaincode {facts.chaincode} in channel {facts.channel_id}"
    )
    if protected:
        text = (
            "no endorsers found in the gateway's organization; retry specifying target "
            f"organization(s) to protect transient data: {text}"
        )
    raise GatewayError(Code.FAILED_PRECONDITION, text)
