"""Flows on asyncio: one at a time for a caller, or many in a pipeline."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Generic, TypeVar

from ..core.commands import Answer, Command, Flow, Pause
from ..core.pipeline import Outcome, Pipeline, Step
from ..core.transport import OnAnswer, Transport, Withdrawal

T = TypeVar("T")

STARTS_PER_TURN = 16
"""Flows begun before the event loop may do something else; each costs a signature."""


async def run(flow: Flow[T], transport: Transport) -> T:
    """Carry a flow to its end. Cancelling withdraws the command under way."""
    answer: Answer = None
    while True:
        try:
            command = flow.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        answer = await _carry_out(command, transport)


async def _carry_out(command: Command, transport: Transport) -> Answer:
    future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def on_answer(answer: Answer) -> None:
        if not future.done():
            future.set_result(answer)

    withdrawal = _start(command, transport, on_answer)
    try:
        return await future
    except asyncio.CancelledError:
        withdrawal.cancel()
        raise


def _start(command: Command, transport: Transport, on_answer: OnAnswer) -> Withdrawal:
    if isinstance(command, Pause):
        delay_s = random.uniform(0, command.seconds_max)
        return asyncio.get_running_loop().call_later(delay_s, on_answer, None)
    return transport.start(command, on_answer)


async def run_many(
    flows: Iterable[Flow[T]] | AsyncIterable[Flow[T]], transport: Transport, in_flight_max: int
) -> AsyncIterator[Outcome[T]]:
    """Carry many flows to their ends and yield each outcome as it comes.

    Leaving early withdraws what is under way.
    """
    many = _Many[T](transport, in_flight_max)
    feeder = asyncio.create_task(many.feed(flows))
    try:
        while (outcome := await many.next_outcome(feeder)) is not None:
            yield outcome
            many.taken()
    finally:
        feeder.cancel()
        many.withdraw()
        await asyncio.gather(feeder, return_exceptions=True)


class _Many(Generic[T]):
    """A pipeline, the answers that have come for it, and the outcomes nobody has taken yet."""

    def __init__(self, transport: Transport, in_flight_max: int) -> None:
        self._transport = transport
        self._pipeline = Pipeline[T](in_flight_max)
        self._answers: deque[tuple[Step[T], Answer]] = deque()
        self._outcomes: deque[Outcome[T]] = deque()
        self._under_way: dict[int, Withdrawal] = {}
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def feed(self, flows: Iterable[Flow[T]] | AsyncIterable[Flow[T]]) -> None:
        """Start flows as long as there are any, whenever there is room."""
        try:
            if isinstance(flows, AsyncIterable):
                async for flow in flows:
                    await self._begin(flow)
            else:
                for number, flow in enumerate(flows, 1):
                    await self._begin(flow)
                    if not number % STARTS_PER_TURN:
                        await asyncio.sleep(0)
        finally:
            self._changed.set()

    async def _begin(self, flow: Flow[T]) -> None:
        while not self._pipeline.has_room:
            self._room.clear()
            await self._room.wait()
        self._go_on(self._pipeline.start(flow))

    async def next_outcome(self, feeder: asyncio.Task[None]) -> Outcome[T] | None:
        """The next outcome; None when there will be no more. What feeding raises leaves here."""
        while not self._outcomes:
            if feeder.done():
                feeder.result()
                if self._pipeline.is_empty:
                    return None
            if not self._answers:
                self._changed.clear()
                await self._changed.wait()
            while self._answers:
                self._go_on(self._pipeline.answer(*self._answers.popleft()))
        return self._outcomes.popleft()

    def taken(self) -> None:
        self._pipeline.taken()
        self._room.set()

    def withdraw(self) -> None:
        for withdrawal in self._under_way.values():
            withdrawal.cancel()

    def _go_on(self, step: Step[T] | Outcome[T]) -> None:
        if isinstance(step, Outcome):
            self._under_way.pop(step.index, None)
            self._outcomes.append(step)
            self._changed.set()
            return

        def on_answer(answer: Answer) -> None:
            self._answers.append((step, answer))
            self._changed.set()

        self._under_way[step.number] = _start(step.command, self._transport, on_answer)
