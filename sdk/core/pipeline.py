"""Many flows at once, no more than a given number under way or waiting to be taken.

The driver starts flows while there is room, carries out their commands, and takes outcomes. An
outcome that nobody has taken yet still occupies its place, so a slow consumer slows the producer
and memory stays bounded.
"""

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from tongban.protos.errors import TongbanError

from .commands import Answer, Command, Flow

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """How one of many ended: with a result or with the error of the step that failed."""

    index: int
    """Place in the input, from 0."""
    result: T | None
    error: TongbanError | None

    def get(self) -> T:
        """The result.

        Raises:
            TongbanError: the error, if it ended with one.
        """
        if self.error is not None:
            raise self.error
        assert self.result is not None
        return self.result


class Step(NamedTuple, Generic[T]):
    """A flow under way, and what it wants done now."""

    number: int
    flow: Flow[T]
    command: Command


class Pipeline(Generic[T]):
    """Runs flows, at most ``in_flight_max`` at a time."""

    def __init__(self, in_flight_max: int) -> None:
        if in_flight_max < 1:
            raise ValueError(f"expected at least one in flight, found {in_flight_max}")
        self._in_flight_max = in_flight_max
        self._started_count = 0
        self._occupied = 0

    @property
    def is_empty(self) -> bool:
        """Whether every flow has ended and every outcome was taken."""
        return not self._occupied

    @property
    def has_room(self) -> bool:
        return self._occupied < self._in_flight_max

    def start(self, flow: Flow[T]) -> Step[T] | Outcome[T]:
        """Begin a flow; there must be room."""
        assert self.has_room
        index = self._started_count
        self._started_count += 1
        self._occupied += 1
        return self._advance(index, flow, None)

    def answer(self, step: Step[T], answer: Answer) -> Step[T] | Outcome[T]:
        """Tell a flow what its command came to."""
        return self._advance(step.number, step.flow, answer)

    def taken(self) -> None:
        """The consumer has taken an outcome, which frees its place."""
        self._occupied -= 1

    def _advance(self, index: int, flow: Flow[T], answer: Answer) -> Step[T] | Outcome[T]:
        try:
            return Step(index, flow, flow.send(answer))
        except StopIteration as stop:
            return Outcome(index, stop.value, None)
        except TongbanError as error:
            return Outcome(index, None, error)
