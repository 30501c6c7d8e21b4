"""公民身份号码, GB 11643-1999: division 6, birth date 8, sequence 3, check 1.

A resident identity number is personal: it never is a state key and never stands in an event, a
result or a log. ``repr``, ``mask()`` and errors keep to that; ``str()`` is the number itself.
"""

import re
from datetime import date
from typing import Literal

from tongban.contracts.types.check_characters import resident_check
from tongban.contracts.types.division import PROVINCES
from tongban.contracts.types.identifier import (
    Fault,
    Identifier,
    InvalidIdentifier,
    find_date,
    wrong_length,
)

AGE_YEARS_MAX = 150
"""Above this an age is remarkable, but the number is not wrong: the standard's own second example
was born in 1880."""


class ResidentId(Identifier):
    """公民身份号码 of 18 characters. The old 15 digits are refused, never extended."""

    __slots__ = ()

    NAME = "resident identity number"
    NAME_ZH = "公民身份号码"
    PATTERN = re.compile(r"^[0-9]{17}[0-9X]$")

    @classmethod
    def find_fault(cls, text: str) -> Fault | None:
        if len(text) != 18:
            return wrong_length("18", text)
        if not cls.PATTERN.fullmatch(text):
            return Fault(
                "form",
                "expected 17 digits and a digit or an upper-case X",
                "应为 17 位数字加 1 位数字或大写 X",
            )
        if text[:2] not in PROVINCES and text[:2] != "83":
            return Fault(
                "division",
                f"expected a province in the first two digits, found {text[:2]}",
                f"前两位应为省级代码，实为 {text[:2]}",
            )
        if find_date(text[6:14]) is None:
            return Fault(
                "date",
                "expected a calendar date in places 7 to 14, found none",
                "第 7 至 14 位应为日历中存在的日期",
            )
        expected = resident_check(text[:17])
        if text[17] != expected:
            # The expected character is not told: with the masked form on the same screen it
            # would give part of somebody's number away.
            return Fault(
                "check",
                f"check character {text[17]} in place 18 does not fit the other places",
                f"第 18 位校验码 {text[17]} 与前 17 位不符",
            )
        return None

    def mask(self) -> str:
        """``110***********002X``: the first three and the last four characters."""
        return f"{self._text[:3]}***********{self._text[14:]}"

    @property
    def division_code(self) -> str:
        """Where the number was first given out; the division may no longer exist."""
        return self._text[:6]

    @property
    def birth_date(self) -> date:
        day = find_date(self._text[6:14])
        assert day is not None
        return day

    @property
    def sex(self) -> Literal["male", "female"]:
        """Odd sequence numbers are male."""
        return "male" if int(self._text[16]) % 2 else "female"

    def verify_born_by(self, day: date) -> None:
        """The birth date is not after ``day``: the transaction's day, not a clock's.

        Raises:
            InvalidIdentifier: it lies in the future.
        """
        if self.birth_date > day:
            raise InvalidIdentifier(
                type(self),
                Fault(
                    "date",
                    f"expected a birth date not after {day.isoformat()}",
                    f"出生日期不应晚于 {day.isoformat()}",
                ),
            )

    def age_on(self, day: date) -> int:
        """Completed years of life on ``day``."""
        born = self.birth_date
        return day.year - born.year - ((day.month, day.day) < (born.month, born.day))

    def warnings_on(self, day: date) -> tuple[str, ...]:
        """What a clerk should look at, though the number is valid."""
        if self.age_on(day) > AGE_YEARS_MAX:
            return (f"age above {AGE_YEARS_MAX} years（年龄超过 {AGE_YEARS_MAX} 岁）",)
        return ()
