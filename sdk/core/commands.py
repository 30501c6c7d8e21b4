"""What a flow wants done, and what it is told. Commands are in the imperative, answers are values.

They are named tuples where many are made, since those cost a third of a frozen dataclass.

A flow is a generator that yields commands, is sent an answer to each, and returns its result. So
the same flow runs on asyncio, on threads, and in a pipeline of many.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from tongban.protos.gateway_pb2 import CommitStatusResponse, EndorseResponse, EvaluateResponse

from ..errors import ErrorDetail, StatusCode


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds that each step may take; those of the official sample applications."""

    evaluate_s: float = 5
    endorse_s: float = 15
    submit_s: float = 5
    """Until an orderer has accepted."""
    commit_status_s: float = 60
    """From there until the block is committed."""


class Endorse(NamedTuple):
    """Collect endorsements. Answered with EndorseResponse."""

    request: bytes
    """A serialized EndorseRequest."""
    timeout_s: float


class Evaluate(NamedTuple):
    """Run a proposal on one peer. Answered with EvaluateResponse."""

    request: bytes
    """A serialized EvaluateRequest."""
    timeout_s: float


class Submit(NamedTuple):
    """Hand an envelope to an orderer. Answered with CommitStatusResponse, or with Accepted when the
    verdict is not waited for."""

    request: bytes
    """A serialized SubmitRequest."""
    timeout_s: float
    commit_timeout_s: float
    """From acceptance to the verdict."""
    status_request: Callable[[], bytes] | None
    """Makes a SignedCommitStatusRequest, for asking again; None when nobody here can sign."""
    waits_for_commit: bool = True


class AskStatus(NamedTuple):
    """Ask for the verdict on a transaction. Answered with CommitStatusResponse."""

    request: bytes
    """A serialized SignedCommitStatusRequest."""
    timeout_s: float


class Ticket:
    """Where the verdict on a submitted transaction arrives by itself. Owned by one session."""

    __slots__ = ("answer", "listener")

    def __init__(self) -> None:
        self.answer: CommitStatusResponse | Failure | None = None
        self.listener: object | None = None


@dataclass(frozen=True, slots=True)
class AwaitVerdict:
    """Wait for the verdict under a ticket. Answered with CommitStatusResponse."""

    ticket: Ticket
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Let some time pass: anything up to this, chosen at random. Answered with None."""

    seconds_max: float


Command = Endorse | Evaluate | Submit | AskStatus | AwaitVerdict | Pause


@dataclass(frozen=True, slots=True)
class Accepted:
    """An orderer has accepted. Without a ticket the verdict must be asked for."""

    ticket: Ticket | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A command could not be carried out. Any of them may be answered so."""

    code: StatusCode
    message: str
    details: tuple[ErrorDetail, ...] = ()
    was_accepted: bool = field(default=False)
    """Of Submit: an orderer has accepted, or may have before the connection broke."""


NO_ANSWER = "the gateway did not answer within {:g} s"
NOT_ACCEPTED = "no orderer accepted the transaction within {:g} s"
NO_VERDICT = "no verdict on the transaction within {:g} s"
"""What a caller is told whose time is up, over a stream and in unary calls alike."""


@dataclass(frozen=True, slots=True)
class StreamUnsupported:
    """The other side does not speak our stream; ask the same in unary calls."""

    message: str
    was_accepted: bool = False
    """Of Submit: an orderer has accepted already; only the verdict is missing."""


Answer = (
    EndorseResponse
    | EvaluateResponse
    | CommitStatusResponse
    | Accepted
    | Failure
    | StreamUnsupported
    | None
)

T = TypeVar("T")
Flow = Generator[Command, Answer, T]
