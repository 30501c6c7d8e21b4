"""What commands share: their options, and where the network is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tongban.network.layout import NetworkLayout

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
