"""``tongban network start``."""

from pathlib import Path

import click

from tongban.network.cli.context import dir_option
from tongban.network.cli.opening import open_network
from tongban.network.cli.output import refusals, say
from tongban.network.control import Control
from tongban.network.readiness import wait_until_healthy


@click.command()
@click.argument("nodes", nargs=-1, required=True)
@dir_option
@refusals
def start(nodes: tuple[str, ...], directory: Path) -> None:
    """Start nodes that were stopped, and wait until they are healthy."""
    layout, topology = open_network(directory)
    control = Control(layout)
    control.start(*nodes)
    wait_until_healthy(topology, control, nodes)
    for node in nodes:
        say(f"{node}: running")
