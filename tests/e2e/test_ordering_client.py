"""The way to orderers, ours and foreign ones, against servers in this process."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.support.ordering import MemoryBlockLog, envelope, seek_envelope, small_network
from tongban.node.core.delivered_block import wrap_block
from tongban.node.core.seek import FOREVER
from tongban.node.ordering.channel import OrdererChannel
from tongban.node.runtime.broadcast_client import OrderingClient
from tongban.node.runtime.broadcaster import Broadcaster, OrderedChannel
from tongban.node.runtime.deliver_client import DELIVER
from tongban.node.runtime.deliverer import DeliveredChannel, Deliverer, DeliverRules
from tongban.node.runtime.dialing import ByteStream, Dialer
from tongban.node.runtime.gateway.submit import OrdererUnreachable
from tongban.node.services.broadcast import BroadcastService
from tongban.node.services.deliver import DeliverService, register_orderer
from tongban.node.services.orderer_stream import OrdererStreamService
from tongban.node.services.server import RpcServer
from tongban.protos.ab_pb2 import DeliverResponse
from tongban.protos.common_pb2 import Block, Status

DIALER = Dialer(None)


class Faults:
    def __init__(self) -> None:
        self.found: list[BaseException] = []

    def fault(self, error: BaseException) -> None:
        self.found.append(error)


class InProcessOrderer:
    """An orderer without a process; ``foreign`` ones do not offer the framed stream."""

    def __init__(self, *, foreign: bool = False) -> None:
        network = small_network()
        self.log = MemoryBlockLog(network.genesis_bytes)
        self.channel = OrdererChannel(self.log, network.orderer.signer, pace_ms=0)
        self.faults = Faults()
        self.server = RpcServer("127.0.0.1:0", None, self.faults)
        broadcaster = Broadcaster(
            {"mychannel": OrderedChannel(lambda: self.channel.admission, self.channel.queue)}
        )
        deliverer = Deliverer(
            {"mychannel": DeliveredChannel(self.channel.blocks, self.channel.verifier)},
            DeliverRules(
                lambda config: config.policies.get("/Channel/Readers"),
                lambda channel_id, number, block, reader: wrap_block(block),
            ),
        )
        register_orderer(
            self.server.server,
            BroadcastService(broadcaster, self.server.draining),
            DeliverService(deliverer),
        )
        if not foreign:
            stream = OrdererStreamService(broadcaster, self.server.draining)
            stream.register(self.server.server)
        self.address = ""

    async def __aenter__(self) -> "InProcessOrderer":
        self.address = f"127.0.0.1:{await self.server.start()}"
        self._task = asyncio.create_task(self.channel.queue.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.drain(0.5)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.channel.close()
        assert self.faults.found == []

    def stored(self) -> list[bytes]:
        return [data for block in self.log.blocks[1:] for data in Block.FromString(block).data.data]


class Client:
    def __init__(self, *addresses: str) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._client = OrderingClient(
            lambda: addresses,
            DIALER.connect,
            lambda link: self._tasks.append(asyncio.create_task(link.run())),
        )

    async def __aenter__(self) -> OrderingClient:
        return self._client

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await work()

    asyncio.run(bounded())


@pytest.mark.parametrize("foreign", [False, True])
def test_nobody_suffers_for_another_ones_refused_envelope(foreign: bool) -> None:
    network = small_network()
    good = [envelope(network.client) for _ in range(40)]
    bad = [envelope(network.stranger.users[0]) for _ in range(3)]
    sent = [*good[:10], bad[0], *good[10:11], bad[1], bad[2], *good[11:]]

    async def work() -> None:
        async with InProcessOrderer(foreign=foreign) as orderer, Client(orderer.address) as client:
            answers = await asyncio.gather(*(client.broadcast_to_any(each) for each in sent))
            refused = [
                each for each, answer in zip(sent, answers, strict=True) if answer.status == 403
            ]
            assert [each.payload for each in refused] == [each.payload for each in bad]
            accepted = [answer for answer in answers if answer.status == Status.SUCCESS]
            assert len(accepted) == len(good)
            stored = set(orderer.stored())
            assert stored == {each.SerializeToString() for each in good}

    run(work)


def test_another_orderer_is_asked_when_one_cannot_be_reached() -> None:
    async def work() -> None:
        async with InProcessOrderer() as orderer, Client("127.0.0.1:1", orderer.address) as client:
            answer = await client.broadcast_to_any(envelope(small_network().client))
            assert answer.status == Status.SUCCESS
            # The one that works comes first from now on.
            assert client.addresses[0] == orderer.address

    run(work)


def test_open_envelopes_are_told_when_the_connection_is_lost() -> None:
    async def work() -> None:
        orderer = InProcessOrderer()
        async with orderer, Client(orderer.address) as client:
            await client.broadcast_to_any(envelope(small_network().client))
            blocked = asyncio.Event()

            async def never(batch: object) -> int:
                await blocked.wait()
                return 0

            orderer.channel.engine.append = never  # type: ignore[method-assign]
            waiting = asyncio.create_task(
                client.broadcast(orderer.address, envelope(small_network().client))
            )
            await asyncio.sleep(0.1)
            assert not waiting.done()
            await orderer.server.drain(0.1)
            with pytest.raises(OrdererUnreachable):
                await waiting

    run(work)


def test_a_drain_ends_open_streams_and_does_not_wait_for_them() -> None:
    async def work() -> None:
        async with InProcessOrderer() as orderer, DIALER.connect(orderer.address) as channel:
            deliver: ByteStream = channel.stream_stream(DELIVER)()
            await deliver.write(seek_envelope(small_network().client, 0, FOREVER))
            first = await deliver.read()
            assert isinstance(first, bytes)
            async with Client(orderer.address) as client:
                await client.broadcast_to_any(envelope(small_network().client))
                assert isinstance(await deliver.read(), bytes)
                loop = asyncio.get_running_loop()
                began = loop.time()
                await orderer.channel.queue.drain()
                orderer.channel.blocks.close()
                await orderer.server.drain(10)
                assert loop.time() - began < 5
            last = await deliver.read()
            assert isinstance(last, bytes)
            assert DeliverResponse.FromString(last).status == Status.SERVICE_UNAVAILABLE

    run(work)


def test_a_stream_that_is_cancelled_leaves_nothing_behind() -> None:
    async def work() -> None:
        async with InProcessOrderer() as orderer, DIALER.connect(orderer.address) as channel:
            for _ in range(20):
                call: ByteStream = channel.stream_stream(DELIVER)()
                await call.write(seek_envelope(small_network().client, 0, FOREVER))
                assert isinstance(await call.read(), bytes)
                call.cancel()
            for _ in range(500):
                if not orderer.server.count_open()["/orderer.AtomicBroadcast"]:
                    return
                await asyncio.sleep(0.01)
            raise AssertionError(orderer.server.count_open())

    run(work)
