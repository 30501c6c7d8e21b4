"""Who carries commands out, and the choice between the stream and unary calls."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, Protocol

from ..errors import StatusCode
from .commands import (
    Answer,
    AskStatus,
    AwaitVerdict,
    Command,
    Failure,
    StreamUnsupported,
    Submit,
)

StreamChoice = Literal["auto"] | bool
"""True: the stream or an error. False: unary calls. "auto": whichever the gateway speaks."""

OnAnswer = Callable[[Answer], None]


class Withdrawal(Protocol):
    """A command under way."""

    def cancel(self) -> None:
        """Nobody waits any more; there will be no answer."""


class Transport(Protocol):
    """Carries out commands. ``on_answer`` is called once, from wherever answers arrive, perhaps
    before ``start`` returns; it must be quick and must not raise."""

    def start(self, command: Command, on_answer: OnAnswer) -> Withdrawal: ...


class PreferStream:
    """The stream until the gateway turns out not to speak it, unary calls from then on.

    What was open at that moment is asked again in unary calls. The caller does not notice.
    """

    def __init__(self, stream: Transport, unary: Transport, *, may_fall_back: bool) -> None:
        self.stream = stream
        self.unary = unary
        self.may_fall_back = may_fall_back
        self.is_streaming = True

    def start(self, command: Command, on_answer: OnAnswer) -> Withdrawal:
        if self.is_streaming or isinstance(command, AwaitVerdict):
            routed = _Routed(self, command, on_answer)
            routed.start()
            return routed
        return self.unary.start(command, on_answer)


class _Routed:
    """A command that may move to another transport."""

    __slots__ = ("_command", "_current", "_has_moved", "_is_cancelled", "_on_answer", "_owner")

    def __init__(self, owner: PreferStream, command: Command, on_answer: OnAnswer) -> None:
        self._owner = owner
        self._command = command
        self._on_answer = on_answer
        self._current: Withdrawal | None = None
        self._has_moved = False
        self._is_cancelled = False

    def start(self) -> None:
        current = self._owner.stream.start(self._command, self._route)
        if not self._has_moved:
            self._current = current

    def cancel(self) -> None:
        self._is_cancelled = True
        if self._current is not None:
            self._current.cancel()

    def _route(self, answer: Answer) -> None:
        if not isinstance(answer, StreamUnsupported):
            self._on_answer(answer)
        elif not self._owner.may_fall_back:
            self._on_answer(Failure(StatusCode.UNIMPLEMENTED, answer.message))
        elif not self._is_cancelled:
            self._owner.is_streaming = False
            self._has_moved = True
            again = _in_unary_calls(self._command, answer, self._on_answer)
            self._current = self._owner.unary.start(*again)


def _in_unary_calls(
    command: Command, answer: StreamUnsupported, on_answer: OnAnswer
) -> tuple[Command, OnAnswer]:
    """What to ask instead. A transaction that was accepted already is only asked for."""
    if not (isinstance(command, Submit) and answer.was_accepted and command.status_request):
        return command, on_answer

    def after_acceptance(answer: Answer) -> None:
        on_answer(replace(answer, was_accepted=True) if isinstance(answer, Failure) else answer)

    return AskStatus(command.status_request(), command.commit_timeout_s), after_acceptance
