"""What an endorser's answer means to the gateway, and who is asked again."""

import pytest

from tongban.node.core.gateway.answer import EndorserAnswer, Failure, classify
from tongban.node.core.gateway.errors import Code
from tongban.protos.proposal_response_pb2 import ProposalResponse, Response


def response(status: int, message: str = "", payload: bytes = b"") -> ProposalResponse:
    return ProposalResponse(response=Response(status=status, message=message), payload=payload)


CRASHED = "error in simulation: transaction returned with failure: chaincode stream terminated"


@pytest.mark.parametrize(
    ("answer", "code", "may_retry", "forget_peer"),
    [
        (EndorserAnswer(None, "gone", is_unreachable=True), Code.UNAVAILABLE, True, True),
        # One bad proposal, or too many at once, must not take a peer from everybody else.
        (EndorserAnswer(None, "identity expired"), Code.UNAVAILABLE, True, False),
        (EndorserAnswer(None, "too many requests"), Code.UNAVAILABLE, True, False),
        (EndorserAnswer(response(500, CRASHED)), Code.ABORTED, True, False),
        (EndorserAnswer(response(500, "timeout")), Code.ABORTED, True, False),
        (EndorserAnswer(response(500), "denied"), Code.FAILED_PRECONDITION, False, False),
        (EndorserAnswer(response(500, "no", b"p")), Code.UNKNOWN, False, False),
        (EndorserAnswer(response(404, "no")), Code.UNKNOWN, False, False),
    ],
)
def test_a_failure_says_what_to_do(
    answer: EndorserAnswer, code: Code, may_retry: bool, forget_peer: bool
) -> None:
    failure = classify(answer)
    assert isinstance(failure, Failure)
    assert (failure.code, failure.may_retry, failure.forget_peer) == (code, may_retry, forget_peer)


@pytest.mark.parametrize("status", [200, 201, 399])
def test_a_success_is_no_failure(status: int) -> None:
    assert classify(EndorserAnswer(response(status, payload=b"p"))) is None
