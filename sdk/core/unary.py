"""Commands in terms of the unary calls that every Fabric gateway serves."""

from collections.abc import Generator
from dataclasses import replace
from typing import NamedTuple

from google.protobuf.message import DecodeError, Message

from tongban.protos.gateway_pb2 import CommitStatusResponse, EndorseResponse, EvaluateResponse

from ..errors import StatusCode
from .commands import (
    NO_ANSWER,
    NO_VERDICT,
    NOT_ACCEPTED,
    Accepted,
    Answer,
    AskStatus,
    AwaitVerdict,
    Command,
    Endorse,
    Evaluate,
    Failure,
    Pause,
    Submit,
)

ENDORSE = "/gateway.Gateway/Endorse"
EVALUATE = "/gateway.Gateway/Evaluate"
SUBMIT = "/gateway.Gateway/Submit"
COMMIT_STATUS = "/gateway.Gateway/CommitStatus"
CHAINCODE_EVENTS = "/gateway.Gateway/ChaincodeEvents"

LATE_IN_GRPCS_WORDS = ("Deadline Exceeded", "Stream removed")
"""How its texts begin when the deadline has passed on this side, or the peer has reset the call."""


class Call(NamedTuple):
    """One unary call, bytes in and bytes out."""

    method: str
    request: bytes
    timeout_s: float


Reply = bytes | Failure
Calls = Generator[Call, Reply, Answer]


def perform(command: Command) -> Calls:
    """The calls that carry out a command; returns its answer."""
    match command:
        case Endorse():
            return (yield from _one(ENDORSE, command.request, command.timeout_s, EndorseResponse))
        case Evaluate():
            return (yield from _one(EVALUATE, command.request, command.timeout_s, EvaluateResponse))
        case AskStatus():
            return (yield from _status(command.request, command.timeout_s))
        case Submit():
            return (yield from _submit(command))
        case AwaitVerdict() | Pause():
            raise AssertionError(f"{type(command).__name__} is not a call")


def _submit(command: Submit) -> Calls:
    reply = yield Call(SUBMIT, command.request, command.timeout_s)
    if isinstance(reply, Failure):
        return _explain(reply, NOT_ACCEPTED.format(command.timeout_s))
    if not command.waits_for_commit or command.status_request is None:
        return Accepted(ticket=None)
    late = NO_VERDICT.format(command.commit_timeout_s)
    answer = yield from _status(command.status_request(), command.commit_timeout_s, late)
    return replace(answer, was_accepted=True) if isinstance(answer, Failure) else answer


def _status(request: bytes, timeout_s: float, late: str = "") -> Calls:
    return (yield from _one(COMMIT_STATUS, request, timeout_s, CommitStatusResponse, late))


def _one(
    method: str,
    request: bytes,
    timeout_s: float,
    kind: type[EndorseResponse] | type[EvaluateResponse] | type[CommitStatusResponse],
    late: str = "",
) -> Calls:
    reply = yield Call(method, request, timeout_s)
    if isinstance(reply, Failure):
        return _explain(reply, late or NO_ANSWER.format(timeout_s))
    try:
        return kind.FromString(reply)
    except DecodeError:
        return Failure(StatusCode.INTERNAL, f"the gateway's answer is not a {_name(kind)}")


def _explain(failure: Failure, late: str) -> Failure:
    """The failure; where grpc alone says that time is up, it is said in our words. A gateway that
    gave up itself has said at which stage."""
    is_late = failure.code == StatusCode.DEADLINE_EXCEEDED
    if is_late and failure.message.startswith(LATE_IN_GRPCS_WORDS):
        return replace(failure, message=late)
    return failure


def _name(kind: type[Message]) -> str:
    return kind.DESCRIPTOR.name
