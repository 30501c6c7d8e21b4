"""Bringing a network up: checks, material, nodes, contracts; and waiting until it works."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from tongban.network import preflight
from tongban.network.connections import Connections
from tongban.network.control import Control, clean, refuse_if_running, refuse_leftovers
from tongban.network.errors import NetworkError
from tongban.network.language import text
from tongban.network.layout import NetworkLayout
from tongban.network.lifecycle import Deployment
from tongban.network.material import ensure_material
from tongban.network.projects import find_project
from tongban.network.readiness import wait_until_healthy, wait_until_usable
from tongban.network.rules import ChannelRules
from tongban.network.topology import Topology, load_topology

RULES_SOURCE = "rules_contract"
"""Where a topology has this contract, the rules that its contracts declare are adopted."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What ``network up`` was asked for."""

    fresh: bool = False
    """Throw away what the directory holds."""
    sample: bool = False
    """Deploy what the topology only deploys on request."""


def bring_up(topology: Topology, layout: NetworkLayout, options: StartOptions, say: Say) -> None:
    """Afterwards every node of the network is healthy, its contracts are deployed, and the first
    transaction finds everything warm.

    Raises:
        NetworkError: it cannot be brought up; nothing of it is left running.
    """
    control = Control(layout)
    refuse_if_running(layout)
    refuse_leftovers(layout)
    if options.fresh:
        clean(layout)
    check_same(topology, layout)
    found = list(preflight.problems(topology, layout.root))
    if found:
        raise NetworkError(
            text("the network cannot start here:", "网络无法在此启动:"),
            "\n".join(f"  {problem}" for problem in found),
        )
    say(text("keys, certificates and genesis blocks", "密钥、证书和创世区块"))
    ensure_material(topology, layout, dt.datetime.now(dt.UTC))
    names = ", ".join(name for name, _ in topology.nodes())
    say(text(f"nodes: {names}", f"节点: {names}"))
    control.start_supervisor()
    try:
        wait_until_healthy(topology, control)
        connections = Connections(topology, layout)
        deploy_contracts(connections, options, say)
        wait_until_usable(connections)
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
            text(
                f"{layout.root} holds the network {existing.name!r} with another topology",
                f"{layout.root} 中已有另一拓扑的网络 {existing.name!r}",
            ),
            text(
                "Use another --dir, or --fresh to throw that one away.",
                "请换一个 --dir,或用 --fresh 丢弃原有网络。",
            ),
        )


def deploy_contracts(connections: Connections, options: StartOptions, say: Say) -> None:
    for channel in connections.topology.channels:
        deployment = Deployment(connections, channel, say)
        for contract in channel.contracts:
            if contract.when == "always" or options.sample:
                deployment.deploy(find_project(contract.source), contract.policy)
        if any(contract.source == RULES_SOURCE for contract in channel.contracts):
            ChannelRules(connections, channel).adopt(say)
