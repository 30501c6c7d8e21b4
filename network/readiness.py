"""Waiting until a network can be used: the first transaction after the start finds everything warm.

Healthy nodes may not know each other yet, and a contract's worker is started by its first call. So
every peer's gateway is asked to collect endorsements of a read from all organizations, and one of
them those that each contract's policy wants. Nothing is ordered.
"""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from tongban.network.connections import Connections
from tongban.network.control import Control
from tongban.network.definitions import ADMIN, LIFECYCLE, first_with_peers
from tongban.network.errors import NetworkError
from tongban.network.health import is_healthy
from tongban.network.language import text
from tongban.network.topology import Channel, Organization, Topology
from tongban.protos import lifecycle_pb2
from tongban.protos.codec import parse
from tongban.sdk import EndorseError, Network, StatusCode, Timeouts

READY_SECONDS_MAX = 60.0
"""From starting the processes until all of them are healthy."""

USABLE_SECONDS_MAX = 30.0
"""From then until every peer's gateway reaches the others."""

PAUSE_SECONDS = 0.05

METADATA = "org.hyperledger.fabric:GetMetadata"
"""A read that every contract of ours and of Fabric's libraries offers."""

TIMEOUTS = Timeouts(evaluate_s=10, endorse_s=30, submit_s=10, commit_status_s=30)

_NOT_YET = frozenset({StatusCode.UNAVAILABLE, StatusCode.FAILED_PRECONDITION})
"""How a gateway says that it does not know the peers it needs."""


def wait_until_healthy(topology: Topology, control: Control, names: Iterable[str] = ()) -> None:
    """Returns when every node, or each of those named, answers its health check with OK.

    Raises:
        NetworkError: one refused to start, or it took too long.
    """
    deadline = time.monotonic() + READY_SECONDS_MAX
    wanted = set(names)
    waiting = {name: node for name, node in topology.nodes() if not wanted or name in wanted}
    while waiting:
        statuses = [status for status in control.status() if status.name in waiting]
        refused = [status for status in statuses if status.state.startswith("refused")]
        if refused:
            reasons = [f"{s.name}: {s.state}\n  {control.last_words(s.name)}" for s in refused]
            raise NetworkError("\n".join(reasons))
        waiting = {n: node for n, node in waiting.items() if not is_healthy(node.operations_port)}
        if waiting and time.monotonic() > deadline:
            names = ", ".join(waiting)
            raise NetworkError(
                text(f"not healthy in time: {names}", f"未能按时就绪: {names}"),
                text(
                    "Their logs say why: tongban network logs", "原因见日志: tongban network logs"
                ),
            )
        if waiting:
            time.sleep(PAUSE_SECONDS)


def wait_until_usable(connections: Connections) -> None:
    """Returns when every peer that clients enter at can collect endorsements from all
    organizations of its channels, and the workers run that a first transaction needs.

    Raises:
        NetworkError: it took too long.
    """
    with ThreadPoolExecutor(max_workers=8) as pool:
        waiting = [
            pool.submit(
                _wait_for_one, connections, channel, organization, warm=organization is first
            )
            for channel in connections.topology.channels
            for first in [first_with_peers(connections, channel)]
            for organization in connections.members(channel)
            if organization.peers
        ]
        for done in waiting:
            done.result()


def _wait_for_one(
    connections: Connections, channel: Channel, organization: Organization, *, warm: bool
) -> None:
    """``warm``: start contracts, too. One organization's gateway does it for all; a worker of each
    contract on each peer would be more than a small machine has room for."""
    everybody = [org.msp_id for org in connections.members(channel) if org.peers]
    deadline = time.monotonic() + USABLE_SECONDS_MAX
    with connections.gateway(organization, ADMIN, TIMEOUTS) as gateway:
        network = gateway.get_network(channel.id)
        names = _contracts(network, everybody, deadline)
        for name in names if warm else ():
            _wait_for_contract(network, name, deadline)


def _contracts(network: Network, everybody: Iterable[str], deadline: float) -> list[str]:
    """The contracts that the channel has a definition of; once all organizations answer."""
    args = lifecycle_pb2.QueryChaincodeDefinitionsArgs().SerializeToString()
    lifecycle = network.get_contract(LIFECYCLE)
    while True:
        proposal = lifecycle.new_proposal(
            "QueryChaincodeDefinitions", args, endorsing_organizations=list(everybody)
        )
        try:
            answer = proposal.endorse().result
        except EndorseError as error:
            _pause(deadline, error)
        else:
            found = parse(lifecycle_pb2.QueryChaincodeDefinitionsResult, answer)
            return [definition.name for definition in found.chaincode_definitions]


def _wait_for_contract(network: Network, name: str, deadline: float) -> None:
    contract = network.get_contract(name)
    while True:
        try:
            contract.new_proposal(METADATA).endorse()
        except EndorseError as error:
            if error.code not in _NOT_YET:
                return  # the contract was asked and has no such function
            _pause(deadline, error)
        else:
            return


def _pause(deadline: float, error: EndorseError) -> None:
    if time.monotonic() > deadline:
        raise NetworkError(
            text(f"the peers do not reach each other: {error}", f"各节点未能互相连通: {error}"),
            text("What is wrong: tongban doctor", "诊断: tongban doctor"),
        ) from None
    time.sleep(PAUSE_SECONDS)
