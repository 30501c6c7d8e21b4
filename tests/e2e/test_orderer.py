"""A real orderer: what it accepts is in its blocks, whatever happens to the process."""

import asyncio
import json
import random
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest

from tests.support.orderer_process import OrdererProcess
from tests.support.ordering import envelope, seek_envelope, small_network
from tongban.node.core.delivered_block import unwrap_block
from tongban.node.core.seek import FOREVER
from tongban.node.runtime.broadcast_client import BROADCAST, STREAM, OrderingClient
from tongban.node.runtime.deliver_client import DELIVER, BlockFollower, Following
from tongban.node.runtime.dialing import ByteStream, write
from tongban.node.runtime.gateway.submit import OrdererUnreachable
from tongban.protos.ab_pb2 import BroadcastResponse, SeekInfo
from tongban.protos.common_pb2 import Block, Envelope, Status
from tongban.protos.digest import compute_header_hash
from tongban.protos.errors import InvalidSignature

pytestmark = pytest.mark.slow

WAIT_SECONDS_MAX = 30


@pytest.fixture
def orderer(tmp_path: Path) -> Iterator[OrdererProcess]:
    process = OrdererProcess(tmp_path, small_network())
    process.start()
    yield process
    process.kill()


async def blocks(orderer: OrdererProcess, start: int, stop: int) -> AsyncIterator[Block]:
    async with orderer.dialer.connect(orderer.address) as channel:
        call: ByteStream = channel.stream_stream(DELIVER)()
        await call.write(seek_envelope(small_network().client, start, stop))
        while True:
            data = await asyncio.wait_for(call.read(), WAIT_SECONDS_MAX)
            assert isinstance(data, bytes), "the stream ended"
            block, status = unwrap_block(data)
            if block is None:
                assert status == Status.SUCCESS, Status.Name(status)
                return
            yield Block.FromString(block)


async def whole_chain(orderer: OrdererProcess) -> list[Block]:
    """Every block, after checking how they are linked."""
    async with orderer.dialer.connect(orderer.address) as channel:
        call: ByteStream = channel.stream_stream(DELIVER)()
        sent = seek_envelope(
            small_network().client, 0, FOREVER, behavior=SeekInfo.FAIL_IF_NOT_READY
        )
        await call.write(sent)
        found: list[Block] = []
        while True:
            data = await asyncio.wait_for(call.read(), WAIT_SECONDS_MAX)
            assert isinstance(data, bytes), "the stream ended"
            block, _ = unwrap_block(data)
            if block is None:
                break
            found.append(Block.FromString(block))
    previous = b""
    for number, each in enumerate(found):
        assert each.header.number == number
        assert each.header.previous_hash == previous
        previous = compute_header_hash(number, previous, each.header.data_hash)
    return found


def contents(chain: list[Block]) -> list[bytes]:
    return [data for block in chain[1:] for data in block.data.data]


class Client:
    """An ordering client with its links in tasks of this test."""

    def __init__(self, orderer: OrdererProcess, *addresses: str) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self.ordering = OrderingClient(
            lambda: addresses or (orderer.address,),
            orderer.dialer.connect,
            lambda link: self._tasks.append(asyncio.create_task(link.run())),
        )

    async def __aenter__(self) -> OrderingClient:
        return self.ordering

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def test_what_is_broadcast_is_in_a_block_once_it_is_answered(orderer: OrdererProcess) -> None:
    sent = [envelope(small_network().client) for _ in range(200)]

    async def work() -> None:
        async with Client(orderer) as client:
            answers = await asyncio.gather(*(client.broadcast_to_any(each) for each in sent))
            assert {answer.status for answer in answers} == {Status.SUCCESS}
            refused = await client.broadcast_to_any(envelope(small_network().stranger.users[0]))
            assert refused.status == Status.FORBIDDEN
        chain = await whole_chain(orderer)
        assert sorted(contents(chain)) == sorted(each.SerializeToString() for each in sent)
        assert [block.header.number async for block in blocks(orderer, 1, 1)] == [1]

    asyncio.run(asyncio.wait_for(work(), WAIT_SECONDS_MAX))


