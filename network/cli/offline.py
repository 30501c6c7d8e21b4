"""``tongban ledger`` and ``tongban node``: tools that run as processes of their own."""

import subprocess
import sys
from pathlib import Path

import click
import yaml

from tongban.network.cli.output import refusals
from tongban.network.errors import NetworkError


@click.group(name="ledger")
def ledger() -> None:
    """Check ledgers, without a network."""


def _run(module: str, *arguments: str) -> None:
    sys.exit(subprocess.run([sys.executable, "-m", module, *arguments], check=False).returncode)


@ledger.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(directory: str, as_json: bool) -> None:
    """Re-check a peer's ledger: hash chain, signatures, flags, commit hashes and state."""
    _run("tongban.node.ledger.verify", directory, *(["--json"] if as_json else []))


@ledger.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def audit(directory: str, as_json: bool) -> None:
    """Re-validate N.block files fetched from any Fabric channel, genesis first."""
    _run("tongban.node.ledger.audit", directory, *(["--json"] if as_json else []))


@click.group(name="node")
def node() -> None:
    """Run one node."""


@node.command()
@click.option(
    "--config",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The node's YAML file.",
)
@refusals
def start(config: Path) -> None:
    """Run a peer or an orderer in the foreground, as its configuration says."""
    try:
        document = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise NetworkError(f"{config} cannot be read as YAML: {error}") from None
    is_peer = isinstance(document, dict) and "external_endpoint" in document
    _run(f"tongban.node.{'peer' if is_peer else 'orderer'}", "--config", str(config))
