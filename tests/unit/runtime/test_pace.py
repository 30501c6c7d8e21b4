"""When the writer of a stream to another node lets messages gather, and when it does not."""

import asyncio
from dataclasses import dataclass, field

from tongban.node.runtime.outbox import Outbox
from tongban.node.runtime.pace import LOOKS_MAX, OPEN_FOR_EACH, WANTED_MAX, Pace, wanted_count


@dataclass
class Rest:
    """Instead of sleep: at each of its pauses, another message comes into the outbox."""

    arriving: list[int] = field(default_factory=list)
    pauses: int = 0
    outbox: Outbox[int] | None = None

    async def sleep(self, seconds: float) -> None:
        self.pauses += 1
        if self.arriving and self.outbox is not None:
            self.outbox.put(self.arriving.pop(0))


def an_outbox(open_count: int, *arriving: int) -> tuple[Outbox[int], Rest]:
    rest = Rest(list(arriving))
    rest.outbox = Outbox(Pace(lambda: open_count, rest.sleep))
    return rest.outbox, rest


def test_more_is_waited_for_the_more_is_open_within_a_bound() -> None:
    wanted = [wanted_count(count) for count in range(1_000)]
    assert wanted == sorted(wanted)
    assert set(wanted[: 2 * OPEN_FOR_EACH]) == {0, 1}, "one message waits for no other"
    assert wanted[2 * OPEN_FOR_EACH] == 2
    assert max(wanted) == WANTED_MAX


def test_a_few_callers_never_wait() -> None:
    async def scenario() -> None:
        outbox, rest = an_outbox(2 * OPEN_FOR_EACH - 1)
        for message in range(3):
            outbox.put(message)
            assert await outbox.take() == [message]
        assert rest.pauses == 0

    asyncio.run(scenario())


def test_under_load_a_frame_waits_for_some_messages_and_not_for_all() -> None:
    async def scenario() -> None:
        outbox, rest = an_outbox(4 * OPEN_FOR_EACH, 2, 3, 4, 5, 6)
        outbox.put(1)
        assert await outbox.take() == [1, 2, 3, 4]
        assert rest.pauses == 3
        for message in range(10, 20):
            outbox.put(message)
        assert await outbox.take() == list(range(10, 20))
        assert rest.pauses == 3

    asyncio.run(scenario())


def test_who_waits_in_vain_goes_alone_after_a_bounded_time() -> None:
    async def scenario() -> None:
        outbox, rest = an_outbox(10_000)
        outbox.put(1)
        assert await outbox.take() == [1]
        assert rest.pauses == LOOKS_MAX

    asyncio.run(scenario())


def test_the_wait_ends_when_the_others_have_been_answered() -> None:
    async def scenario() -> None:
        counts = [10_000, 10_000, 1]
        rest = Rest()
        outbox: Outbox[int] = Outbox(Pace(lambda: counts.pop(0), rest.sleep))
        outbox.put(1)
        assert await outbox.take() == [1]
        assert rest.pauses == 2

    asyncio.run(scenario())


def test_a_closed_outbox_waits_for_nothing() -> None:
    async def scenario() -> None:
        outbox, rest = an_outbox(10_000)
        outbox.put(1)
        outbox.close()
        assert await outbox.take() == [1]
        assert await outbox.take() == []
        assert rest.pauses == 0

    asyncio.run(scenario())
