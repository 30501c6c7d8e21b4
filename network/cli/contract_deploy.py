"""``tongban contract deploy`` and ``list``: contracts on a network."""

from pathlib import Path

import click

from tongban.network.cli.context import dir_option, json_option
from tongban.network.cli.output import refusals, say_json
from tongban.network.cli.reach import open_connections
from tongban.network.cli.screen import steps, table
from tongban.network.definitions import list_definitions
from tongban.network.lifecycle import Deployment
from tongban.network.projects import find_project


@click.command()
@click.argument("channel")
@click.argument("source")
@click.option(
    "--policy",
    default="",
    help="Endorsement policy, as \"AND('Org1MSP.peer','Org2MSP.peer')\" or the path of a channel "
    "policy. Not given, an upgrade keeps the committed one, and a new contract has the channel's.",
)
@dir_option
@refusals
def deploy(channel: str, source: str, policy: str, directory: Path) -> None:
    """Install, approve and commit a contract for all organizations of a development network.

    Deploying again after a change upgrades the contract and keeps the ledger.
    """
    connections = open_connections(directory)
    found = connections.find_channel(channel)
    with steps() as tell:
        Deployment(connections, found, tell).deploy(find_project(source), policy)


@click.command(name="list")
@click.argument("channel")
@json_option
@dir_option
@refusals
def list_contracts(channel: str, as_json: bool, directory: Path) -> None:
    """The contracts that a channel has a definition of."""
    connections = open_connections(directory)
    columns = ("name", "version", "sequence", "endorsement")
    rows = [
        (one.name, one.version, one.sequence, one.endorsement)
        for one in list_definitions(connections, connections.find_channel(channel))
    ]
    if as_json:
        say_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        table(columns, rows)