def test_fabrics_broadcast_answers_in_order_and_ends_after_a_refusal(
    orderer: OrdererProcess,
) -> None:
    good = [envelope(small_network().client) for _ in range(3)]
    bad = envelope(small_network().stranger.users[0])

    async def work() -> None:
        async with orderer.dialer.connect(orderer.address) as channel:
            call: ByteStream = channel.stream_stream(BROADCAST)()
            for each in (*good, bad):
                await call.write(each.SerializeToString())
            answers = []
            while isinstance(data := await call.read(), bytes):
                answers.append(BroadcastResponse.FromString(data).status)
            assert answers == [200, 200, 200, 403]
            assert await call.code() == grpc.StatusCode.OK
        assert contents(await whole_chain(orderer)) == [each.SerializeToString() for each in good]

    asyncio.run(asyncio.wait_for(work(), WAIT_SECONDS_MAX))


def test_a_stop_finishes_what_was_taken_and_a_start_goes_on(orderer: OrdererProcess) -> None:
    first, second = (envelope(small_network().client) for _ in range(2))

    async def send(each: Envelope) -> None:
        async with Client(orderer) as client:
            assert (await client.broadcast_to_any(each)).status == Status.SUCCESS

    asyncio.run(asyncio.wait_for(send(first), WAIT_SECONDS_MAX))
    assert orderer.stop() == 0
    orderer.start()
    asyncio.run(asyncio.wait_for(send(second), WAIT_SECONDS_MAX))
    chain = asyncio.run(asyncio.wait_for(whole_chain(orderer), WAIT_SECONDS_MAX))
    assert contents(chain) == [first.SerializeToString(), second.SerializeToString()]


def test_kill_9_under_load_loses_no_envelope_that_was_answered(orderer: OrdererProcess) -> None:
    acknowledged: list[bytes] = []
    seed = 20_260_731
    luck = random.Random(seed)
    progress = asyncio.Event()

    async def load(client: OrderingClient, stop: asyncio.Event) -> None:
        while not stop.is_set():
            each = envelope(small_network().client)
            try:
                answer = await client.broadcast_to_any(each)
            except OrdererUnreachable:
                continue
            if answer.status == Status.SUCCESS:
                acknowledged.append(each.SerializeToString())
                if len(acknowledged) % 50 == 0:
                    progress.set()

    async def work() -> None:
        async with Client(orderer) as client:
            stop = asyncio.Event()
            callers = [asyncio.create_task(load(client, stop)) for _ in range(32)]
            for _ in range(4):
                progress.clear()
                await progress.wait()
                await asyncio.sleep(luck.random() / 10)
                await asyncio.to_thread(orderer.kill)
                await asyncio.to_thread(orderer.start)
            stop.set()
            await asyncio.gather(*callers)
        chain = await whole_chain(orderer)
        stored = contents(chain)
        assert len(set(stored)) == len(stored), "an envelope was ordered twice"
        assert set(acknowledged) <= set(stored), f"seed {seed}: something answered is lost"

    asyncio.run(asyncio.wait_for(work(), 90))


def test_a_full_disk_stops_the_orderer_and_nothing_answered_is_missing_after_a_restart(
    orderer: OrdererProcess,
) -> None:
    acknowledged: list[bytes] = []

    async def fill() -> None:
        async with Client(orderer) as client:
            while True:
                each = envelope(small_network().client, b"x" * 2_000)
                try:
                    answer = await client.broadcast_to_any(each)
                except OrdererUnreachable:
                    return
                assert answer.status == Status.SUCCESS
                acknowledged.append(each.SerializeToString())

    orderer.limit_file_bytes(60_000)
    asyncio.run(asyncio.wait_for(fill(), 60))
    assert orderer.wait_for_end() == 70
    assert any("the node stops: StorageFailure" in line for line in orderer.lines)
    assert acknowledged
    orderer.start()
    chain = asyncio.run(asyncio.wait_for(whole_chain(orderer), WAIT_SECONDS_MAX))
    stored = contents(chain)
    assert stored[: len(acknowledged)] == acknowledged
    assert len(stored) <= len(acknowledged) + 1


