"""Where the ``tongban`` command begins."""

import importlib.metadata

import click

from tongban.network.cli.calls import evaluate, events, submit
from tongban.network.cli.contract import contract
from tongban.network.cli.network import network
from tongban.network.cli.offline import ledger, node


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(importlib.metadata.version("tongban"), prog_name="tongban")
def main() -> None:
    """Tongban (通办): a permissioned ledger for public services."""


for command in (network, contract, submit, evaluate, events, ledger, node):
    main.add_command(command)
