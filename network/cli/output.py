"""How the command speaks: lines, JSON for scripts, and refusals.

Exit status 0 for done, 1 for refused, 2 for a wrong command line.
"""

import json
import sys
from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

import click

from tongban.network.language import text
from tongban.protos.errors import TongbanError

P = ParamSpec("P")
R = TypeVar("R")

REFUSED = 1


def say(line: str) -> None:
    click.echo(line)


def tell(line: str) -> None:
    """For people only: to the error stream, so that the output stays what was asked for."""
    click.echo(line, err=True)


def say_json(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


SEE_DETAILS = ", see attached details for more info"
"""How Fabric's gateway ends a message whose details follow."""


def refuse(error: Exception) -> NoReturn:
    """End with status 1 and the reason; what each node said on a line of its own."""
    prefix = text("refused", "未执行")
    # Errors of the SDK have details; it is not imported here, since most commands do without it.
    details = [str(detail) for detail in getattr(error, "details", ())]
    message = str(error).removesuffix("".join(f"; {detail}" for detail in details))
    if details:
        message = message.removesuffix(SEE_DETAILS)
    click.echo("\n  ".join([f"{prefix}: {message}", *details]), err=True)
    if getattr(getattr(error, "code", None), "name", "") == "UNAVAILABLE":
        hint = text(
            "Is the network up? tongban network status", "网络启动了吗? tongban network status"
        )
        click.echo(hint, err=True)
    sys.exit(REFUSED)


def refusals(command: Callable[P, R]) -> Callable[P, R]:
    """Turns refusals of the command into exit status 1."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except TongbanError as error:
            refuse(error)

    return run
