"""The ``tongban`` command as people run it; in this process, since starting one costs a second."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from tongban.network.cli import main


@dataclass(frozen=True, slots=True)
class Done:
    """How a run of the command ended."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Command:
    """Runs the command in a folder."""

    folder: Path
    locale: str = "C.UTF-8"

    def __call__(self, *arguments: str) -> Done:
        """How it ended; an exception that people would see as a traceback comes out here."""
        with contextlib.chdir(self.folder):
            done = CliRunner().invoke(
                main, arguments, prog_name="tongban", env={"LC_ALL": self.locale}
            )
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Done(done.exit_code, done.stdout, done.stderr)

    def in_chinese(self) -> "Command":
        return Command(self.folder, "zh_CN.UTF-8")
