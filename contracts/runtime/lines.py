"""Print and log lines of contracts go to the node's log, with the transaction they belong to."""

import io
import logging
import sys
from collections.abc import Callable
from typing import Final, TextIO, cast

LINE_CHARACTERS_MAX: Final = 4_096
"""Characters of one line; the rest of it is cut."""

Sink = Callable[[int, str], None]
"""Level as in ``logging``, and one line."""


def redirect_output(sink: Sink) -> None:
    """From now on print and logging of this process end in ``sink``."""
    sys.stdout = cast(TextIO, _Lines(sink, logging.INFO))
    sys.stderr = cast(TextIO, _Lines(sink, logging.WARNING))
    root = logging.getLogger()
    root.handlers[:] = [_Handler(sink)]
    root.setLevel(logging.INFO)


def _clean(line: str) -> str:
    text = line[:LINE_CHARACTERS_MAX]
    return text.encode("utf-8", "backslashreplace").decode()


class _Lines(io.TextIOBase):
    """A text file to whose lines somebody listens. Lines are not mixed between transactions as
    long as a transaction does not ask the ledger in the middle of one."""

    def __init__(self, sink: Sink, level: int) -> None:
        self._sink = sink
        self._level = level
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, rest = (self._rest + text).split("\n")
        for line in lines:
            self._sink(self._level, _clean(line))
        self._rest = rest[:LINE_CHARACTERS_MAX]
        return len(text)

    def writable(self) -> bool:
        return True


class _Handler(logging.Handler):
    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).split("\n"):
            self._sink(record.levelno, _clean(line))
