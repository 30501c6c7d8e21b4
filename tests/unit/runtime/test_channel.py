"""A channel of a peer: who waits for its blocks and verdicts, and what it keeps in memory."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.builders import TestChannel, a_block, a_channel, a_tx, header_hash
from tests.support.gateway_ports import until
from tongban.node.core.block import ParsedBlock
from tongban.node.core.channel import build_genesis_block
from tongban.node.core.errors import ShuttingDown
from tongban.node.core.gateway.layouts import LayoutFinder
from tongban.node.core.policy import SignatureVerifier
from tongban.node.runtime import channel as channel_module
from tongban.node.runtime.channel import EVENTS_BYTES_MAX, Channel
from tongban.node.runtime.channels import Channels
from tongban.protos.chaincode_event_pb2 import ChaincodeEvent
from tongban.protos.common_pb2 import Block
from tongban.protos.errors import MalformedMessage
from tongban.protos.proposal_response_pb2 import ChaincodeCall, ChaincodeInterest
from tongban.protos.transaction_pb2 import TxValidationCode

SECONDS_MAX = 10.0


class Subject:
    """A channel with a ledger on disk, and the blocks that come after block 0."""

    def __init__(self, directory: Path) -> None:
        self.numbering: TestChannel = a_channel()
        genesis = build_genesis_block("mychannel", self.numbering.config.config)
        self._previous: Block = genesis
        self.channels = Channels(directory, "Org1MSP", SignatureVerifier(), None)  # type: ignore[arg-type]
        self.channels.join_at_start(genesis.SerializeToString())
        self.channel: Channel = self.channels.get("mychannel")

    async def commit(self, count: int = 1) -> list[str]:
        """One more block; the ids of its transactions, which no definition makes valid."""
        transactions = [a_tx(self.numbering).writing("k", b"v") for _ in range(count)]
        builder = a_block(self.numbering).with_tx(*transactions)
        builder.previous_hash = header_hash(self._previous)
        self._previous = builder.signed()
        await self.channel.commit_block(self._previous.SerializeToString())
        self.numbering.height += 1
        return [transaction.tx_id for transaction in transactions]


def run(directory: Path, work: Callable[[Subject], Awaitable[None]]) -> None:
    async def bounded() -> None:
        subject = Subject(directory)
        try:
            async with asyncio.timeout(SECONDS_MAX):
                await work(subject)
        finally:
            await asyncio.to_thread(subject.channels.close)

    asyncio.run(bounded())


def test_a_verdict_is_told_when_the_block_is_on_disk_and_ever_after(tmp_path: Path) -> None:
    async def work(subject: Subject) -> None:
        channel = subject.channel
        upcoming = a_tx(a_channel()).tx_id  # the first one, whose nonce is 1
        waiting = channel.subscribe(upcoming)
        assert not waiting.done()
        (tx_id,) = await subject.commit()
        assert tx_id == upcoming
        verdict = await waiting
        assert verdict == (TxValidationCode.INVALID_CHAINCODE, 1)
        channel.unsubscribe(tx_id, waiting)
        later = channel.subscribe(tx_id)
        assert later.done()
        assert later.result() == verdict
        channel.unsubscribe(tx_id, later)
        assert channel.feed.waiting_count == 0
        assert channel.find_position(tx_id) == (1, 0)
        assert channel.find_position("nothing") is None

    run(tmp_path, work)


def test_a_verdict_between_subscribing_and_looking_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(subject: Subject) -> None:
        (tx_id,) = await subject.commit()
        ledger = subject.channel._ledger
        # The block reaches the disk on another thread before the event loop tells of it.
        found = ledger.find_transaction(tx_id)
        monkeypatch.setattr(ledger, "find_transaction", lambda asked: None)
        waiting = subject.channel.subscribe(tx_id)
        monkeypatch.undo()
        subject.channel.feed.publish(1, [(tx_id, 0)])
        assert found is not None and (await waiting).block_num == found.block_num

    run(tmp_path, work)


def test_simulations_between_two_blocks_share_what_they_see(tmp_path: Path) -> None:
    async def work(subject: Subject) -> None:
        first, second = subject.channel.snapshot(), subject.channel.snapshot()
        assert first is second
        assert first.height == 1
        (tx_id,) = await subject.commit()
        second.close()
        assert not first.has_tx(tx_id), "it is still held, and does not change"
        first.close()
        with subject.channel.snapshot() as later:
            assert later.height == 2
            assert later.has_tx(tx_id)

    run(tmp_path, work)


def test_who_knows_of_a_verdict_sees_what_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulations see a block only when it is told of, which is a moment after it is on disk."""

    async def work(subject: Subject) -> None:
        channel = subject.channel
        channel.snapshot().close()  # there is one that is shared
        stored, may_go_on = threading.Event(), threading.Event()

        def settle(commit: object) -> None:
            stored.set()
            assert may_go_on.wait(SECONDS_MAX)

        monkeypatch.setattr(channel._private, "settle", settle)
        commit = asyncio.create_task(subject.commit())
        assert await asyncio.to_thread(stored.wait, SECONDS_MAX)
        tx_id = a_tx(a_channel()).tx_id  # the first one, whose nonce is 1
        assert channel.find_transaction(tx_id) is not None
        verdict = channel.subscribe(tx_id)
        is_told = verdict.done()
        may_go_on.set()
        assert not is_told
        assert (await verdict).block_num == 1
        with channel.snapshot() as later:
            assert later.has_tx(tx_id)
        await commit

    run(tmp_path, work)


