"""Events and blocks, in both drivers: positions, checkpoints, broken connections, slow readers."""

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.fake_gateway import FakeGateway, an_event
from tongban.protos.ab_pb2 import SeekInfo
from tongban.protos.common_pb2 import Status
from tongban.protos.gateway_pb2 import ChaincodeEventsRequest, ChaincodeEventsResponse
from tongban.protos.signing import sign
from tongban.sdk import (
    EventsError,
    FileCheckpointer,
    Gateway,
    InMemoryCheckpointer,
    Network,
    StatusCode,
)

from .conftest import IDENTITY, KEY, Connect

T = TypeVar("T")


@pytest.fixture
def network(connect: Connect) -> Network:
    return connect().get_network("mychannel")


def take(items: Iterator[T], count: int) -> list[T]:
    return list(itertools.islice(items, count))


def put_events(fake: FakeGateway) -> None:
    """Blocks 3 to 6: two events in block 3 and in block 5, one in the others."""
    fake.ledger.events = [
        ChaincodeEventsResponse(events=[an_event(3, "t1"), an_event(3, "t2")], block_number=3),
        ChaincodeEventsResponse(events=[an_event(4, "t3")], block_number=4),
        ChaincodeEventsResponse(events=[an_event(5, "t4"), an_event(5, "t5")], block_number=5),
        ChaincodeEventsResponse(events=[an_event(6, "t6")], block_number=6),
    ]


def test_events_come_one_by_one_with_their_block(fake: FakeGateway, network: Network) -> None:
    put_events(fake)
    with network.chaincode_events("basic", start_block=3) as events:
        found = take(events, 6)
    assert [e.transaction_id for e in found] == ["t1", "t2", "t3", "t4", "t5", "t6"]
    assert [e.block_number for e in found] == [3, 3, 4, 5, 5, 6]
    assert (found[0].chaincode_name, found[0].event_name, found[0].payload) == (
        "basic",
        "moved",
        b"3",
    )


def test_without_a_position_they_begin_with_the_next_block(
    fake: FakeGateway, network: Network
) -> None:
    put_events(fake)
    fake.block_count = 1
    with network.chaincode_events("basic") as events:
        take(events, 1)
    with network.block_events() as blocks:
        take(blocks, 1)
    asked, seek = fake.ledger.seeks
    assert isinstance(asked, ChaincodeEventsRequest)
    assert asked.start_position.HasField("next_commit")
    assert isinstance(seek, SeekInfo)
    assert seek.start.HasField("next_commit")
    assert seek.stop.specified.number == 2**64 - 1


def test_a_checkpoint_goes_on_behind_the_last_event(
    fake: FakeGateway, network: Network, tmp_path: Path
) -> None:
    put_events(fake)
    path = tmp_path / "position.json"
    checkpointer = FileCheckpointer(path)
    with network.chaincode_events("basic", start_block=3, checkpoint=checkpointer) as events:
        for event in take(events, 4):
            checkpointer.checkpoint_chaincode_event(event)
    assert path.read_bytes() == b'{"blockNumber":"5","transactionId":"t4"}'
    again = FileCheckpointer(path)
    with network.chaincode_events("basic", start_block=0, checkpoint=again) as events:
        assert [e.transaction_id for e in take(events, 2)] == ["t5", "t6"]


def test_a_broken_connection_repeats_nothing_and_leaves_nothing_out(
    fake: FakeGateway, network: Network
) -> None:
    put_events(fake)
    fake.break_streams_after.extend([1, 3])
    with network.chaincode_events("basic", start_block=0) as events:
        assert [e.transaction_id for e in take(events, 6)] == ["t1", "t2", "t3", "t4", "t5", "t6"]
    assert len(fake.ledger.seeks) == 3


