"""Hypothesis strategies that draw valid identifiers, all of them synthetic.

The one module of the contract library that needs hypothesis, which is for tests only.

    @given(resident_ids())
    def test_…(number: ResidentId) -> None: …
"""

from datetime import date

from hypothesis import strategies as st

from tongban.contracts.types.check_characters import (
    ALPHANUMERICS,
    CREDIT_CODE_ALPHABET,
    credit_code_check,
    organization_check,
    resident_check,
)
from tongban.contracts.types.credit_code import CATEGORIES, UnifiedSocialCreditCode
from tongban.contracts.types.division import COUNTIES, AdministrativeDivision
from tongban.contracts.types.electricity import ElectricityAccountNumber
from tongban.contracts.types.licence import ElectronicLicenceId
from tongban.contracts.types.matter import CaseNumber, ImplementationCode
from tongban.contracts.types.real_estate import (
    COLLECTIVE_ONLY,
    PROVINCE_LETTERS,
    RealEstateCertificateNumber,
    RealEstateUnitCode,
)
from tongban.contracts.types.resident import ResidentId

_DAYS = st.dates(min_value=date(1900, 1, 1), max_value=date(2099, 12, 31))


def _digits(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=count, max_size=count)


def divisions() -> st.SearchStrategy[AdministrativeDivision]:
    """Counties in force."""
    return st.sampled_from(sorted(COUNTIES)).map(AdministrativeDivision)


@st.composite
def resident_ids(draw: st.DrawFn) -> ResidentId:
    body = f"{draw(divisions())}{draw(_DAYS):%Y%m%d}{draw(_digits(3))}"
    return ResidentId(body + resident_check(body))


@st.composite
def credit_codes(draw: st.DrawFn) -> UnifiedSocialCreditCode:
    organization = draw(st.text(CREDIT_CODE_ALPHABET, min_size=8, max_size=8))
    body = (
        f"{draw(st.sampled_from(sorted(CATEGORIES)))}{draw(divisions())}"
        f"{organization}{organization_check(organization)}"
    )
    return UnifiedSocialCreditCode(body + credit_code_check(body))


@st.composite
def licence_ids(draw: st.DrawFn) -> ElectronicLicenceId:
    return ElectronicLicenceId.build(
        f"{draw(credit_codes())}{draw(_digits(3))}",
        str(draw(credit_codes())),
        draw(st.text(ALPHANUMERICS, min_size=1, max_size=20)),
        draw(st.integers(1, 999)),
    )


@st.composite
def unit_codes(draw: st.DrawFn) -> RealEstateUnitCode:
    kind = draw(st.sampled_from("ABCDEFGHSWXY"))
    owner = "J" if kind in COLLECTIVE_ONLY else draw(st.sampled_from("GJZ"))
    fixture = draw(st.sampled_from("FLQW"))
    number = "00000000" if fixture == "W" else draw(_digits(8))
    return RealEstateUnitCode(
        f"{draw(divisions())}{draw(_digits(6))}{owner}{kind}{draw(_digits(5))}{fixture}{number}"
    )


@st.composite
def certificate_numbers(draw: st.DrawFn) -> RealEstateCertificateNumber:
    province = draw(st.sampled_from(sorted(PROVINCE_LETTERS)))
    kind = draw(st.sampled_from(["权", "证明"]))
    return RealEstateCertificateNumber(
        f"{province}({draw(_DAYS).year})海不动产{kind}第{draw(_digits(7))}号"
    )


def account_numbers() -> st.SearchStrategy[ElectricityAccountNumber]:
    return (_digits(10) | _digits(13)).map(ElectricityAccountNumber)


@st.composite
def implementation_codes(draw: st.DrawFn) -> ImplementationCode:
    return ImplementationCode(f"{draw(credit_codes())}{draw(st.integers(1, 9))}{draw(_digits(12))}")


@st.composite
def case_numbers(draw: st.DrawFn) -> CaseNumber:
    return CaseNumber.build(draw(implementation_codes()), draw(_DAYS), draw(st.integers(0, 9999)))
