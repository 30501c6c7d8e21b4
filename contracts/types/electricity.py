"""用电户号, an electricity account number.

No open standard gives it a check digit: 10 digits in the older scheme, 13 in the unified one. The
form only catches slips; whether the account exists is for a lookup to say.
"""

import re

from tongban.contracts.types.identifier import Fault, Identifier


class ElectricityAccountNumber(Identifier):
    """用电户号. A supplier with other numbers makes a subclass with another ``PATTERN`` and
    ``EXPECTED``."""

    __slots__ = ()

    NAME = "electricity account number"
    NAME_ZH = "用电户号"
    PATTERN = re.compile(r"^(?:[0-9]{10}|[0-9]{13})$")

    EXPECTED = ("10 or 13 digits", "10 位或 13 位数字")
    """What the pattern asks for, in English and Chinese."""

    @classmethod
    def find_fault(cls, text: str) -> Fault | None:
        if cls.PATTERN.fullmatch(text):
            return None
        digits = sum("0" <= character <= "9" for character in text)
        # An account belongs to a household, so the text itself is not repeated.
        return Fault(
            "form",
            f"expected {cls.EXPECTED[0]}, found {len(text)} characters with {digits} digits",
            f"应为 {cls.EXPECTED[1]}，实为 {len(text)} 个字符，其中 {digits} 位数字",
        )

    def mask(self) -> str:
        """``******7890``: the last four digits."""
        return "*" * (len(self._text) - 4) + self._text[-4:]
