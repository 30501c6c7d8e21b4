"""What all identifiers share: immutable text that was checked, and a refusal that explains itself.

An identifier exists only if its text is right, so a contract that takes one as a parameter need
not check it again. What an identifier of a person says in an error, in ``repr`` and in ``mask()``
never lets the whole number be read.
"""

import re
from collections.abc import Mapping
from datetime import date
from functools import total_ordering
from typing import ClassVar, NamedTuple, Self

from tongban.protos.errors import TongbanError


class Fault(NamedTuple):
    """Why a text is no identifier of its kind: the rule it breaks, in two languages."""

    rule: str
    """One word a program can compare: ``type``, ``length``, ``form``, ``check``, ``date``, …"""

    english: str
    chinese: str


class InvalidIdentifier(TongbanError, ValueError):
    """A text is not the identifier it should be. Says what was expected and what was found."""

    def __init__(self, kind: "type[Identifier]", fault: Fault) -> None:
        super().__init__(f"{kind.NAME}: {fault.english}（{kind.NAME_ZH}：{fault.chinese}）")
        self.kind = kind
        self.fault = fault


@total_ordering
class Identifier:
    """Base of all identifiers. A subclass sets the class variables and :meth:`find_fault`."""

    __slots__ = ("_text",)

    NAME: ClassVar[str]
    NAME_ZH: ClassVar[str]

    PATTERN: ClassVar[re.Pattern[str]]
    """Form of the text; goes into the contract's metadata. Weaker than the whole check."""

    _text: str

    def __init__(self, text: str) -> None:
        fault = self.validate(text)
        if fault is not None:
            raise InvalidIdentifier(type(self), fault)
        object.__setattr__(self, "_text", text)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The identifier that this text is, after :meth:`normalise`.

        Raises:
            InvalidIdentifier: it is none; says which rule is broken.
        """
        return cls(cls.normalise(text) if isinstance(text, str) else text)

    @classmethod
    def normalise(cls, text: str) -> str:
        """The text in its one canonical spelling; most kinds allow no other."""
        return text

    @classmethod
    def validate(cls, text: object) -> Fault | None:
        """The first rule that the text breaks, or None. Never raises."""
        if not isinstance(text, str):
            found = type(text).__name__
            return Fault("type", f"expected text, found {found}", f"应为文本，实为 {found}")
        return cls.find_fault(text)

    @classmethod
    def find_fault(cls, text: str) -> Fault | None:
        """The first rule that the text breaks, or None."""
        raise NotImplementedError

    @classmethod
    def json_schema(cls) -> Mapping[str, object]:
        """How contract metadata describes it."""
        return {"type": "string", "title": cls.NAME, "pattern": cls.PATTERN.pattern}

    def mask(self) -> str:
        """The form for screens and logs. The whole text, unless it names a person."""
        return self._text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.mask()!r})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and str(other) == self._text

    def __lt__(self, other: Self) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._text < str(other)

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._text))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self._text,)


def wrong_length(expected: str, found: str) -> Fault:
    """A fault that tells lengths only, never the text."""
    return Fault(
        "length",
        f"expected {expected} characters, found {len(found)}",
        f"应为 {expected} 位，实为 {len(found)} 位",
    )


def wrong_check(expected: str, found: str, place: int) -> Fault:
    """A fault of a check character; ``place`` counts from 1."""
    return Fault(
        "check",
        f"expected check character {expected} in place {place}, found {found}",
        f"第 {place} 位校验码应为 {expected}，实为 {found}",
    )


def find_date(digits: str) -> date | None:
    """The day that eight digits ``yyyymmdd`` name, if the calendar has it."""
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None
