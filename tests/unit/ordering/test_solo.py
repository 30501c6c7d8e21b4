"""Blocks of the solo engine: linked, signed, durable before anybody is told."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from tests.support.ordering import MemoryBlockLog, envelope, small_network
from tongban.node.core.block_build import build_block, read_chain_end
from tongban.node.core.blockcutter import BatchLimits
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.errors import Overloaded, ShuttingDown
from tongban.node.core.faults import StorageFailure
from tongban.node.core.policy import SignatureVerifier, SignedBy, evaluate_signatures
from tongban.node.ordering import batcher as batcher_module
from tongban.node.ordering.batcher import Batcher, WaitingEnvelope
from tongban.node.ordering.channel import OrdererChannel
from tongban.node.ordering.solo import SoloEngine
from tongban.protos.common_pb2 import (
    Block,
    Metadata,
    OrdererBlockMetadata,
    SignatureHeader,
)
from tongban.protos.digest import compute_data_hash, compute_header_hash, encode_block_header
from tongban.protos.raft_metadata_pb2 import BlockMetadata as RaftBlockMetadata

T = TypeVar("T")
LIMITS = BatchLimits(count_max=3, bytes_preferred_max=1_000_000, timeout_ms=2_000)


def run(work: Callable[[], Awaitable[T]]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(10):
            return await work()

    return asyncio.run(bounded())


def log_with_genesis() -> MemoryBlockLog:
    return MemoryBlockLog(small_network().genesis_bytes)


def engine(log: MemoryBlockLog, told: list[int] | None = None) -> SoloEngine:
    signer = small_network().orderer.signer
    return SoloEngine(
        log, signer, lambda number, _: told.append(number) if told is not None else None
    )


def waiting(name: str, ordered: list[tuple[str, int]], size: int = 1) -> WaitingEnvelope:
    return WaitingEnvelope(name.encode(), size, lambda position: ordered.append((name, position)))


def test_each_block_follows_the_last_and_carries_five_slots() -> None:
    log = log_with_genesis()

    async def work() -> None:
        subject = engine(log)
        assert await subject.append([b"a", b"b"]) == 1
        assert await subject.append([b"c"]) == 2

    run(work)
    blocks = [Block.FromString(block) for block in log.blocks]
    for previous, block in itertools.pairwise(blocks):
        header = previous.header
        assert block.header.number == header.number + 1
        assert block.header.previous_hash == compute_header_hash(
            header.number, header.previous_hash, header.data_hash
        )
        assert block.header.data_hash == compute_data_hash(block.data.data)
        assert len(block.metadata.metadata) == 5
    assert list(blocks[1].data.data) == [b"a", b"b"]


def test_the_signature_satisfies_the_channels_block_validation_policy() -> None:
    network = small_network()
    block = build_block(read_chain_end(network.genesis), [b"a"], network.orderer.signer, b"n", 1)
    slot = Metadata.FromString(block.metadata.metadata[0])
    (found,) = slot.signatures
    header = block.header
    signed = (
        slot.value
        + found.signature_header
        + encode_block_header(header.number, header.previous_hash, header.data_hash)
    )
    config = ChannelConfig.from_genesis(network.genesis)
    creator = SignatureHeader.FromString(found.signature_header).creator
    verdict = evaluate_signatures(
        config.policies.get("/Channel/Orderer/BlockValidation"),
        [SignedBy(signed, creator, found.signature)],
        config.msps,
        SignatureVerifier(),
    )
    assert verdict.satisfied, verdict.reason
    metadata = OrdererBlockMetadata.FromString(slot.value)
    assert metadata.last_config.index == 0
    raft = RaftBlockMetadata.FromString(Metadata.FromString(metadata.consenter_metadata).value)
    assert raft.raft_index == 1


def test_a_restart_goes_on_where_the_log_ends() -> None:
    log = log_with_genesis()
    run(lambda: engine(log).append([b"a"]))
    told: list[int] = []
    assert run(lambda: engine(log, told).append([b"b"])) == 2
    assert told == [2]
    last = Block.FromString(log.blocks[2]).header
    first = Block.FromString(log.blocks[1]).header
    assert last.previous_hash == compute_header_hash(1, first.previous_hash, first.data_hash)


def test_the_log_is_followed_from_any_position_and_waits_for_more() -> None:
    log = log_with_genesis()

    async def work() -> list[tuple[int, tuple[bytes, ...]]]:
        subject = engine(log)
        await subject.append([b"a"])
        await subject.append([b"b", b"c"])
        found = []
        async for batch in subject.follow(2):
            found.append((batch.position, batch.envelopes))
            if batch.position == 3:
                return found
            await subject.append([b"d"])
        raise AssertionError("following ended")

    assert run(work) == [(2, (b"b", b"c")), (3, (b"d",))]


def test_envelopes_that_arrive_together_share_a_block_and_are_answered_in_order() -> None:
    log = log_with_genesis()
    ordered: list[tuple[str, int]] = []

    async def work() -> None:
        queue = Batcher(engine(log), LIMITS)
        for name in "abcd":
            queue.submit(waiting(name, ordered))
        task = asyncio.create_task(queue.run())
        await queue.drain()
        task.cancel()

    run(work)
    assert ordered == [("a", 1), ("b", 1), ("c", 1), ("d", 2)]


def test_a_failing_disk_acknowledges_nothing_and_stops_the_queue() -> None:
    log = log_with_genesis()
    log.fail_with = StorageFailure("/ledger", "fsync", "No space left on device")
    ordered: list[tuple[str, int]] = []

    async def work() -> None:
        queue = Batcher(engine(log), LIMITS)
        queue.submit(waiting("a", ordered))
        with pytest.raises(StorageFailure):
            await queue.run()

    run(work)
    assert ordered == []
    assert log.height == 1


def test_a_full_queue_refuses_and_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher_module, "WAITING_COUNT_MAX", 2)
    log = log_with_genesis()
    ordered: list[tuple[str, int]] = []

    async def work() -> None:
        queue = Batcher(engine(log), LIMITS)
        queue.submit(waiting("a", ordered))
        queue.submit(waiting("b", ordered))
        with pytest.raises(Overloaded, match="2 envelopes"):
            queue.submit(waiting("c", ordered))
        task = asyncio.create_task(queue.run())
        await queue.drain()
        with pytest.raises(ShuttingDown):
            queue.submit(waiting("d", ordered))
        task.cancel()

    run(work)
    assert [name for name, _ in ordered] == ["a", "b"]
    assert list(Block.FromString(log.blocks[1]).data.data) == [b"a", b"b"]


def test_a_channel_opens_with_the_configuration_of_its_last_config_block() -> None:
    network = small_network()
    log = log_with_genesis()

    async def work() -> None:
        channel = OrdererChannel(log, network.orderer.signer, pace_ms=0)
        await channel.engine.append([envelope(network.client).SerializeToString()])
        reopened = OrdererChannel(log, network.orderer.signer, pace_ms=0)
        assert reopened.channel_id == "mychannel"
        assert reopened.blocks.height == 2
        assert channel.blocks.find_recent_block(1) == log.blocks[1]

    run(work)
