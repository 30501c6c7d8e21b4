"""政务服务事项的实施编码 (GB/T 39554.1-2020) and the case numbers built on it.

Implementation code, 31: credit code of the department 18, level of exercise 1, basic code 12. Case
number, 43: implementation code, date of application 8, serial number 4.
"""

import re
from datetime import date

from tongban.contracts.types.credit_code import UnifiedSocialCreditCode
from tongban.contracts.types.identifier import Fault, Identifier, find_date, wrong_length


class ImplementationCode(Identifier):
    """实施编码 of 31 characters: one item as one department carries it out."""

    __slots__ = ()

    NAME = "implementation code"
    NAME_ZH = "实施编码"
    PATTERN = re.compile(r"^[0-9A-Z]{18}[1-9][0-9]{12}$")

    @classmethod
    def find_fault(cls, text: str) -> Fault | None:
        if len(text) != 31:
            return wrong_length("31", text)
        fault = UnifiedSocialCreditCode.find_fault(text[:18])
        if fault is not None:
            return Fault(fault.rule, f"department: {fault.english}", f"实施主体：{fault.chinese}")
        if not cls.PATTERN.fullmatch(text):
            return Fault(
                "form",
                f"expected a level (1 to 9) and 12 digits after the department, found {text[18:]}",
                f"实施主体之后应为行使层级 1 位（1 至 9）和 12 位数字，实为 {text[18:]}",
            )
        return None

    @property
    def department(self) -> UnifiedSocialCreditCode:
        return UnifiedSocialCreditCode(self._text[:18])

    @property
    def level(self) -> int:
        """行使层级: 4 is a county's."""
        return int(self._text[18])

    @property
    def basic_code(self) -> str:
        """The twelve digits that all departments of the country share for the item."""
        return self._text[19:]


class CaseNumber(Identifier):
    """办件编号 of 43 characters."""

    __slots__ = ()

    NAME = "case number"
    NAME_ZH = "办件编号"
    PATTERN = re.compile(r"^[0-9A-Z]{18}[1-9][0-9]{24}$")

    @classmethod
    def find_fault(cls, text: str) -> Fault | None:
        if len(text) != 43:
            return wrong_length("43", text)
        fault = ImplementationCode.find_fault(text[:31])
        if fault is not None:
            return fault
        if not cls.PATTERN.fullmatch(text):
            return Fault(
                "form",
                f"expected 12 digits after the implementation code, found {text[31:]}",
                f"实施编码之后应为 12 位数字，实为 {text[31:]}",
            )
        if find_date(text[31:39]) is None:
            return Fault(
                "date",
                f"expected a calendar date in places 32 to 39, found {text[31:39]}",
                f"第 32 至 39 位应为日历中存在的日期，实为 {text[31:39]}",
            )
        return None

    @classmethod
    def build(cls, item: ImplementationCode, applied_on: date, serial: int) -> "CaseNumber":
        """The number of the ``serial``-th case (0 to 9999) of an item on a day."""
        return cls(f"{item}{applied_on:%Y%m%d}{serial:04d}")

    @property
    def implementation_code(self) -> ImplementationCode:
        return ImplementationCode(self._text[:31])

    @property
    def applied_on(self) -> date:
        day = find_date(self._text[31:39])
        assert day is not None
        return day

    @property
    def serial(self) -> int:
        return int(self._text[39:])
