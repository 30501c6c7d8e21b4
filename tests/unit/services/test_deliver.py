"""Deliver sessions: every seek position, behavior, status and form, without a socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.ordering import (
    NEWEST,
    OLDEST,
    envelope,
    seek_envelope,
    sign_payload,
    small_network,
)
from tests.support.pki import Member
from tongban.node.core.block_build import build_block, read_chain_end
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.delivered_block import unwrap_block, wrap_block
from tongban.node.core.identity import MspManager
from tongban.node.core.policy import SignatureVerifier
from tongban.node.core.seek import FOREVER
from tongban.node.runtime.block_source import ChannelBlocks
from tongban.node.runtime.deliverer import DeliveredChannel, Deliverer, DeliverRules
from tongban.protos.ab_pb2 import DeliverResponse, SeekInfo, SeekNextCommit, SeekPosition
from tongban.protos.common_pb2 import Block, ChannelHeader, HeaderType
from tongban.protos.configtx_pb2 import Config

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NEXT_COMMIT = SeekPosition(next_commit=SeekNextCommit())


class Chain:
    """Four blocks in memory, of which the last two are also in the recent ones."""

    def __init__(self) -> None:
        network = small_network()
        self.config = ChannelConfig.from_genesis(network.genesis)
        self.blocks = [network.genesis_bytes]
        self.source = ChannelBlocks(1, lambda number: self.blocks[number], lambda: self.config)
        for _ in range(3):
            self.grow()

    def grow(self) -> None:
        network = small_network()
        end = read_chain_end(Block.FromString(self.blocks[-1]))
        data = [envelope(network.client).SerializeToString()]
        block = build_block(end, data, network.orderer.signer, b"n", 1).SerializeToString()
        self.blocks.append(block)
        self.source.advance(end.height, block)

    def deliverer(self) -> Deliverer:
        channel = DeliveredChannel(self.source, SignatureVerifier())
        return Deliverer(
            {"mychannel": channel},
            DeliverRules(
                lambda config: config.policies.get("/Channel/Readers"),
                lambda channel_id, number, block, reader: wrap_block(block),
            ),
            now=lambda: NOW,
        )


def request(
    start: SeekPosition | int, stop: SeekPosition | int, member: Member | None = None, **more: Any
) -> bytes:
    return seek_envelope(member or small_network().client, start, stop, **{"at": NOW, **more})


async def incoming(*requests: bytes) -> AsyncIterator[bytes]:
    for found in requests:
        yield found


def shown(response: bytes) -> int | str:
    """The number of a block, or the name of a status."""
    parsed = DeliverResponse.FromString(response)
    if parsed.WhichOneof("Type") == "block":
        return parsed.block.header.number
    return str(parsed.status)


async def _collect(chain: Chain, requests: tuple[bytes, ...], **how: Any) -> list[int | str]:
    async with asyncio.timeout(10):
        return [shown(found) async for found in chain.deliverer().serve(incoming(*requests), **how)]


def deliver(*requests: bytes, chain: Chain | None = None, **how: Any) -> list[int | str]:
    async def work() -> list[int | str]:
        return await _collect(chain or Chain(), requests, **how)

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (OLDEST, NEWEST, [0, 1, 2, 3, "200"]),
        (OLDEST, OLDEST, [0, "200"]),
        (NEWEST, NEWEST, [3, "200"]),
        (1, 2, [1, 2, "200"]),
        (2, NEWEST, [2, 3, "200"]),
        (2, OLDEST, [2, "200"]),
        (2, 1, ["400"]),
        (5, 9, ["404"]),
        (5, 1, ["404"]),
        (SeekPosition(), 1, ["404"]),
    ],
)
def test_positions_mean_what_they_mean_to_fabric(
    start: SeekPosition | int, stop: SeekPosition | int, expected: list[int | str]
) -> None:
    assert deliver(request(start, stop)) == expected


def test_a_missing_start_or_stop_is_a_bad_request() -> None:
    member = small_network().client
    header = ChannelHeader(type=HeaderType.DELIVER_SEEK_INFO, channel_id="mychannel")
    header.timestamp.FromDatetime(NOW)
    for info in (SeekInfo(start=OLDEST), SeekInfo(stop=OLDEST)):
        sent = sign_payload(member, header, info.SerializeToString()).SerializeToString()
        assert deliver(sent) == ["400"]


def test_beyond_the_end_a_reader_waits_or_is_told() -> None:
    fail = request(2, 9, behavior=SeekInfo.FAIL_IF_NOT_READY)
    assert deliver(fail) == [2, 3, "404"]
    next_fail = request(NEXT_COMMIT, FOREVER, behavior=SeekInfo.FAIL_IF_NOT_READY)
    assert deliver(next_fail) == ["404"]

    async def waits() -> list[int | str]:
        chain = Chain()
        collecting = asyncio.create_task(_collect(chain, (request(NEXT_COMMIT, 5),)))
        for _ in range(2):
            await asyncio.sleep(0)
            chain.grow()
        return await collecting

    assert asyncio.run(waits()) == [4, 5, "200"]


def test_after_success_the_same_stream_takes_another_request_and_after_anything_else_not() -> None:
    assert deliver(request(1, 1), request(2, 2)) == [1, "200", 2, "200"]
    assert deliver(request(2, 1), request(2, 2)) == ["400"]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\xff", "400"),
        (b"", "400"),
        (request(0, 0, at=NOW - timedelta(minutes=16)), "400"),
        (request(0, 0, at=NOW + timedelta(minutes=16)), "400"),
        (request(0, 0, channel_id="other"), "404"),
        (request(0, 0, small_network().stranger.users[0]), "403"),
        (
            request(0, 0, small_network().org.issue("old", not_after=NOW - timedelta(seconds=1))),
            "403",
        ),
    ],
    ids=["garbage", "empty", "old", "ahead", "unknown channel", "stranger", "expired"],
)
def test_bad_requests_get_their_status_and_no_block(sent: bytes, status: str) -> None:
    assert deliver(sent) == [status]


def test_a_request_without_a_time_or_with_another_signature_is_refused() -> None:
    member = small_network().client
    header = ChannelHeader(type=HeaderType.DELIVER_SEEK_INFO, channel_id="mychannel")
    info = SeekInfo(start=OLDEST, stop=OLDEST).SerializeToString()
    assert deliver(sign_payload(member, header, info).SerializeToString()) == ["400"]
    header.timestamp.FromDatetime(NOW)
    forged = sign_payload(member, header, info)
    forged.signature = sign_payload(member, header, b"other").signature
    assert deliver(forged.SerializeToString()) == ["403"]


def test_a_server_that_demands_certificates_binds_the_request_to_one() -> None:
    digest = b"d" * 32
    bound = request(1, 1, tls_cert_hash=digest)
    assert deliver(bound, tls_cert_hash=digest) == [1, "200"]
    assert deliver(bound, tls_cert_hash=b"e" * 32) == ["400"]
    assert deliver(request(1, 1), tls_cert_hash=digest) == ["400"]


def test_access_is_decided_again_when_the_configuration_changed() -> None:
    async def work() -> list[int | str]:
        chain = Chain()
        got: list[int | str] = []
        session = chain.deliverer().serve(incoming(request(0, FOREVER)))
        async with asyncio.timeout(10), aclosing(session):
            async for response in session:
                got.append(shown(response))
                if got[-1] == 1:
                    # The reader's organization has left the channel.
                    chain.config = replace(
                        chain.config, config=Config(sequence=1), msps=MspManager([])
                    )
        return got

    assert asyncio.run(work()) == [0, 1, "403"]


def test_a_session_ends_when_its_readers_certificate_does() -> None:
    async def work() -> list[int | str]:
        chain = Chain()
        clock = [NOW]
        member = small_network().org.issue("short", not_after=NOW + timedelta(minutes=1))
        subject = chain.deliverer()
        subject._now = lambda: clock[0]
        got: list[int | str] = []
        session = subject.serve(incoming(request(0, FOREVER, member)))
        async with asyncio.timeout(10), aclosing(session):
            async for response in session:
                got.append(shown(response))
                clock[0] += timedelta(seconds=45)
        return got

    assert asyncio.run(work()) == [0, 1, "403"]


def test_strict_sessions_end_when_ordering_is_not_available_and_best_effort_ones_go_on() -> None:
    async def work(error_response: SeekInfo.SeekErrorResponse.ValueType) -> list[int | str]:
        chain = Chain()
        sent = request(3, 4, error_response=error_response)
        collecting = asyncio.create_task(_collect(chain, (sent,)))
        await asyncio.sleep(0.01)
        chain.source.set_available(False)
        await asyncio.sleep(0)
        chain.grow()
        return await collecting

    assert asyncio.run(work(SeekInfo.STRICT)) == [3, "503"]
    assert asyncio.run(work(SeekInfo.BEST_EFFORT)) == [3, 4, "200"]


def test_a_stopping_node_ends_every_session() -> None:
    async def work() -> list[int | str]:
        chain = Chain()
        collecting = asyncio.create_task(_collect(chain, (request(3, FOREVER),)))
        await asyncio.sleep(0.01)
        chain.source.close()
        return await collecting

    assert asyncio.run(work()) == [3, "503"]


def test_headers_only_omits_transactions_but_sends_config_blocks_whole() -> None:
    async def work() -> list[Block]:
        chain = Chain()
        sent = request(0, 1, content_type=SeekInfo.HEADER_WITH_SIG)
        responses = [found async for found in chain.deliverer().serve(incoming(sent))]
        blocks = [unwrap_block(found)[0] for found in responses[:-1]]
        assert blocks[0] == chain.blocks[0]
        return [Block.FromString(block) for block in blocks if block is not None]

    genesis, block = asyncio.run(work())
    assert len(genesis.data.data) == 1
    assert len(block.data.data) == 0
    assert len(block.metadata.metadata) == 5


def test_whole_blocks_go_out_as_the_bytes_that_are_stored() -> None:
    async def work() -> None:
        chain = Chain()
        responses = [found async for found in chain.deliverer().serve(incoming(request(0, 3)))]
        assert [unwrap_block(found)[0] for found in responses[:-1]] == chain.blocks

    asyncio.run(work())


def test_an_abandoned_session_leaves_nobody_waiting() -> None:
    async def work() -> None:
        chain = Chain()
        task = asyncio.create_task(_collect(chain, (request(3, FOREVER),)))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        others = [found for found in asyncio.all_tasks() if found is not asyncio.current_task()]
        assert others == []

    asyncio.run(work())
