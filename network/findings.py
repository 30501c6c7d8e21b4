"""What an examination finds: one line each, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as well as it could, or not for ever."""
    PROBLEM = "problem"
    """Something does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    level: Level
    explanation: str
    remedy: str = ""
    """What to type or do; empty where nothing is to be done."""


def ok(subject: str, explanation: str) -> Finding:
    return Finding(subject, Level.OK, explanation)


def warning(subject: str, explanation: str, remedy: str) -> Finding:
    return Finding(subject, Level.WARNING, explanation, remedy)


def problem(subject: str, explanation: str, remedy: str) -> Finding:
    return Finding(subject, Level.PROBLEM, explanation, remedy)
