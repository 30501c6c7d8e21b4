"""One request as a session knows it."""

import math
from typing import Final, NamedTuple

from ..errors import StatusCode
from .commands import (
    NO_ANSWER,
    NO_VERDICT,
    NOT_ACCEPTED,
    Answer,
    AskStatus,
    AwaitVerdict,
    Endorse,
    Evaluate,
    Failure,
    Submit,
    Ticket,
)

NEVER: Final = math.inf

Request = Endorse | Evaluate | Submit | AskStatus | AwaitVerdict


class Answered(NamedTuple):
    """A request is over; what to tell whoever waits."""

    waiter: object
    answer: Answer


class Handle:
    """One request as the session knows it. For others: what to ``cancel``."""

    __slots__ = (
        "accept_by",
        "ask_at",
        "asks",
        "command",
        "deadline",
        "drops",
        "is_accepted",
        "is_over",
        "submit_at",
        "ticket",
        "waiter",
        "wire_ids",
    )

    def __init__(self, command: Request, waiter: object, deadline: float) -> None:
        self.command = command
        self.waiter = waiter
        self.deadline = deadline
        self.accept_by = NEVER
        self.submit_at = NEVER
        """When to submit it again."""
        self.ask_at = NEVER
        """When to ask for its verdict again."""
        self.drops = 0
        """Streams that ended under it."""
        self.is_accepted = False
        self.is_over = False
        self.asks = False
        """Whether its verdict is asked for by transaction id."""
        self.ticket: Ticket | None = None
        self.wire_ids: list[int] = []

    @property
    def may_be_accepted(self) -> bool:
        return self.is_accepted or (self.drops > 0 and isinstance(self.command, Submit))


BODIES: dict[type[object], str] = {
    Endorse: "propose",
    Evaluate: "evaluate",
    Submit: "submit",
    AskStatus: "commit_status",
}


def is_local(handle: Handle) -> bool:
    return isinstance(handle.command, AwaitVerdict)


def late(handle: Handle) -> Failure:
    command = handle.command
    if isinstance(command, Submit) and handle.deadline > handle.accept_by:
        text = NOT_ACCEPTED.format(command.timeout_s)
    elif isinstance(command, Submit):
        text = NO_VERDICT.format(command.commit_timeout_s)
    else:
        text = NO_ANSWER.format(command.timeout_s)
    return Failure(StatusCode.DEADLINE_EXCEEDED, text, (), handle.may_be_accepted)
