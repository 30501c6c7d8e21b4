"""不动产单元代码 (GB/T 37346-2019) and 不动产权证号.

A unit code is 28 characters without a check digit: county 6, cadastral area 3, sub-area 3, parcel
kind 2, parcel number 5 (so far the parcel code, 19), fixture kind 1, fixture number 8. Therefore
the county and the rules between the letters are checked.
"""

import re
import unicodedata
from typing import Literal

from tongban.contracts.types.division import find_county_fault
from tongban.contracts.types.identifier import Fault, Identifier, wrong_length

COLLECTIVE_ONLY = frozenset("AC")
"""Parcel kinds of collectively owned land only: A its ownership, C homesteads."""

PROVINCE_LETTERS = frozenset(
    "京津冀晋蒙辽吉黑沪苏浙皖闽赣鲁豫鄂湘粤桂琼渝川贵黔云滇藏陕秦甘陇青宁新"
)
"""Short names that certificates begin with. Guizhou, Yunnan, Shaanxi and Gansu use two each."""


class RealEstateUnitCode(Identifier):
    """不动产单元代码 of 28 characters."""

    __slots__ = ()

    NAME = "real estate unit code"
    NAME_ZH = "不动产单元代码"
    PATTERN = re.compile(r"^[0-9]{12}[GJZ][ABCDEFGHSWXY][0-9]{5}[FLQW][0-9]{8}$")

    @classmethod
    def find_fault(cls, text: str) -> Fault | None:
        if len(text) != 28:
            return wrong_length("28", text)
        if not cls.PATTERN.fullmatch(text):
            return Fault(
                "form",
                "expected 12 digits, G, J or Z, a parcel kind (A to H, S, W, X, Y), 5 digits, "
                f"F, L, Q or W and 8 digits, found {text!r}",
                f"应为 12 位数字、G/J/Z、宗地特征码、5 位数字、F/L/Q/W、8 位数字，实为 {text!r}",
            )
        fault = find_county_fault(text[:6])
        if fault is not None:
            return fault
        if text[13] in COLLECTIVE_ONLY and text[12] != "J":
            return Fault(
                "kind",
                f"expected J before parcel kind {text[13]}, found {text[12]}",
                f"宗地特征码 {text[13]} 前应为 J，实为 {text[12]}",
            )
        if text[19] == "W" and text[20:] != "00000000":
            return Fault(
                "fixture",
                f"expected 00000000 after W (no fixture), found {text[20:]}",
                f"W（无定着物）后应为 00000000，实为 {text[20:]}",
            )
        return None

    @property
    def parcel_code(self) -> str:
        """宗地代码: the first 19 characters."""
        return self._text[:19]

    @property
    def division_code(self) -> str:
        return self._text[:6]

    @property
    def is_building(self) -> bool:
        """Whether the fixture is a building or a part of one."""
        return self._text[19] == "F"


CertificateKind = Literal["title", "proof"]

_TITLE_OR_PROOF = re.compile(r"^(\S)\(([0-9]{4})\)([^\s()]{1,6})不动产(权|证明)第([0-9]{7})号$")
_LEGACY = re.compile(r"^[^\s()]{1,4}房权证[^\s]{1,20}$")


class RealEstateCertificateNumber(Identifier):
    """不动产权证号, such as ``京(2019)海不动产权第0000001号``, or the number of a 不动产登记证明.

    Full-width brackets and blanks are normalised.
    """

    __slots__ = ()

    NAME = "real estate certificate number"
    NAME_ZH = "不动产权证号"
    PATTERN = re.compile(r"^\S\([0-9]{4}\)[^\s()]{1,6}不动产(权|证明)第[0-9]{7}号$")

    @classmethod
    def normalise(cls, text: str) -> str:
        narrow = text.replace("（", "(").replace("）", ")")
        return "".join(character for character in narrow if not character.isspace())

    @classmethod
    def find_fault(cls, text: str) -> Fault | None:
        match = _TITLE_OR_PROOF.fullmatch(text)
        if match is None:
            return Fault(
                "form",
                f"expected <province>(<year>)<county>不动产权第<7 digits>号, found {text[:60]!r}",
                f"应为“省简称(年份)市县简称不动产权第7位数字号”，实为 {text[:60]!r}",
            )
        if match.group(1) not in PROVINCE_LETTERS:
            return Fault(
                "division",
                f"expected the short name of a province first, found {match.group(1)}",
                f"首字应为省级简称，实为 {match.group(1)}",
            )
        return None

    @property
    def kind(self) -> CertificateKind:
        """``title`` for a certificate of title, ``proof`` for a registration proof."""
        return "title" if "不动产权第" in self._text else "proof"

    @property
    def year(self) -> int:
        return int(self._text[2:6])


class LegacyCertificateNumber(Identifier):
    """房屋所有权证号 from before unified registration, such as ``X京房权证海字第000001号``.

    Accepted when records are taken in, never issued.
    """

    __slots__ = ()

    NAME = "legacy house certificate number"
    NAME_ZH = "房屋所有权证号"
    PATTERN = _LEGACY

    @classmethod
    def normalise(cls, text: str) -> str:
        return "".join(unicodedata.normalize("NFC", text).split())

    @classmethod
    def find_fault(cls, text: str) -> Fault | None:
        if cls.PATTERN.fullmatch(text):
            return None
        return Fault(
            "form",
            f"expected …房权证…, found {text[:60]!r}",
            f"应为“…房权证…”，实为 {text[:60]!r}",
        )


def parse_certificate(text: str) -> RealEstateCertificateNumber | LegacyCertificateNumber:
    """The number of a certificate of either generation, for records that are taken in.

    Raises:
        InvalidIdentifier: it is neither.
    """
    if "房权证" in text:
        return LegacyCertificateNumber.parse(text)
    return RealEstateCertificateNumber.parse(text)
