"""Whole networks of real processes for tests, on free ports, that end with the test."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tongban.network.connections import Connections
from tongban.network.control import Control
from tongban.network.layout import NetworkLayout
from tongban.network.lifecycle import Deployment, find_project
from tongban.network.preflight import is_free
from tongban.network.start import StartOptions, bring_up
from tongban.network.topology import Topology

ATTEMPTS_MAX = 50


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
