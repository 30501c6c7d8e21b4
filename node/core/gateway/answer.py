"""What an endorser's answer means: an endorsement, or which kind of failure.

Fabric decides this by whether there is a response, an error, or both; only the local peer can give
both (fabric internal/pkg/gateway/apiutils.go, responseStatus). Other than there, a peer that
refused a proposal, or whose chaincode crashed, is asked again: otherwise one bad proposal would
take the peer from everybody else. Only one that cannot be reached is left alone until it shows
itself.
"""

import contextlib
from dataclasses import dataclass
from typing import NamedTuple

from tongban.node.core.gateway.errors import Code
from tongban.protos import proposal_pb2, proposal_response_pb2
from tongban.protos.codec import parse
from tongban.protos.errors import TongbanError


class EndorserAnswer(NamedTuple):
    """What came back from an endorser."""

    response: proposal_response_pb2.ProposalResponse | None = None
    error: str | None = None
    is_unreachable: bool = False
    """Whether the error is that there was no way to the endorser, or that it was lost."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an answer is not an endorsement, and what to do about it."""

    code: Code
    message: str
    may_retry: bool
    """Whether another peer may do better; only Evaluate looks at it."""

    forget_peer: bool
    """Whether the peer should not be asked again until it announces itself."""


def classify(answer: EndorserAnswer) -> Failure | None:
    """None for a success."""
    if answer.error is not None:
        if answer.response is None:
            forget = answer.is_unreachable
            return Failure(Code.UNAVAILABLE, answer.error, may_retry=True, forget_peer=forget)
        return Failure(Code.FAILED_PRECONDITION, answer.error, may_retry=False, forget_peer=False)
    if answer.response is None:
        raise AssertionError("an answer has a response or an error")
    status, message = answer.response.response.status, answer.response.response.message
    if 200 <= status < 400:
        return None
    if status == 500 and not answer.response.payload:
        return Failure(Code.ABORTED, message, may_retry=True, forget_peer=False)
    text = f"chaincode response {status}, {message}"
    return Failure(Code.UNKNOWN, text, may_retry=False, forget_peer=False)


def result_of(response: proposal_response_pb2.ProposalResponse) -> proposal_response_pb2.Response:
    """The contract's response, with the payload that was endorsed."""
    if not response.payload:
        return response.response
    result = proposal_response_pb2.Response()
    result.CopyFrom(response.response)
    # What cannot be read was not made by a peer of ours; the outer response stands then.
    with contextlib.suppress(TongbanError):
        outer = parse(proposal_response_pb2.ProposalResponsePayload, response.payload)
        action = parse(proposal_pb2.ChaincodeAction, outer.extension)
        result.payload = action.response.payload
    return result
