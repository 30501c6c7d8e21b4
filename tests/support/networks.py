"""Whole networks of real processes for tests, on free ports, that end with the test."""

import random
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tongban.network.connections import Connections
from tongban.network.control import Control
from tongban.network.layout import NetworkLayout, full_name
from tongban.network.lifecycle import Deployment
from tongban.network.preflight import is_free
from tongban.network.projects import find_project
from tongban.network.start import StartOptions, bring_up
from tongban.network.topology import Node, Topology, load_profile

ATTEMPTS_MAX = 50

EQUAL_SECONDS_MAX = 60.0
"""Until all peers have what the highest has, when nothing new is ordered."""


class RunningNetwork:
    """A network that is up, and ways to use and to hurt it."""

    def __init__(self, topology: Topology, layout: NetworkLayout) -> None:
        self.topology = topology
        self.layout = layout
        self.connections = Connections(topology, layout)
        self.control = Control(layout)

    def deploy(self, channel_id: str, source: str, policy: str = "") -> list[str]:
        """Deploy a contract; returns the steps that were taken."""
        steps: list[str] = []
        channel = self.connections.find_channel(channel_id)
        Deployment(self.connections, channel, steps.append).deploy(find_project(source), policy)
        return steps

    def peer_names(self) -> list[str]:
        return [
            full_name(peer, organization.domain)
            for organization in self.topology.organizations
            for peer in organization.peers
        ]

    def ledger_directory(self, name: str, channel_id: str) -> Path:
        return self.layout.node(name) / "data" / "channels" / channel_id / "ledger"

    def pid(self, name: str) -> int:
        """The process of a node that is running."""
        (pid,) = [node.pid for node in self.control.status() if node.name == name]
        assert pid is not None, f"{name} is not running"
        return pid

    def height(self, name: str, channel_id: str) -> int:
        """The number of blocks that a node has, by its metrics."""
        wanted = f'block_height{{channel="{channel_id}"}} '
        for line in self.metrics(name).splitlines():
            if wanted in line:
                return int(float(line.rpartition(" ")[2]))
        raise AssertionError(f"{name} has no metric of its height on {channel_id}")

    def metrics(self, name: str) -> str:
        port = dict(self.topology.nodes())[name].operations_port
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def wait_for_equal_heights(self, channel_id: str) -> int:
        """The height that all peers have; fails if it takes too long."""
        deadline = time.monotonic() + EQUAL_SECONDS_MAX
        while True:
            heights = {name: self.height(name, channel_id) for name in self.peer_names()}
            if len(set(heights.values())) == 1:
                return next(iter(heights.values()))
            assert time.monotonic() < deadline, f"the peers differ: {heights}"
            time.sleep(0.05)


def two_organizations_three_peers() -> Topology:
    """The profile two-org, and a second peer for its first organization."""
    topology = load_profile("two-org")
    first, second = topology.organizations
    more = Node(name="peer1", port=7_061, operations_port=9_454)
    first = first.model_copy(update={"peers": (*first.peers, more)})
    return topology.model_copy(update={"organizations": (first, second)})


def on_free_ports(topology: Topology) -> Topology:
    """The same network on ports that nobody uses now."""
    count = 2 * len(list(topology.nodes()))
    for _ in range(ATTEMPTS_MAX):
        base = random.randrange(20_000, 32_000)
        if all(is_free(port) for port in range(base, base + count)):
            return topology.moved_to(base)
    raise AssertionError(f"no {count} free ports in a row were found")


@contextmanager
def running(topology: Topology, root: Path, *, sample: bool = False) -> Iterator[RunningNetwork]:
    """The network, up, with its sample contract if asked for; all its processes have ended
    afterwards."""
    layout = NetworkLayout(root)
    moved = on_free_ports(topology)
    bring_up(moved, layout, StartOptions(sample=sample), lambda step: None)
    network = RunningNetwork(moved, layout)
    try:
        yield network
    finally:
        network.control.down()
