"""``tongban network status`` and ``logs``."""

from collections import deque
from pathlib import Path

import click

from tongban.network.cli.context import dir_option, json_option
from tongban.network.cli.opening import open_network
from tongban.network.cli.output import refusals, say, say_json
from tongban.network.cli.screen import table
from tongban.network.control import Control
from tongban.network.errors import NetworkError
from tongban.network.health import find_health
from tongban.network.language import text

COLUMNS = ("node", "state", "pid", "port", "health", "starts")


@click.command()
@json_option
@dir_option
@refusals
def status(as_json: bool, directory: Path) -> None:
    """What each node does."""
    layout, topology = open_network(directory)
    ports = dict(topology.nodes())
    rows = [
        (
            node.name,
            node.state,
            node.pid,
            ports[node.name].port,
            _health_of(ports[node.name].operations_port),
            node.starts,
        )
        for node in Control(layout).status()
    ]
    if as_json:
        say_json([dict(zip(COLUMNS, row, strict=True)) for row in rows])
    else:
        table(COLUMNS, rows)


def _health_of(operations_port: int) -> str:
    found = find_health(operations_port)
    if found is None:
        return "no answer"
    return "healthy" if found.is_ok else "; ".join(found.reasons)


@click.command()
@click.argument("node", required=False)
@click.option("--lines", "-n", default=20, show_default=True, help="Lines of each log.")
@dir_option
@refusals
def logs(node: str | None, lines: int, directory: Path) -> None:
    """The last lines of the nodes' logs."""
    layout, topology = open_network(directory)
    names = [name for name, _ in topology.nodes()]
    if node is not None and node not in names:
        known = ", ".join(names)
        raise NetworkError(
            text(f"no node {node!r}", f"没有节点 {node!r}"),
            text(f"Expected one of: {known}", f"应为其中之一: {known}"),
        )
    for name in [node] if node else names:
        path = layout.node_log(name)
        say(f"== {name} ({path})")
        if path.exists():
            with path.open(encoding="utf-8", errors="replace") as file:
                for line in deque(file, maxlen=lines):
                    say(line.rstrip("\n"))
