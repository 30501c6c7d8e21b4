"""Whoever waits for a commit hears of it exactly once."""

import asyncio

import pytest

from tongban.node.core.errors import ShuttingDown
from tongban.node.runtime.commits import CommitFeed, CommitStatus


def test_a_waiting_call_gets_the_verdict_of_its_transaction() -> None:
    async def scenario() -> None:
        feed = CommitFeed()
        first, second = feed.subscribe("a"), feed.subscribe("a")
        other = feed.subscribe("b")
        feed.publish(4, [("a", 0), (None, 4), ("a", 9), ("c", 11)])
        assert first.result() == second.result() == CommitStatus(0, 4)
        assert not other.done()

    asyncio.run(scenario())


def test_a_call_that_gave_up_is_forgotten() -> None:
    async def scenario() -> None:
        feed = CommitFeed()
        future = feed.subscribe("a")
        feed.unsubscribe("a", future)
        feed.unsubscribe("a", future)
        feed.publish(0, [("a", 0)])
        assert not future.done()

    asyncio.run(scenario())


def test_when_the_node_stops_nobody_is_left_waiting() -> None:
    async def scenario() -> None:
        feed = CommitFeed()
        told, waiting = feed.subscribe("a"), feed.subscribe("b")
        feed.publish(4, [("a", 0)])
        feed.close()
        assert told.result() == CommitStatus(0, 4)
        with pytest.raises(ShuttingDown):
            await waiting
        with pytest.raises(ShuttingDown):
            feed.subscribe("c")

    asyncio.run(scenario())
