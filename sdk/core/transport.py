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


class _Rerouted:
    """A withdrawal whose command may have moved to another transport."""

    __slots__ = ("current", "is_cancelled")

    def __init__(self) -> None:
        self.current: Withdrawal | None = None
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True
        if self.current is not None:
            self.current.cancel()


class PreferStream:
    """The stream until the gateway turns out not to speak it, unary calls from then on.

    What was open at that moment is asked again in unary calls. The caller does not notice.
    """

    def __init__(self, stream: Transport, unary: Transport, *, may_fall_back: bool) -> None:
        self._stream = stream
        self._unary = unary
        self._may_fall_back = may_fall_back
        self.is_streaming = True

    def start(self, command: Command, on_answer: OnAnswer) -> Withdrawal:
        if not self.is_streaming and not isinstance(command, AwaitVerdict):
            return self._unary.start(command, on_answer)
        withdrawal = _Rerouted()

        def route(answer: Answer) -> None:
            if not isinstance(answer, StreamUnsupported):
                on_answer(answer)
            elif not self._may_fall_back:
                on_answer(Failure(StatusCode.UNIMPLEMENTED, answer.message))
            elif not withdrawal.is_cancelled:
                self.is_streaming = False
                withdrawal.current = self._unary.start(*_in_unary_calls(command, answer, on_answer))

        started = self._stream.start(command, route)
        if withdrawal.current is None:
            withdrawal.current = started
        return withdrawal


def _in_unary_calls(
    command: Command, answer: StreamUnsupported, on_answer: OnAnswer
) -> tuple[Command, OnAnswer]:
    """What to ask instead. A transaction that was accepted already is only asked for."""
    if not (isinstance(command, Submit) and answer.was_accepted and command.status_request):
        return command, on_answer

    def after_acceptance(answer: Answer) -> None:
        on_answer(replace(answer, was_accepted=True) if isinstance(answer, Failure) else answer)

    return AskStatus(command.status_request(), command.commit_timeout_s), after_acceptance
