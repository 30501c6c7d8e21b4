"""统一社会信用代码, GB 32100-2015.

Registrar 1, category 1, division 6, organization code 9, check 1.
"""

import re

from tongban.contracts.types.check_characters import credit_code_check, organization_check
from tongban.contracts.types.division import AdministrativeDivision
from tongban.contracts.types.identifier import Fault, Identifier, wrong_check, wrong_length

CATEGORIES = {
    "11": "机关",
    "12": "事业单位",
    "51": "社会团体",
    "52": "民办非企业单位",
    "53": "基金会",
    "91": "企业",
    "92": "个体工商户",
    "93": "农民专业合作社",
}
"""Common first two characters. Others exist, so an unknown pair is not a fault."""


class UnifiedSocialCreditCode(Identifier):
    """统一社会信用代码 of 18 characters, of an organization."""

    __slots__ = ()

    NAME = "unified social credit code"
    NAME_ZH = "统一社会信用代码"
    PATTERN = re.compile(r"^[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}$")

    @classmethod
    def find_fault(cls, text: str) -> Fault | None:
        if len(text) != 18:
            return wrong_length("18", text)
        if not cls.PATTERN.fullmatch(text):
            return Fault(
                "form",
                "expected digits and upper-case letters without I, O, S, V, Z, and digits only "
                f"in places 3 to 8, found {text!r}",
                f"应为数字和大写字母（不含 I O S V Z），第 3 至 8 位为数字，实为 {text!r}",
            )
        fault = AdministrativeDivision.find_fault(text[2:8]) if text[2:8] != "100000" else None
        if fault is not None:
            return Fault(
                "division",
                f"expected an administrative division in places 3 to 8, found {text[2:8]}",
                f"第 3 至 8 位应为行政区划，实为 {text[2:8]}",
            )
        expected = organization_check(text[8:16])
        if text[16] != expected:
            return wrong_check(expected, text[16], 17)
        expected = credit_code_check(text[:17])
        if text[17] != expected:
            return wrong_check(expected, text[17], 18)
        return None

    @property
    def category(self) -> str | None:
        """What kind of organization, if its first two characters are common ones."""
        return CATEGORIES.get(self._text[:2])

    @property
    def division_code(self) -> str:
        """Division of the registrar; ``100000`` for the state's own."""
        return self._text[2:8]

    @property
    def organization_code(self) -> str:
        """The nine characters of GB 11714."""
        return self._text[8:17]
