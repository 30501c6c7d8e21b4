"""Turns the outcome of a simulation into a proposal response, and signs it.

What is endorsed and what is only told depends on the chaincode's status
(fabric core/endorser/endorser.go, ProcessProposalSuccessfullyOrError):

    below 400    payload and endorsement
    400 to 499   the response alone
    from 500     the payload too, but nobody vouches for it
"""

from typing import NamedTuple

from tongban.protos import chaincode_event_pb2, proposal_pb2, proposal_response_pb2
from tongban.protos.signing import Signer

ERROR_THRESHOLD = 400
"""From here on a status is an error, and nothing is endorsed (fabric-chaincode-go shim)."""

ERROR = 500

SYSTEM_VERSION = "syscc"
"""Version of every system chaincode (fabric core/scc/scc.go)."""

PROPOSAL_RESPONSE_VERSION = 1


class Outcome(NamedTuple):
    """What running a chaincode led to."""

    status: int
    message: str
    payload: bytes
    event: tuple[str, bytes] | None
    """Name and payload."""

    results: bytes
    """Serialized TxReadWriteSet, empty without a simulation."""

    interest: proposal_response_pb2.ChaincodeInterest | None


class Endorsed(NamedTuple):
    """What an outcome is the answer to."""

    proposal_hash: bytes
    tx_id: str
    channel_id: str
    """Empty for a call that concerns only this peer; nothing is endorsed then."""

    chaincode_name: str
    chaincode_version: str


def build_payload(call: Endorsed, outcome: Outcome) -> bytes:
    """The serialized ProposalResponsePayload: equal bytes on every peer that agrees."""
    return _encode_payload(call, outcome, build_response(outcome))


def _encode_payload(
    call: Endorsed, outcome: Outcome, response: proposal_response_pb2.Response
) -> bytes:
    action = proposal_pb2.ChaincodeAction(results=outcome.results)
    if outcome.event is not None and outcome.status < ERROR_THRESHOLD:
        action.events = build_event(call, outcome.event)
    action.response.CopyFrom(response)
    chaincode = action.chaincode_id
    chaincode.name = call.chaincode_name
    chaincode.version = call.chaincode_version
    return proposal_response_pb2.ProposalResponsePayload(
        proposal_hash=call.proposal_hash, extension=action.SerializeToString()
    ).SerializeToString()


def build_event(call: Endorsed, event: tuple[str, bytes]) -> bytes:
    """The serialized event; whose it is, the peer says and not the chaincode."""
    name, payload = event
    return chaincode_event_pb2.ChaincodeEvent(
        chaincode_id=call.chaincode_name, tx_id=call.tx_id, event_name=name, payload=payload
    ).SerializeToString()


def respond(
    call: Endorsed, outcome: Outcome, signer: Signer
) -> proposal_response_pb2.ProposalResponse:
    """The answer to a proposal, endorsed if the outcome is a success on a channel."""
    response = build_response(outcome)
    answer = proposal_response_pb2.ProposalResponse(response=response)
    if outcome.status < ERROR and (not call.channel_id or outcome.status >= ERROR_THRESHOLD):
        return answer
    payload = answer.payload = _encode_payload(call, outcome, response)
    if outcome.interest is not None:
        answer.interest.CopyFrom(outcome.interest)
    if outcome.status < ERROR:
        answer.version = PROPOSAL_RESPONSE_VERSION
        creator = signer.creator
        endorsed = answer.endorsement
        endorsed.endorser = creator
        endorsed.signature = signer.sign(payload + creator)
    return answer


def build_response(outcome: Outcome) -> proposal_response_pb2.Response:
    """What the chaincode answered."""
    return proposal_response_pb2.Response(
        status=outcome.status, message=outcome.message, payload=outcome.payload
    )
