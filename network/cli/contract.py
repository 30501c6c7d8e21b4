"""``tongban contract``: package, deploy, list."""

from pathlib import Path

import click

from tongban.contracts.packaging import build_project
from tongban.network.cli.context import dir_option, json_option
from tongban.network.cli.output import refusals, say, say_json
from tongban.network.cli.reach import open_connections
from tongban.network.cli.screen import steps, table
from tongban.network.lifecycle import Deployment, find_project
from tongban.protos import lifecycle_pb2
from tongban.protos.codec import parse


@click.group(name="contract")
def contract() -> None:
    """Package and deploy contracts."""


@contract.command()
@click.argument("source")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the package; LABEL.tar.gz by default.",
)
@refusals
def package(source: str, output: Path | None) -> None:
    """Make the package of the contract in a folder. The same source gives the same id."""
    built = build_project(find_project(source))
    path = output or Path(f"{built.project.label}.tar.gz")
    path.write_bytes(built.content)
    say(f"{built.package_id}\t{path}")


@contract.command()
@click.argument("channel")
@click.argument("source")
@click.option(
    "--policy",
    default="",
    help="Endorsement policy, as \"AND('Org1MSP.peer','Org2MSP.peer')\" or the path of a channel "
    "policy; the channel's default if not given.",
)
@dir_option
@refusals
def deploy(channel: str, source: str, policy: str, directory: Path) -> None:
    """Install, approve and commit a contract for all organizations of a development network."""
    connections = open_connections(directory)
    found = connections.find_channel(channel)
    with steps() as tell:
        Deployment(connections, found, tell).deploy(find_project(source), policy)


@contract.command(name="list")
@click.argument("channel")
@json_option
@dir_option
@refusals
def list_contracts(channel: str, as_json: bool, directory: Path) -> None:
    """The contracts that a channel has a definition of."""
    connections = open_connections(directory)
    found = connections.find_channel(channel)
    organization = next(org for org in connections.members(found) if org.peers)
    args = lifecycle_pb2.QueryChaincodeDefinitionsArgs()
    with connections.gateway(organization, "Admin") as gateway:
        lifecycle = gateway.get_network(channel).get_contract("_lifecycle")
        data = lifecycle.evaluate("QueryChaincodeDefinitions", args.SerializeToString())
    definitions = parse(lifecycle_pb2.QueryChaincodeDefinitionsResult, data)
    columns = ("name", "version", "sequence")
    rows = [(one.name, one.version, one.sequence) for one in definitions.chaincode_definitions]
    if as_json:
        say_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        table(columns, rows)
