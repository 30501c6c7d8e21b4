"""What commands share: where the network is, and how to reach it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tongban.network.connections import Connections
from tongban.network.errors import NetworkError
from tongban.network.layout import NetworkLayout
from tongban.network.topology import Topology, load_topology

DEFAULT_DIR = Path(".tongban/network")

Command = Callable[..., Any]  # click hands options over by name


def dir_option(command: Command) -> Command:
    return click.option(
        "--dir",
        "directory",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT_DIR,
        show_default=True,
        help="The network's directory.",
    )(command)


def json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def as_option(command: Command) -> Command:
    return click.option(
        "--as",
        "who",
        metavar="ORG/USER",
        help="On whose behalf; the first organization's User1 (or first user) by default.",
    )(command)


def open_layout(directory: Path) -> NetworkLayout:
    return NetworkLayout(directory.absolute())


def open_network(directory: Path) -> tuple[NetworkLayout, Topology]:
    """Raises NetworkError if there is no network in the directory."""
    layout = open_layout(directory)
    if not layout.topology.exists():
        raise NetworkError(f"no network in {layout.root}", "Start one: tongban network up")
    return layout, load_topology(layout.topology)


def open_connections(directory: Path) -> Connections:
    layout, topology = open_network(directory)
    return Connections(topology, layout)


def parse_who(connections: Connections, who: str | None) -> tuple[Any, str]:
    """Organization and user of ``ORG/USER``."""
    if who is None:
        organization = connections.topology.organizations[0]
        clients = [user.name for user in organization.users if user.role == "client"]
        return organization, clients[0] if clients else "Admin"
    name, slash, user = who.partition("/")
    if not slash or not user:
        raise click.BadParameter("expected ORG/USER, for example Org1/User1", param_hint="--as")
    return connections.find_organization(name), user
