"""Clients that know no bounds on a stream: too many requests, too much in a frame, no reading."""

import asyncio
import contextlib
from collections.abc import Callable

import grpc
import pytest

from tests.faults.conftest import Target
from tests.support.attacks import dial, seek_all, sign_proposal
from tests.support.load import CHANNEL, CONTRACT, connect, counter_of
from tests.support.processes import resident_bytes
from tongban.node.runtime.dialing import ByteStream
from tongban.node.services.gateway_stream import WINDOW
from tongban.protos.ab_pb2 import SeekInfo
from tongban.protos.common_pb2 import Envelope
from tongban.protos.gateway_pb2 import (
    CommitStatusRequest,
    EvaluateRequest,
    SignedCommitStatusRequest,
)
from tongban.protos.stream_pb2 import (
    Announcements,
    GatewayFrame,
    GatewayMessage,
    Hello,
    OrdererFrame,
    OrdererMessage,
    PeerFrame,
    PeerMessage,
    SignedAnnouncement,
)
from tongban.sdk.core.proposal import Invocation

pytestmark = pytest.mark.slow

HELLO = Hello(version=1, window=10)
STUCK_SECONDS = 2.0
"""A write that takes longer is not going to be taken: the other side has stopped reading."""

WRITES_MAX = 20_000
GROWTH_BYTES_MAX = 96 * 1024 * 1024
"""Of a node, with one client that never reads."""

GATEWAY = "/tongban.gateway.Gateway/Stream"
PEER = "/tongban.peer.Peer/Stream"
ORDERER = "/tongban.orderer.Orderer/Stream"


def waiting_requests(target: Target, count: int) -> GatewayFrame:
    """Requests that stay open: verdicts on a transaction that will never be."""
    actor = target.cast.honest
    request = CommitStatusRequest(
        transaction_id="0" * 64, channel_id=CHANNEL, identity=actor.creator
    ).SerializeToString()
    signed = SignedCommitStatusRequest(request=request, signature=actor.sign(request))
    return GatewayFrame(
        hello=HELLO,
        messages=[GatewayMessage(id=number, commit_status=signed) for number in range(count)],
    )


async def read_frame(call: ByteStream) -> GatewayFrame:
    data = await call.read()
    assert isinstance(data, bytes), "the stream has ended"
    return GatewayFrame.FromString(data)


def test_requests_beyond_the_window_are_refused_by_their_ids(target: Target) -> None:
    async def work() -> None:
        async with dial(target.network, target.node_names[1]) as channel:
            call: ByteStream = channel.stream_stream(GATEWAY)()
            assert (await read_frame(call)).hello.window == WINDOW
            await call.write(waiting_requests(target, WINDOW + 20).SerializeToString())
            refused: dict[int, int] = {}
            while len(refused) < 20:
                for message in (await read_frame(call)).messages:
                    refused[message.id] = message.failed.code
            assert set(refused) == set(range(WINDOW, WINDOW + 20))
            assert set(refused.values()) == {grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]}
            call.cancel()

    asyncio.run(asyncio.wait_for(work(), 30))
    check_others_are_served(target)


def check_others_are_served(target: Target) -> None:
    organization = target.network.topology.organizations[0]

    async def work() -> None:
        async with connect(target.network, organization, organization.peers[0]) as gateway:
            await counter_of(gateway).submit("Put", "honest", "work")

    asyncio.run(asyncio.wait_for(work(), 30))


def tiny_messages(target: Target) -> bytes:
    """Two bytes of each would become an object."""
    return GatewayFrame(hello=HELLO).SerializeToString() + b"\x12\x00" * 20_000_000


def tiny_announcements(target: Target) -> bytes:
    news = Announcements.FromString(b"\x0a\x00" * 1_000).SerializeToString() * 20_000
    inner = PeerMessage(id=1).SerializeToString() + b"\x5a" + _varint(len(news)) + news
    return PeerFrame(hello=HELLO).SerializeToString() + b"\x12" + _varint(len(inner)) + inner


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


@pytest.mark.parametrize(
    ("method", "which", "make"),
    [(GATEWAY, 1, tiny_messages), (ORDERER, 0, tiny_messages), (PEER, 1, tiny_announcements)],
)
def test_a_frame_of_forty_megabytes_of_nothing_costs_no_memory(
    target: Target, method: str, which: int, make: Callable[[Target], bytes]
) -> None:
    name = target.node_names[which]
    before = resident_bytes(target.pids[name])

    async def work() -> None:
        async with dial(target.network, name) as channel:
            call: ByteStream = channel.stream_stream(method)()
            await call.read()
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await call.write(make(target))
            assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "at most" in str(await call.details())

    asyncio.run(asyncio.wait_for(work(), 30))
    assert resident_bytes(target.pids[name]) - before < 3 * 40 * 1024 * 1024
    check_others_are_served(target)


def evaluations(target: Target) -> bytes:
    signed = sign_proposal(target.cast.careless, Invocation(CHANNEL, CONTRACT, (b"Get", b"k")))
    request = EvaluateRequest(channel_id=CHANNEL, proposed_transaction=signed)
    return GatewayFrame(
        messages=[GatewayMessage(id=number, evaluate=request) for number in range(100)]
    ).SerializeToString()


def proposals(target: Target) -> bytes:
    signed = sign_proposal(target.cast.careless, Invocation(CHANNEL, CONTRACT, (b"Get", b"k")))
    news = Announcements(announcements=[SignedAnnouncement(identity=b"nobody")] * 10)
    messages = [PeerMessage(id=number, endorse=signed) for number in range(100)]
    return PeerFrame(messages=[*messages, PeerMessage(announcements=news)]).SerializeToString()


def envelopes(target: Target) -> bytes:
    bad = Envelope(payload=b"no payload", signature=b"no signature")
    return OrdererFrame(
        messages=[OrdererMessage(id=number, broadcast=bad) for number in range(200)]
    ).SerializeToString()


def seeks(target: Target) -> bytes:
    """With a field that nobody knows, which makes it large."""
    padding = b"\x7a" + _varint(20_000) + bytes(20_000)
    return seek_all(target.cast.honest, SeekInfo.BLOCK_UNTIL_READY) + padding


@pytest.mark.parametrize(
    ("method", "which", "make"),
    [
        (GATEWAY, 1, evaluations),
        (PEER, 1, proposals),
        (ORDERER, 0, envelopes),
        ("/orderer.AtomicBroadcast/Deliver", 0, seeks),
        ("/protos.Deliver/Deliver", 1, seeks),
    ],
)
def test_a_client_that_never_reads_is_not_read_from_either(
    target: Target, method: str, which: int, make: Callable[[Target], bytes]
) -> None:
    name = target.node_names[which]
    before = resident_bytes(target.pids[name])

    async def work() -> int:
        """How many frames were taken before the node stopped taking them."""
        async with dial(target.network, name) as channel:
            call: ByteStream = channel.stream_stream(method)()
            frame = make(target)
            if method.startswith("/tongban"):
                await call.read()
                await call.write(OrdererFrame(hello=HELLO).SerializeToString())
            taken = 0
            with contextlib.suppress(TimeoutError):
                while taken < WRITES_MAX:
                    async with asyncio.timeout(STUCK_SECONDS):
                        await call.write(frame)
                    taken += 1
            call.cancel()
            return taken

    taken = asyncio.run(asyncio.wait_for(work(), 60))
    growth = resident_bytes(target.pids[name]) - before
    print(f"{method}: {taken} frames were taken, {growth / 2**20:.1f} MiB more")
    assert taken < WRITES_MAX
    assert growth < GROWTH_BYTES_MAX
    check_others_are_served(target)
