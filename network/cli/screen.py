"""Progress and tables: for people on a terminal, plain lines in a pipe."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click
from rich.console import Console
from rich.table import Table

from tongban.network.cli.output import say


def console() -> Console:
    return Console(highlight=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on a terminal, tab-separated lines without a heading in a pipe."""
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
