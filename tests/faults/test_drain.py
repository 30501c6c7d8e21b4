"""SIGTERM with calls in flight: the node ends within its time, and everybody knows where he is."""

import asyncio
import contextlib
import time
from collections.abc import Iterator

import grpc
import pytest

from tests.faults.conftest import BOTH
from tests.support.attacks import dial
from tests.support.ledgers import read_ledger
from tests.support.load import (
    CHANNEL,
    CONTRACT,
    SOURCE,
    Told,
    connect,
    counter_of,
    keep_adding,
    keep_putting,
)
from tests.support.networks import RunningNetwork, running
from tongban.network.readiness import wait_until_healthy
from tongban.network.topology import load_profile
from tongban.protos.gateway_pb2 import CommitStatusRequest, SignedCommitStatusRequest
from tongban.protos.stream_pb2 import GatewayFrame, GatewayMessage, Hello
from tongban.sdk.core.transport import StreamChoice

pytestmark = pytest.mark.slow

STOP_SECONDS_MAX = 10.0
SECONDS_OF_LOAD = 1.5
TOLD_OF_THE_STOP = {
    "EndorseError UNAVAILABLE",
    "SubmitError UNAVAILABLE",
    "CommitStatusError UNAVAILABLE",
    # Through another peer's gateway: the peer that it needs is away.
    "EndorseError ABORTED",
    "EndorseError FAILED_PRECONDITION",
    # gRPC's own answer to a unary call that arrives in the moment in which its server closes.
    "EndorseError CANCELLED",
    "SubmitError CANCELLED",
    "CommitStatusError CANCELLED",
}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    with running(load_profile("two-org"), tmp_path_factory.mktemp("drained")) as found:
        found.deploy(CHANNEL, SOURCE, BOTH)
        yield found


def stop(network: RunningNetwork, name: str) -> float:
    """How many seconds it took. The node said itself that it had ended in order."""
    started = time.monotonic()
    network.control.stop(name)
    took = time.monotonic() - started
    lines = network.layout.node_log(name).read_text().splitlines()
    assert lines[-1].endswith("stopped code=0"), lines[-5:]
    assert not any("Traceback" in line or "never retrieved" in line for line in lines)
    return took


def start(network: RunningNetwork, name: str) -> None:
    network.control.start(name)
    wait_until_healthy(network.topology, network.control)


async def load_and_stop(network: RunningNetwork, name: str, told: Told) -> float:
    """Clients of both kinds at both peers while one node is stopped; how long that took."""
    first, second = network.topology.organizations
    choices: list[StreamChoice] = [True, False]
    async with contextlib.AsyncExitStack() as stack:
        load = []
        for owner in (first, second):
            for choice in choices:
                gateway = await stack.enter_async_context(
                    connect(network, owner, owner.peers[0], stream=choice)
                )
                label = f"{name}-{owner.group}-{choice}"
                load.append(asyncio.create_task(keep_adding(counter_of(gateway), label, told)))
                load.append(asyncio.create_task(keep_putting(counter_of(gateway), label, told)))
        await asyncio.wait_for(told.progress.wait(), 30)
        await asyncio.wait(load, timeout=SECONDS_OF_LOAD, return_when=asyncio.FIRST_EXCEPTION)
        told.refusals.clear()
        took = await asyncio.to_thread(stop, network, name)
        refusals = dict(told.refusals)
        await asyncio.to_thread(start, network, name)
        told.progress.clear()
        await asyncio.wait_for(told.progress.wait(), 30)
        for task in load:
            assert not task.done(), task
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
    assert set(refusals) <= TOLD_OF_THE_STOP, refusals
    return took


@pytest.mark.parametrize("which", [0, 1], ids=["orderer", "peer"])
def test_what_was_acknowledged_is_committed_and_the_rest_is_told_to_come_again(
    network: RunningNetwork, which: int
) -> None:
    name = [name for name, _ in network.topology.nodes()][which]
    told = Told()
    took = asyncio.run(load_and_stop(network, name, told))
    print(f"{name} stopped in {took:.1f} s; {told.valid_count} valid; {dict(told.refusals)}")
    assert took < STOP_SECONDS_MAX
    network.wait_for_equal_heights(CHANNEL)
    peer = network.peer_names()[0]
    network.control.stop(peer)
    contents = read_ledger(network.ledger_directory(peer, CHANNEL), CONTRACT, list(told.sums))
    start(network, peer)
    for tx_id, code in told.codes.items():
        assert contents.first_code(tx_id) == code
    for tx_id in told.unordered:
        assert not contents.has(tx_id)


def test_who_waits_for_what_will_not_be_is_told_within_the_time(network: RunningNetwork) -> None:
    """Verdicts on a transaction that nobody has submitted, by a unary call and on a stream."""
    name = network.peer_names()[0]
    organization = network.topology.organizations[0]
    user = network.connections.identity(organization, "User1")
    request = CommitStatusRequest(
        transaction_id="0" * 64, channel_id=CHANNEL, identity=user.creator
    ).SerializeToString()
    signed = SignedCommitStatusRequest(request=request, signature=user.sign(request))

    async def unary(channel: grpc.aio.Channel) -> tuple[str, str]:
        call = channel.unary_unary("/gateway.Gateway/CommitStatus", bytes, bytes)
        try:
            await call(signed.SerializeToString())
        except grpc.aio.AioRpcError as error:
            return error.code().name, str(error.details())
        raise AssertionError("there was a verdict")

    async def stream(channel: grpc.aio.Channel) -> tuple[str, str]:
        call = channel.stream_stream(
            "/tongban.gateway.Gateway/Stream",
            GatewayFrame.SerializeToString,
            GatewayFrame.FromString,
        )()
        await call.read()
        messages = [GatewayMessage(id=1, commit_status=signed)]
        await call.write(GatewayFrame(hello=Hello(version=1), messages=messages))
        frame = await call.read()
        assert isinstance(frame, GatewayFrame), "the stream ended without an answer"
        (message,) = frame.messages
        (code,) = (c for c in grpc.StatusCode if c.value[0] == message.failed.code)
        return code.name, message.failed.message

    async def work() -> None:
        async with dial(network, name) as channel:
            waiting = [asyncio.create_task(unary(channel)), asyncio.create_task(stream(channel))]
            await asyncio.wait(waiting, timeout=1)
            took = await asyncio.to_thread(stop, network, name)
            assert took < STOP_SECONDS_MAX
            text = "the node is shutting down; ask for the commit status when it is back"
            assert await asyncio.gather(*waiting) == [("UNAVAILABLE", text)] * 2

    asyncio.run(asyncio.wait_for(work(), 30))
    start(network, name)
