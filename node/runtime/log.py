"""A node's log: one line an event, and a specification of levels that can be changed while it runs.

The specification is Fabric's: ``info`` for everything, or ``tongban.node.ordering=debug:info``;
several names share a level with commas (fabric-lib-go common/flogging/loggerlevels.go). Nothing is
logged per transaction.
"""

import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import Literal

from tongban.protos.errors import TongbanError

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "dpanic": logging.CRITICAL,
    "panic": logging.CRITICAL,
    "fatal": logging.CRITICAL,
    "critical": logging.CRITICAL,
}

DEFAULT_SPEC = "info"

LINE_CHARACTERS_MAX = 8_192
"""Longer texts are cut: a contract may print anything."""


class InvalidLogSpec(TongbanError):
    """A specification of levels that cannot be read."""


class LogSpec:
    """The levels in force. There is one log in a process, so one of these."""

    def __init__(self) -> None:
        self._text = DEFAULT_SPEC
        self._named: list[str] = []

    @property
    def text(self) -> str:
        return self._text

    def activate(self, text: str) -> None:
        """Set the levels.

        Raises:
            InvalidLogSpec: the text is none; the levels stay as they were.
        """
        default, named = parse_spec(text)
        for name in self._named:
            logging.getLogger(name).setLevel(logging.NOTSET)
        logging.getLogger().setLevel(default)
        for name, level in named.items():
            logging.getLogger(name).setLevel(level)
        self._named = list(named)
        self._text = text.strip() or DEFAULT_SPEC


def parse_spec(text: str) -> tuple[int, dict[str, int]]:
    """The level of everything else, and the levels by logger name.

    Raises:
        InvalidLogSpec: a part is not a level and not ``name[,name]=level``.
    """
    default = logging.INFO
    named: dict[str, int] = {}
    for part in filter(None, text.strip().split(":")):
        names, equals, level = part.rpartition("=")
        if level.lower() not in LEVELS or (equals and not names):
            raise InvalidLogSpec(
                f"invalid logging specification '{text}': bad segment '{part}'; expected "
                f"LEVEL or NAME[,NAME]=LEVEL with one of {', '.join(LEVELS)}"
            )
        if not equals:
            default = LEVELS[level.lower()]
            continue
        for name in names.split(","):
            named[name] = LEVELS[level.lower()]
    return default, named


class TextFormatter(logging.Formatter):
    """``2026-01-31T08:00:00.123Z INFO tongban.node.orderer text``; further lines are indented, so
    that a line that begins with a time is an event."""

    def format(self, record: logging.LogRecord) -> str:
        text = _text(record).replace("\n", "\n    ")
        return f"{_time(record)} {record.levelname} {record.name} {text}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with ``time``, ``level``, ``logger`` and ``message``."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _text(record),
        }
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def start_log(spec: str, form: Literal["text", "json"] = "text") -> LogSpec:
    """Log to standard error from here on.

    Raises:
        InvalidLogSpec: the specification cannot be read.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    log_spec = LogSpec()
    log_spec.activate(spec)
    logging.getLogger().handlers = [handler]
    logging.captureWarnings(True)
    return log_spec


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


def _text(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if len(text) > LINE_CHARACTERS_MAX:
        text = f"{text[:LINE_CHARACTERS_MAX]}… ({len(text)} characters)"
    if record.exc_info and record.exc_info[0] is not None:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    return text
