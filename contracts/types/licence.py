"""电子证照标识, GB/T 36904-2018:

    1.2.156.3005.2 . type code 21 . issuer 18 . serial number . version 3 . check 1

The type code is the credit code of the authority that defines the type and three digits. The check
is ISO 7064 MOD 37,36 over the four middle parts joined. Identifiers in circulation do not all keep
to this: :meth:`ElectronicLicenceId.parse` is for issuing, :func:`parse_imported` for taking in.
"""

import re
from typing import NamedTuple

from tongban.contracts.types.check_characters import mod_37_36_check
from tongban.contracts.types.credit_code import UnifiedSocialCreditCode
from tongban.contracts.types.division import AdministrativeDivision
from tongban.contracts.types.identifier import Fault, Identifier, InvalidIdentifier

OID_PREFIX = "1.2.156.3005.2"

SERIAL_CHARACTERS_MAX = 32

_LOOSE = re.compile(
    r"^1\.2\.156\.3005\.2\.([0-9A-Z]{21})\.([0-9A-Z]{18}|[0-9]{6})"
    rf"\.([0-9A-Z]{{1,{SERIAL_CHARACTERS_MAX}}})\.([0-9]{{3}})\.([0-9A-Z])$"
)


class ElectronicLicenceId(Identifier):
    """电子证照标识 as it must be when a licence is issued."""

    __slots__ = ()

    NAME = "electronic licence identifier"
    NAME_ZH = "电子证照标识"
    PATTERN = re.compile(
        r"^1\.2\.156\.3005\.2\.[0-9A-Z]{18}[0-9]{3}\.[0-9A-Z]{18}"
        rf"\.[0-9A-Z]{{1,{SERIAL_CHARACTERS_MAX}}}\.[0-9]{{3}}\.[0-9A-Z]$"
    )

    @classmethod
    def find_fault(cls, text: str) -> Fault | None:
        if not cls.PATTERN.fullmatch(text):
            return Fault(
                "form",
                f"expected {OID_PREFIX}, type code (21), issuer (18), serial number "
                f"(at most {SERIAL_CHARACTERS_MAX}), version (3) and check character joined by "
                f"dots, found {text[:100]!r}",
                f"应为 {OID_PREFIX}、证照类型代码 21 位、颁发机构代码 18 位、流水号、版本号 3 位、"
                f"校验位 1 位，以点分隔，实为 {text[:100]!r}",
            )
        middle = text[len(OID_PREFIX) + 1 :].split(".")
        for part, english, chinese in (
            (middle[0][:18], "authority in the type code", "证照类型代码中的机构代码"),
            (middle[1], "issuer", "颁发机构代码"),
        ):
            fault = UnifiedSocialCreditCode.find_fault(part)
            if fault is not None:
                return Fault(
                    fault.rule, f"{english}: {fault.english}", f"{chinese}：{fault.chinese}"
                )
        expected = mod_37_36_check("".join(middle[:4]))
        if middle[4] != expected:
            return Fault(
                "check",
                f"expected check character {expected}, found {middle[4]}",
                f"校验位应为 {expected}，实为 {middle[4]}",
            )
        return None

    @classmethod
    def build(cls, type_code: str, issuer: str, serial: str, version: int) -> "ElectronicLicenceId":
        """The identifier of a licence that is being issued, with its check character.

        Raises:
            InvalidIdentifier: a part is not what it must be.
        """
        middle = (type_code, issuer, serial, f"{version:03d}")
        joined = "".join(middle)
        check = mod_37_36_check(joined) if re.fullmatch("[0-9A-Z]+", joined) else "?"
        return cls(".".join((OID_PREFIX, *middle, check)))

    @property
    def parts(self) -> tuple[str, str, str, str, str]:
        """Type code, issuer, serial number, version, check character."""
        type_code, issuer, serial, version, check = self._text[len(OID_PREFIX) + 1 :].split(".")
        return type_code, issuer, serial, version, check

    @property
    def type_code(self) -> str:
        return self.parts[0]

    @property
    def issuer(self) -> UnifiedSocialCreditCode:
        return UnifiedSocialCreditCode(self.parts[1])

    @property
    def version(self) -> int:
        return int(self.parts[3])


class ImportedLicenceId(NamedTuple):
    """An identifier that somebody else issued, and what is wrong with it."""

    text: str
    warnings: tuple[str, ...]
    """Empty if it would also be right for issuing."""


def parse_imported(text: str) -> ImportedLicenceId:
    """Accept an identifier of the right shape, with a warning for each rule it breaks: a check
    character that does not fit, or a six-digit division in the issuer's place.

    Raises:
        InvalidIdentifier: not even the shape is right.
    """
    match = _LOOSE.fullmatch(text)
    if match is None:
        fault = ElectronicLicenceId.validate(text)
        assert fault is not None
        raise InvalidIdentifier(ElectronicLicenceId, fault)
    if ElectronicLicenceId.validate(text) is None:
        return ImportedLicenceId(text, ())
    return ImportedLicenceId(text, tuple(_imported_warnings(match)))


def _imported_warnings(match: re.Match[str]) -> list[str]:
    type_code, issuer, serial, version, check = match.groups()
    warnings = []
    fault = UnifiedSocialCreditCode.find_fault(type_code[:18])
    if fault is not None or not type_code[18:].isdigit():
        warnings.append("the type code is not a credit code and three digits（证照类型代码不合规）")
    if len(issuer) == 6 and AdministrativeDivision.find_fault(issuer) is None:
        warnings.append("the issuer is a division, not a credit code（颁发机构代码为行政区划）")
    elif UnifiedSocialCreditCode.find_fault(issuer) is not None:
        warnings.append("the issuer is not a credit code（颁发机构代码不合规）")
    expected = mod_37_36_check(type_code + issuer + serial + version)
    if check != expected:
        warnings.append(
            f"expected check character {expected}, found {check}"
            f"（校验位应为 {expected}，实为 {check}）"
        )
    return warnings