def test_whoever_waits_for_a_block_gets_it_or_hears_of_the_end(tmp_path: Path) -> None:
    async def work(subject: Subject) -> None:
        channel = subject.channel
        await channel.wait_for_block(0)
        second = asyncio.create_task(channel.wait_for_block(2))
        await subject.commit()
        channel.blocks.set_available(False)  # says nothing about block 2
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not second.done()
        await subject.commit()
        await second
        third = asyncio.create_task(channel.wait_for_block(3))
        await asyncio.sleep(0)
        channel.blocks.close()
        with pytest.raises(ShuttingDown):
            await third

    run(tmp_path, work)


def test_verdicts_that_will_not_come_any_more_end_with_the_feed(tmp_path: Path) -> None:
    async def work(subject: Subject) -> None:
        waiting = subject.channel.subscribe("tx")
        subject.channel.feed.close()
        with pytest.raises(ShuttingDown):
            await waiting
        with pytest.raises(ShuttingDown):
            subject.channel.subscribe("tx")

    run(tmp_path, work)


def test_events_of_the_newest_blocks_stay_in_memory_unless_they_are_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    sizes = {1: 10, 2: EVENTS_BYTES_MAX + 1}

    def events_of(block: ParsedBlock, flags: bytes) -> list[ChaincodeEvent]:
        looked.append(block.number)
        return [ChaincodeEvent(payload=bytes(sizes[block.number]))]

    monkeypatch.setattr(channel_module, "chaincode_events", events_of)

    async def work(subject: Subject) -> None:
        await subject.commit()
        await subject.commit()
        for number in (1, 2, 1, 2):
            (event,) = await subject.channel.chaincode_events(number)
            assert len(event.payload) == sizes[number]
        assert looked == [1, 2, 2, 2]

    run(tmp_path, work)


def test_layouts_are_found_once_until_definitions_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def layouts(self: LayoutFinder, interest: object, protect: bool = False) -> list[object]:
        asked.append(protect)
        return [{"Org1MSP": 1}]

    monkeypatch.setattr(LayoutFinder, "layouts", layouts)

    async def work(subject: Subject) -> None:
        interest = ChaincodeInterest(chaincodes=[ChaincodeCall(name="cc")])
        for protect in (False, False, True, True):
            assert subject.channel.layouts(interest, protect) == [{"Org1MSP": 1}]
        await subject.commit()
        subject.channel.layouts(interest)
        assert asked == [False, True]

    run(tmp_path, work)


def test_a_block_that_is_refused_changes_nothing(tmp_path: Path) -> None:
    async def work(subject: Subject) -> None:
        told: list[object] = []
        subject.channel.when_committed(told.append)
        with pytest.raises(MalformedMessage):
            await subject.channel.commit_block(b"\xff")
        assert subject.channel.height == 1
        assert told == []
        await subject.commit()
        await until(lambda: len(told) == 1)

    run(tmp_path, work)