def test_a_follower_gets_every_block_from_its_height_and_survives_a_restart(
    orderer: OrdererProcess,
) -> None:
    network = small_network()
    got: list[int] = []
    enough = asyncio.Event()

    async def on_block(block: bytes) -> None:
        got.append(Block.FromString(block).header.number)
        if len(got) == 1:
            raise InvalidSignature("this one is not believed, so it is asked for again")
        if got[-1] == 2:
            enough.set()

    async def work() -> None:
        following = Following(
            "mychannel",
            network.org.peers[0].signer,
            lambda: ("localhost:1", orderer.address),
            orderer.dialer.connect,
            lambda: got[-1] + 1 if len(got) > 1 else 0,
            on_block,
        )
        follower = asyncio.create_task(BlockFollower(following).run())
        async with Client(orderer) as client:
            await client.broadcast_to_any(envelope(network.client))
            await asyncio.to_thread(orderer.kill)
            await asyncio.to_thread(orderer.start)
            while True:
                try:
                    await client.broadcast_to_any(envelope(network.client))
                    break
                except OrdererUnreachable:
                    pass
            await enough.wait()
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        assert got == [0, 0, 1, 2]

    asyncio.run(asyncio.wait_for(work(), 60))


def test_garbage_at_every_rpc_leaves_the_orderer_as_it_was(orderer: OrdererProcess) -> None:
    luck = random.Random(7)
    good = envelope(small_network().client).SerializeToString()
    request = seek_envelope(small_network().client, 0, FOREVER)

    def spoil(data: bytes) -> bytes:
        spoilt = bytearray(data)
        for _ in range(luck.randint(1, 4)):
            spoilt[luck.randrange(len(spoilt))] = luck.randrange(256)
        return bytes(spoilt[: luck.randint(0, len(spoilt))])

    async def work() -> None:
        async with orderer.dialer.connect(orderer.address) as channel:
            for method in (BROADCAST, STREAM, DELIVER, "/orderer.AtomicBroadcast/Nothing"):
                for turn in range(60):
                    data = luck.randbytes(luck.randint(0, 300)) if turn % 3 else b""
                    data = data or spoil(request if method == DELIVER else good)
                    call: ByteStream = channel.stream_stream(method)()
                    try:
                        async with asyncio.timeout(2):
                            if await write(call, data):
                                await call.done_writing()
                            while isinstance(await call.read(), bytes):
                                pass
                    except grpc.aio.AioRpcError as error:
                        # The client's own library says INTERNAL if its write met the refusal.
                        own = error.details() == "Internal error from Core"
                        assert own or error.code() in (
                            grpc.StatusCode.INVALID_ARGUMENT,
                            grpc.StatusCode.UNIMPLEMENTED,
                        ), error
                    except (TimeoutError, asyncio.InvalidStateError):
                        pass
                    call.cancel()
        assert contents(await whole_chain(orderer)) == []

    asyncio.run(asyncio.wait_for(work(), 60))
    assert orderer.is_running()
    assert orderer.stop() == 0


def test_operations_pages_say_how_it_is_and_change_the_log(orderer: OrdererProcess) -> None:
    def get(path: str) -> bytes:
        with urllib.request.urlopen(f"http://{orderer.operations}{path}", timeout=5) as reply:
            return bytes(reply.read())

    assert json.loads(get("/healthz"))["status"] == "OK"
    assert json.loads(get("/version"))["Version"]
    metrics = get("/metrics").decode()
    assert 'tongban_block_height{channel="mychannel"} 1.0' in metrics
    assert "tongban_loop_lag_seconds_bucket" in metrics
    body = json.dumps({"spec": "tongban.node=debug:warning"}).encode()
    change = urllib.request.Request(f"http://{orderer.operations}/logspec", data=body, method="PUT")
    with urllib.request.urlopen(change, timeout=5) as reply:
        assert reply.status == 204
    assert json.loads(get("/logspec")) == {"spec": "tongban.node=debug:warning"}
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get("/nothing")


def test_what_cannot_start_says_why(tmp_path: Path) -> None:
    process = OrdererProcess(tmp_path, small_network(), data=7, colour="red")
    status, text = process.run_to_end()
    assert status == 1
    assert "colour: no such setting" in text
    assert "data: " in text
    assert "Traceback" not in text
