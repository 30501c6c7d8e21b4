"""Requests of a peer that has more blocks wait for them, and never for long."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from tests.support.gateway_ports import until
from tongban.node.core.channel import ChannelConfig
from tongban.node.runtime import catch_up
from tongban.node.runtime.block_source import ChannelBlocks
from tongban.node.runtime.catch_up import BEHIND_MAX, CatchUp

CHANNEL = "mychannel"
SIZE = 1_000
SECONDS_MAX = 5.0


def three_blocks() -> ChannelBlocks:
    return ChannelBlocks(3, lambda number: b"", lambda: cast(ChannelConfig, None))


def catch_up_of(blocks: ChannelBlocks, seconds_max: float = 60.0) -> CatchUp:
    return CatchUp({CHANNEL: blocks}.get, seconds_max)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(SECONDS_MAX):
            await work()

    asyncio.run(bounded())


async def is_waiting(task: asyncio.Task[None]) -> bool:
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


def test_what_is_there_is_not_waited_for() -> None:
    async def work() -> None:
        subject = catch_up_of(three_blocks())
        for height in (0, 2, 3):
            await subject.wait(CHANNEL, height, SIZE)
        await subject.wait("unknown", 1_000, SIZE)

    run(work)


def test_a_request_waits_for_the_last_block_that_it_needs() -> None:
    async def work() -> None:
        blocks = three_blocks()
        waiting = asyncio.create_task(catch_up_of(blocks).wait(CHANNEL, 5, SIZE))
        assert await is_waiting(waiting)
        blocks.advance(3, b"block")
        blocks.set_available(False)
        assert await is_waiting(waiting)
        blocks.advance(4, b"block")
        await waiting

    run(work)


def test_a_block_that_does_not_come_is_given_up() -> None:
    async def work() -> None:
        blocks = three_blocks()
        await catch_up_of(blocks, seconds_max=0.01).wait(CHANNEL, 4, SIZE)
        assert blocks.height == 3

    run(work)


@pytest.mark.parametrize("missing", [BEHIND_MAX + 1, 2**63, 2**64 - 4])
def test_who_lacks_so_many_blocks_that_they_will_not_come_does_not_wait(missing: int) -> None:
    async def work() -> None:
        blocks = three_blocks()
        subject = catch_up_of(blocks)
        await subject.wait(CHANNEL, 3 + missing, SIZE)
        waiting = asyncio.create_task(subject.wait(CHANNEL, 3 + BEHIND_MAX, SIZE))
        assert await is_waiting(waiting)
        blocks.close()
        await waiting

    run(work)


def test_who_waits_too_long_for_its_caller_hears_of_the_callers_deadline() -> None:
    async def work() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await catch_up_of(three_blocks()).wait(CHANNEL, 4, SIZE)

    run(work)


def test_nobody_waits_when_the_node_stops() -> None:
    async def work() -> None:
        blocks = three_blocks()
        waiting = asyncio.create_task(catch_up_of(blocks).wait(CHANNEL, 4, SIZE))
        assert await is_waiting(waiting)
        blocks.close()
        await waiting

    run(work)


@pytest.mark.parametrize(("bound", "value"), [("WAITING_MAX", 1), ("WAITING_BYTES_MAX", SIZE)])
def test_one_request_more_than_may_wait_goes_on(
    monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    monkeypatch.setattr(catch_up, bound, value)

    async def work() -> None:
        blocks = three_blocks()
        subject = catch_up_of(blocks)
        waiting = asyncio.create_task(subject.wait(CHANNEL, 4, SIZE))
        assert await is_waiting(waiting)
        await subject.wait(CHANNEL, 4, SIZE)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        again = asyncio.create_task(subject.wait(CHANNEL, 4, SIZE))
        await until(lambda: subject.waiting == 1)
        blocks.advance(3, b"block")
        await again

    run(work)
