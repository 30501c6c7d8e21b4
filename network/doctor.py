"""Examines this machine and the network of a directory, and says what to do about what is wrong."""

import datetime as dt
from collections.abc import Iterator

from tongban.network.certificate_checks import examine_certificates
from tongban.network.errors import TopologyError
from tongban.network.findings import Finding, ok, problem
from tongban.network.language import text
from tongban.network.layout import NetworkLayout
from tongban.network.machine_checks import examine_machine
from tongban.network.network_checks import examine_network
from tongban.network.topology import load_topology


def examine(layout: NetworkLayout, now: dt.datetime) -> Iterator[Finding]:
    """Everything, in the order of what depends on what."""
    yield from examine_machine(layout.root)
    if not layout.topology.exists():
        yield ok(
            text("network", "网络"),
            text(f"none in {layout.root}", f"{layout.root} 中没有网络"),
        )
        return
    try:
        topology = load_topology(layout.topology)
    except TopologyError as error:
        yield problem(
            text("topology", "拓扑"),
            str(error),
            text("Correct the file, or: tongban network up --fresh", "请改正,或重建: --fresh"),
        )
        return
    yield from examine_certificates(layout.organizations, now)
    yield from examine_network(layout, topology)
