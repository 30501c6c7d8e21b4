"""Flows on threads: one at a time for a caller, or many in a pipeline of one caller's thread.

Whoever waits keeps the time: ``tick`` does what is due and says when to come again.
"""

import heapq
import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from ..core.commands import Answer, Command, Flow, Pause
from ..core.pipeline import Outcome, Pipeline, Step
from ..core.transport import Transport, Withdrawal

T = TypeVar("T")

Tick = Callable[[], float | None]
"""Does what is due; seconds until it must be called again, None for never."""


def run(flow: Flow[T], transport: Transport, tick: Tick) -> T:
    """Carry a flow to its end."""
    answer: Answer = None
    while True:
        try:
            command = flow.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        if isinstance(command, Pause):
            time.sleep(random.uniform(0, command.seconds_max))
            answer = None
        else:
            answer = _carry_out(command, transport, tick)


def _carry_out(command: Command, transport: Transport, tick: Tick) -> Answer:
    box: SimpleQueue[Answer] = SimpleQueue()
    withdrawal: Withdrawal | None = transport.start(command, box.put)
    try:
        answer = _next(box, tick)
        withdrawal = None
        return answer
    finally:
        if withdrawal is not None:  # the caller was interrupted
            withdrawal.cancel()


def _next(box: "SimpleQueue[T]", tick: Tick) -> T:
    while True:
        try:
            return box.get(timeout=tick())
        except Empty:
            continue


def run_many(
    flows: Iterable[Flow[T]], transport: Transport, tick: Tick, in_flight_max: int
) -> Iterator[Outcome[T]]:
    """Carry many flows to their ends and yield each outcome as it comes.

    Leaving early withdraws what is under way.
    """
    many = _Many[T](transport, tick, in_flight_max)
    pending = iter(flows)
    try:
        while (outcome := many.next_outcome(pending)) is not None:
            yield outcome
            many.taken()
    finally:
        many.withdraw()


class _Many(Generic[T]):
    """A pipeline, the answers that have come for it, and the outcomes nobody has taken yet."""

    def __init__(self, transport: Transport, tick: Tick, in_flight_max: int) -> None:
        self._transport = transport
        self._tick = tick
        self._pipeline = Pipeline[T](in_flight_max)
        self._answers: SimpleQueue[tuple[Step[T], Answer]] = SimpleQueue()
        self._outcomes: deque[Outcome[T]] = deque()
        self._under_way: dict[int, Withdrawal] = {}
        self._paused: list[tuple[float, int, Step[T]]] = []
        self._has_more = True

    def next_outcome(self, pending: Iterator[Flow[T]]) -> Outcome[T] | None:
        """The next outcome; None when there will be no more."""
        while not self._outcomes:
            if self._has_more and self._pipeline.has_room and self._answers.empty():
                flow = next(pending, None)
                self._has_more = flow is not None
                if flow is not None:
                    self._go_on(self._pipeline.start(flow))
            elif self._pipeline.is_empty:
                return None
            else:
                self._take_answer()
        return self._outcomes.popleft()

    def taken(self) -> None:
        self._pipeline.taken()

    def withdraw(self) -> None:
        for withdrawal in self._under_way.values():
            withdrawal.cancel()

    def _take_answer(self) -> None:
        try:
            step, answer = self._answers.get(timeout=self._wait_s())
        except Empty:
            return
        self._go_on(self._pipeline.answer(step, answer))

    def _wait_s(self) -> float | None:
        """Until the next thing to do, apart from an answer."""
        now = time.monotonic()
        while self._paused and self._paused[0][0] <= now:
            self._answers.put((heapq.heappop(self._paused)[2], None))
        wait_s = self._tick()
        if self._paused:
            until = self._paused[0][0] - now
            wait_s = until if wait_s is None else min(wait_s, until)
        return wait_s

    def _go_on(self, step: Step[T] | Outcome[T]) -> None:
        if isinstance(step, Outcome):
            self._under_way.pop(step.index, None)
            self._outcomes.append(step)
        elif isinstance(step.command, Pause):
            due = time.monotonic() + random.uniform(0, step.command.seconds_max)
            self._under_way.pop(step.number, None)
            heapq.heappush(self._paused, (due, step.number, step))
        else:
            answers = self._answers
            self._under_way[step.number] = self._transport.start(
                step.command, lambda answer: answers.put((step, answer))
            )
