"""Bringing a network up: checks, material, nodes, contracts; and waiting until it works."""

import datetime as dt
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from tongban.network import preflight
from tongban.network.connections import Connections
from tongban.network.control import Control
from tongban.network.errors import NetworkError
from tongban.network.layout import NetworkLayout
from tongban.network.lifecycle import Deployment, find_project
from tongban.network.material import ensure_material
from tongban.network.topology import Topology, load_topology

READY_SECONDS_MAX = 60.0
"""From starting the processes until all of them are healthy."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What ``network up`` was asked for."""

    fresh: bool = False
    """Throw away what the directory holds."""
    sample: bool = False
    """Deploy what the topology only deploys on request."""


def bring_up(topology: Topology, layout: NetworkLayout, options: StartOptions, say: Say) -> None:
    """Afterwards every node of the network is healthy and its contracts are deployed.

    Raises:
        NetworkError: it cannot be brought up; nothing of it is left running.
    """
    control = Control(layout)
    if control.is_running:
        raise NetworkError(
            f"a network is running in {layout.root}", "Stop it first: tongban network down"
        )
    if options.fresh:
        clean(layout)
    check_same(topology, layout)
    found = list(preflight.problems(topology, layout.root))
    if found:
        raise NetworkError("the network cannot start here:", "\n".join(f"  {p}" for p in found))
    say("keys, certificates and genesis blocks")
    ensure_material(topology, layout, dt.datetime.now(dt.UTC))
    say("nodes: " + ", ".join(name for name, _ in topology.nodes()))
    control.start_supervisor()
    try:
        wait_until_healthy(topology, control)
        deploy_contracts(topology, layout, options, say)
    except BaseException:
        control.down()
        raise


def check_same(topology: Topology, layout: NetworkLayout) -> None:
    """Raises NetworkError if the directory holds another network."""
    if not layout.topology.exists():
        return
    existing = load_topology(layout.topology)
    if existing != topology:
        raise NetworkError(
            f"{layout.root} holds the network {existing.name!r} with another topology",
            "Use another --dir, or --fresh to throw that one away.",
        )


def wait_until_healthy(topology: Topology, control: Control) -> None:
    """Returns when every node answers its health check with OK."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    waiting = dict(topology.nodes())
    while waiting:
        refused = [s for s in control.status() if s.state.startswith("refused")]
        if refused:
            raise NetworkError("; ".join(f"{s.name}: {s.state}" for s in refused))
        waiting = {n: node for n, node in waiting.items() if not is_healthy(node.operations_port)}
        if waiting and time.monotonic() > deadline:
            raise NetworkError(f"not healthy in time: {', '.join(waiting)}")
        time.sleep(0.05 if waiting else 0)


def is_healthy(operations_port: int) -> bool:
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{operations_port}/healthz", timeout=2
        ) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def deploy_contracts(
    topology: Topology, layout: NetworkLayout, options: StartOptions, say: Say
) -> None:
    connections = Connections(topology, layout)
    for channel in topology.channels:
        deployment = Deployment(connections, channel, say)
        for contract in channel.contracts:
            if contract.when == "always" or options.sample:
                deployment.deploy(find_project(contract.source), contract.policy)


def clean(layout: NetworkLayout) -> None:
    """The network's directory is gone. Only what is a network's is removed."""
    if Control(layout).is_running:
        raise NetworkError(
            f"a network is running in {layout.root}", "Stop it first: tongban network down"
        )
    if not layout.root.exists():
        return
    if any(layout.root.iterdir()) and not layout.topology.exists():
        raise NetworkError(
            f"{layout.root} is not a network's directory and is left alone",
            "Name the right one with --dir.",
        )
    shutil.rmtree(layout.root)
