"""How commands reach the nodes of a network, and on whose behalf."""

from pathlib import Path

import click

from tongban.network.cli.opening import open_network
from tongban.network.connections import Connections
from tongban.network.topology import Organization


def open_connections(directory: Path) -> Connections:
    layout, topology = open_network(directory)
    return Connections(topology, layout)


def parse_who(connections: Connections, who: str | None) -> tuple[Organization, str]:
    """Organization and user of ``ORG/USER``."""
    if who is None:
        organization = connections.topology.organizations[0]
        clients = [user.name for user in organization.users if user.role == "client"]
        return organization, clients[0] if clients else "Admin"
    name, slash, user = who.partition("/")
    if not slash or not user:
        raise click.BadParameter("expected ORG/USER, for example Org1/User1", param_hint="--as")
    return connections.find_organization(name), user
