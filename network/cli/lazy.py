"""Groups whose commands are imported when they are used, so that help and small commands are quick.

Importing everything takes most of a second; ``tongban --help`` must not wait for gRPC.
"""

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from tongban.network.language import text


class Lazy(NamedTuple):
    """A command of a group: where it is, and its line in the group's help."""

    module: str
    attribute: str
    english: str
    chinese: str


class LazyGroup(click.Group):
    """A group that knows its commands by name only."""

    def __init__(self, *args: Any, lazy: Mapping[str, Lazy] | None = None, **kwargs: Any) -> None:
        """Further arguments are those of ``click.Group``."""
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*self.lazy, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = self.lazy.get(cmd_name)
        if found is None:
            return super().get_command(ctx, cmd_name)
        command = getattr(importlib.import_module(found.module), found.attribute)
        assert isinstance(command, click.Command), f"{found.module}.{found.attribute}"
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            found = self.lazy.get(name)
            if found is not None:
                rows.append((name, text(found.english, found.chinese)))
            else:
                rows.append((name, self.commands[name].get_short_help_str()))
        with formatter.section(text("Commands", "命令")):
            formatter.write_dl(rows)
