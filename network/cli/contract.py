"""``tongban contract``: new, check, test, package; deploy and list are in contract_deploy.py."""

import sys
from pathlib import Path

import click

from tongban.contracts.packaging import build_project
from tongban.network.cli.context import json_option
from tongban.network.cli.lazy import Lazy, LazyGroup
from tongban.network.cli.output import refusals, say, say_json
from tongban.network.language import text
from tongban.network.projects import begin_project, check_project, find_project, run_tests

_DEPLOY = "tongban.network.cli.contract_deploy"

LAZY = {
    "deploy": Lazy(
        _DEPLOY, "deploy", "Install, approve and commit a contract.", "安装、批准、提交合约"
    ),
    "list": Lazy(_DEPLOY, "list_contracts", "The contracts of a channel.", "通道上的合约"),
}

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group(name="contract", cls=LazyGroup, lazy=LAZY)
def contract() -> None:
    """Write, check and deploy contracts."""


@contract.command()
@click.argument("directory", type=_FOLDER)
@refusals
def new(directory: Path) -> None:
    """Begin a contract in a new folder: a class, its test, its contract.toml."""
    for path in begin_project(directory):
        say(str(path))
    say(
        text(
            f"Next: tongban contract test {directory}; tongban contract check {directory}",
            f"下一步: tongban contract test {directory}; tongban contract check {directory}",
        )
    )


@contract.command()
@click.argument("source")
@json_option
@refusals
def check(source: str, as_json: bool) -> None:
    """Package and load a contract as a peer would, and say what it offers."""
    found = check_project(find_project(source))
    if as_json:
        functions = [
            {"name": one.name, "kind": one.kind, "parameters": list(one.parameters)}
            for one in found.functions
        ]
        say_json({"package_id": found.package_id, "functions": functions})
        return
    for one in found.functions:
        say(f"{one.kind:8}  {one.name}({', '.join(one.parameters)})")
    say(text(f"good: {found.package_id}", f"通过: {found.package_id}"))


@contract.command(context_settings={"ignore_unknown_options": True})
@click.argument("source")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
@refusals
def test(source: str, pytest_arguments: tuple[str, ...]) -> None:
    """Run the tests of a contract with pytest; further arguments are pytest's."""
    sys.exit(run_tests(find_project(source), pytest_arguments))


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
