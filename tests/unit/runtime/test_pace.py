"""When the writer of a framed stream lets messages gather, and when it does not."""

import asyncio
from dataclasses import dataclass, field

from tongban.node.runtime.outbox import Outbox
from tongban.node.runtime.pace import (
    OPEN_UNPACED,
    PAUSE_SECONDS_MAX,
    Pace,
    pause_seconds,
)


@dataclass
class Clock:
    """Time that passes when somebody sleeps; meanwhile ``arriving`` come into the outbox."""

    time: float = 100.0
    slept: list[float] = field(default_factory=list)
    outbox: Outbox[int] | None = None
    arriving: list[int] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.time += seconds
        if self.outbox is not None:
            for message in self.arriving:
                self.outbox.put(message)


def test_the_pause_grows_with_the_open_requests_up_to_its_bound() -> None:
    pauses = [pause_seconds(count) for count in range(2_500)]
    assert pauses == sorted(pauses)
    assert set(pauses[: OPEN_UNPACED + 1]) == {0.0}
    assert 0 < pauses[OPEN_UNPACED + 1] < PAUSE_SECONDS_MAX == max(pauses)


def test_few_open_requests_never_wait() -> None:
    async def scenario() -> list[float]:
        clock = Clock()
        pace = Pace(lambda: OPEN_UNPACED, clock.now, clock.sleep)
        for _ in range(5):
            await pace.wait()
        return clock.slept

    assert asyncio.run(scenario()) == []


def test_under_load_the_first_frame_goes_at_once_and_the_next_after_the_pause() -> None:
    async def scenario() -> list[float]:
        clock = Clock()
        pace = Pace(lambda: 1_000, clock.now, clock.sleep)
        await pace.wait()
        assert clock.slept == []
        clock.time += 0.005  # writing takes its time
        await pace.wait()
        await pace.wait()
        clock.time += 1
        await pace.wait()
        return clock.slept

    rest = round(PAUSE_SECONDS_MAX - 0.005, 6)
    assert asyncio.run(scenario()) == [rest, PAUSE_SECONDS_MAX]


def test_what_comes_in_the_pause_goes_out_with_what_waited() -> None:
    async def scenario() -> tuple[list[int], list[int]]:
        clock = Clock(arriving=[3, 4])
        outbox: Outbox[int] = Outbox(Pace(lambda: 1_000, clock.now, clock.sleep))
        clock.outbox = outbox
        outbox.put(1)
        first = await outbox.take()
        outbox.put(2)
        return first, await outbox.take()

    assert asyncio.run(scenario()) == ([1], [2, 3, 4])


def test_a_full_frame_and_a_closed_outbox_wait_for_nothing() -> None:
    async def scenario() -> list[float]:
        clock = Clock()
        outbox: Outbox[int] = Outbox(Pace(lambda: 1_000, clock.now, clock.sleep))
        for message in range(6):
            outbox.put(message)
        assert await outbox.take(2) == [0, 1]
        assert await outbox.take(2) == [2, 3]
        outbox.close()
        assert await outbox.take(5) == [4, 5]
        assert await outbox.take() == []
        return clock.slept

    assert asyncio.run(scenario()) == []
