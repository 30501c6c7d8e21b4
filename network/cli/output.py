"""How the command speaks: progress on a terminal, plain lines in a pipe, JSON for scripts.

Exit status 0 for done, 1 for refused, 2 for a wrong command line.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

import click
from rich.console import Console
from rich.table import Table

from tongban.network.errors import NetworkError
from tongban.protos.errors import TongbanError

P = ParamSpec("P")
R = TypeVar("R")

REFUSED = 1


def is_chinese() -> bool:
    """Whether the locale asks for Chinese."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name)
        if value:
            return value.lower().startswith("zh")
    return False


def text(english: str, chinese: str) -> str:
    """The wording for the locale."""
    return chinese if is_chinese() else english


def console() -> Console:
    return Console(highlight=False)


def say(line: str) -> None:
    click.echo(line)


def say_json(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on a terminal, tab-separated lines in a pipe."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join("" if cell is None else str(cell) for cell in row))
        return
    found = Table(*columns)
    for row in rows:
        found.add_row(*("" if cell is None else str(cell) for cell in row))
    console().print(found)


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """A way to tell of steps as they are done: with a spinner on a terminal."""
    if not sys.stdout.isatty():
        yield say
        return
    screen = console()
    with screen.status("…") as status:

        def tell(line: str) -> None:
            screen.print(f"[green]✓[/] {line}")
            status.update("…")

        yield tell


def refuse(error: Exception) -> NoReturn:
    """End with status 1 and the reason."""
    prefix = text("refused", "未执行")
    click.echo(f"{prefix}: {error}", err=True)
    sys.exit(REFUSED)


def refusals(command: Callable[P, R]) -> Callable[P, R]:
    """Turns refusals of the command into exit status 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except (TongbanError, NetworkError) as error:
            refuse(error)

    return run
