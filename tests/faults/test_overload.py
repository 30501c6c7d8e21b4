"""Twice as many callers as a peer serves: clear refusals, flat memory, and recovery at once."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc
import pytest
import yaml

from tests.support.attacks import Actor, dial, sign_proposal
from tests.support.load import CHANNEL, CONTRACT, SOURCE, connect, counter_of
from tests.support.networks import RunningNetwork, running
from tests.support.processes import resident_bytes
from tongban.network.readiness import wait_until_healthy
from tongban.network.topology import load_profile
from tongban.protos.proposal_pb2 import SignedProposal
from tongban.protos.proposal_response_pb2 import ProposalResponse
from tongban.sdk import StatusCode, TransactionError
from tongban.sdk.aio import Gateway
from tongban.sdk.core.proposal import Invocation
from tongban.sdk.core.transport import StreamChoice

pytestmark = pytest.mark.slow

BOTH = "AND('Org1MSP.peer','Org2MSP.peer')"
CALLS_MAX = 64
PROPOSALS_MAX = 200
LIMITS = {
    "gateway": {"calls_max": CALLS_MAX, "stream_window": CALLS_MAX, "stream_calls_max": CALLS_MAX},
    "endorser_calls_max": PROPOSALS_MAX,
}
WARM_UP_SECONDS = 4.0
LOAD_SECONDS = 12.0
GROWTH_BYTES_MAX = 32 * 1024 * 1024
"""Of any node, between the warm-up and the end."""

PAUSE_SECONDS = 0.02
"""Of a caller that was refused."""


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    """A network whose peers serve few calls, so that few callers are too many."""
    with running(load_profile("two-org"), tmp_path_factory.mktemp("limited")) as network:
        network.deploy(CHANNEL, SOURCE, BOTH)
        for name in network.peer_names():
            path = network.layout.node_config(name)
            config = yaml.safe_load(path.read_text()) | LIMITS
            network.control.stop(name)
            path.write_text(yaml.safe_dump(config))
            network.control.start(name)
        wait_until_healthy(network.topology, network.control)
        yield network


@dataclass
class Outcomes:
    """How the calls of all callers ended."""

    done: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """By text, where the refusal was RESOURCE_EXHAUSTED."""
    others: Counter[str] = field(default_factory=Counter)


async def keep_calling(gateway: Gateway, name: str, outcomes: Outcomes) -> None:
    contract = counter_of(gateway)
    number = 0
    while True:
        number += 1
        try:
            await contract.submit("Put", f"{name}-{number}", "value")
            outcomes.done += 1
        except TransactionError as error:
            if error.code == StatusCode.RESOURCE_EXHAUSTED:
                outcomes.refused[error.message] += 1
            else:
                outcomes.others[f"{type(error).__name__}: {error}"[:300]] += 1
            await asyncio.sleep(PAUSE_SECONDS)


async def run_callers(
    network: RunningNetwork, stream: StreamChoice, outcomes: Outcomes
) -> dict[str, int]:
    """Twice as many callers as the limit; how much each node's memory grew meanwhile."""
    organization = network.topology.organizations[0]
    pids = {name: network.pid(name) for name, _ in network.topology.nodes()}
    async with contextlib.AsyncExitStack() as stack:
        gateways = [
            await stack.enter_async_context(
                connect(network, organization, organization.peers[0], stream=stream)
            )
            for _ in range(4)
        ]
        callers = [
            asyncio.create_task(
                keep_calling(gateways[number % 4], f"{stream}-{time.time_ns()}-{number}", outcomes)
            )
            for number in range(2 * CALLS_MAX)
        ]
        await asyncio.sleep(WARM_UP_SECONDS)
        before = {name: resident_bytes(pid) for name, pid in pids.items()}
        growth = dict.fromkeys(pids, 0)
        end = time.monotonic() + LOAD_SECONDS
        while time.monotonic() < end:
            await asyncio.sleep(0.5)
            for name, pid in pids.items():
                growth[name] = max(growth[name], resident_bytes(pid) - before[name])
        for caller in callers:
            assert not caller.done(), caller
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
    return growth


@pytest.mark.parametrize(
    ("stream", "service"),
    [(False, "/gateway.Gateway"), (True, "/tongban.gateway.Gateway")],
    ids=["unary", "streams"],
)
def test_callers_beyond_the_limit_are_refused_and_the_others_served(
    limited: RunningNetwork, stream: bool, service: str
) -> None:
    outcomes = Outcomes()
    growth = asyncio.run(run_callers(limited, stream, outcomes))
    print(f"{outcomes.done / (WARM_UP_SECONDS + LOAD_SECONDS):.0f} tx/s, {outcomes.refused}")
    print({name: f"{size / 2**20:.1f} MiB" for name, size in growth.items()}, outcomes.others)
    text = f"too many requests for {service}, exceeding concurrency limit ({CALLS_MAX})"
    assert set(outcomes.refused) == {text}
    assert not outcomes.others
    assert outcomes.done > 100
    assert max(growth.values()) < GROWTH_BYTES_MAX
    asyncio.run(asyncio.wait_for(check_recovered(limited), 30))


def test_proposals_beyond_the_limit_are_refused(limited: RunningNetwork) -> None:
    organization = limited.topology.organizations[0]
    user = limited.connections.identity(organization, "User1")
    spin = Invocation(CHANNEL, CONTRACT, (b"Spin", b"2000"))

    async def work() -> None:
        async with dial(limited, limited.peer_names()[0]) as channel:
            call = channel.unary_unary(
                "/protos.Endorser/ProcessProposal",
                SignedProposal.SerializeToString,
                ProposalResponse.FromString,
            )
            proposals = [
                sign_proposal(Actor(user.creator, user.sign), spin)
                for _ in range(2 * PROPOSALS_MAX)
            ]
            answers = await asyncio.gather(*map(call, proposals), return_exceptions=True)
        refused = [error for error in answers if isinstance(error, grpc.aio.AioRpcError)]
        assert {(error.code().name, error.details()) for error in refused} == {
            (
                "RESOURCE_EXHAUSTED",
                "too many requests for /protos.Endorser, "
                f"exceeding concurrency limit ({PROPOSALS_MAX})",
            )
        }
        served = [answer for answer in answers if isinstance(answer, ProposalResponse)]
        assert len(served) == len(answers) - len(refused) >= PROPOSALS_MAX
        assert all(answer.endorsement.signature for answer in served)
        await check_recovered(limited)

    asyncio.run(asyncio.wait_for(work(), 60))


async def check_recovered(network: RunningNetwork) -> None:
    """Once the callers have gone, nobody is refused."""
    for organization in network.topology.organizations:
        async with connect(network, organization, organization.peers[0]) as gateway:
            contract = counter_of(gateway)
            for number in range(10):
                await contract.submit("Put", f"after-{organization.group}-{number}", "value")
