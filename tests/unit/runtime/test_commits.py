"""Whoever waits for a commit hears of it exactly once."""

import asyncio

from tongban.node.runtime.commits import CommitFeed, CommitStatus


def test_a_waiting_call_gets_the_verdict_of_its_transaction() -> None:
    async def scenario() -> None:
        feed = CommitFeed(height=4)
        first, second = feed.subscribe("a"), feed.subscribe("a")
        other = feed.subscribe("b")
        await feed.publish(4, [("a", 0), ("a", 9), ("c", 11)])
        assert first.result() == second.result() == CommitStatus(0, 4)
        assert not other.done()
        assert feed.height == 5

    asyncio.run(scenario())


def test_a_call_that_gave_up_is_forgotten() -> None:
    async def scenario() -> None:
        feed = CommitFeed(height=0)
        future = feed.subscribe("a")
        feed.unsubscribe("a", future)
        feed.unsubscribe("a", future)
        await feed.publish(0, [("a", 0)])
        assert not future.done()

    asyncio.run(scenario())


def test_waiting_for_a_height_ends_with_the_block_that_reaches_it() -> None:
    async def scenario() -> None:
        feed = CommitFeed(height=1)
        await feed.wait_for_height(1)
        waiting = asyncio.create_task(feed.wait_for_height(3))
        await feed.publish(1, [])
        await asyncio.sleep(0)
        assert not waiting.done()
        await feed.publish(2, [])
        await asyncio.wait_for(waiting, 1)

    asyncio.run(scenario())