def test_blocks_come_in_order_in_each_form(fake: FakeGateway, network: Network) -> None:
    fake.block_count = 5
    with network.block_events(start_block=2) as blocks:
        assert [b.header.number for b in take(blocks, 3)] == [2, 3, 4]
    with network.filtered_block_events(start_block=3) as filtered:
        assert [b.number for b in take(filtered, 2)] == [3, 4]
    with network.block_and_private_data_events(start_block=1) as private:
        assert [b.block.header.number for b in take(private, 2)] == [1, 2]


def test_blocks_go_on_after_a_broken_connection(fake: FakeGateway, network: Network) -> None:
    fake.block_count = 6
    fake.break_streams_after.extend([2, 4])
    with network.block_events(start_block=0) as blocks:
        assert [b.header.number for b in take(blocks, 6)] == [0, 1, 2, 3, 4, 5]


def test_a_block_checkpoint_goes_on_with_the_next_block(
    fake: FakeGateway, network: Network
) -> None:
    fake.block_count = 4
    checkpointer = InMemoryCheckpointer()
    checkpointer.checkpoint_block(1)
    with network.filtered_block_events(checkpoint=checkpointer) as blocks:
        assert next(blocks).number == 2


def test_a_refusal_ends_the_stream_with_its_error(fake: FakeGateway, network: Network) -> None:
    fake.deliver_status = Status.FORBIDDEN
    with network.block_events() as blocks, pytest.raises(EventsError, match="403") as caught:
        next(blocks)
    assert caught.value.code is StatusCode.PERMISSION_DENIED


def test_without_a_peer_a_stream_fails_at_once(connect: Connect) -> None:
    network = connect(target="127.0.0.1:1").get_network("mychannel")
    began = time.monotonic()
    for stream in (network.chaincode_events("basic"), network.block_events()):
        with pytest.raises(EventsError) as caught:
            next(stream)
        assert caught.value.code is StatusCode.UNAVAILABLE
    assert time.monotonic() - began < 5


def test_a_peer_that_does_not_return_in_time_ends_the_stream(
    fake: FakeGateway, connect: Connect
) -> None:
    put_events(fake)
    fake.break_streams_after.extend([1] + [0] * 20)
    network = connect(reconnect_for_s=0.2).get_network("mychannel")
    with network.chaincode_events("basic", start_block=3) as events:
        take(events, 2)
        with pytest.raises(EventsError) as caught:
            next(events)
    assert caught.value.code is StatusCode.UNAVAILABLE
    assert len(fake.ledger.seeks) > 2


def test_requests_can_be_signed_elsewhere(fake: FakeGateway, connect: Connect) -> None:
    put_events(fake)
    fake.block_count = 3
    offline: Gateway = connect(IDENTITY)
    network = offline.get_network("mychannel")
    asked = network.new_chaincode_events_request("basic", start_block=4)
    signed = offline.new_chaincode_events_request_from_bytes(asked.bytes, sign(KEY, asked.message))
    with signed.events() as events:
        assert next(events).transaction_id == "t3"
    seek = network.new_blocks_request(start_block=1)
    request = offline.new_blocks_request_from_bytes(seek.bytes, sign(KEY, seek.message))
    with request.blocks() as blocks:
        assert next(blocks).header.number == 1


def test_closing_ends_the_wait_of_a_reader(network: Network) -> None:
    events = network.chaincode_events("basic")
    found: list[object] = []
    reading = threading.Thread(target=lambda: found.extend(events))
    reading.start()
    time.sleep(0.1)
    events.close()
    reading.join(5)
    assert not reading.is_alive()
    assert found == []


def test_a_slow_reader_is_not_sent_everything(fake: FakeGateway, network: Network) -> None:
    fake.block_count, fake.block_bytes = 2_000, 100_000
    with network.block_events(start_block=0) as blocks:
        take(blocks, 10)
        time.sleep(0.3)
        assert fake.blocks_sent < 500
        assert [b.header.number for b in take(blocks, 90)] == list(range(10, 100))
