"""Tables of identifiers that end in the verdict. All numbers are synthetic or a standard's own."""

import copy
import pickle
import re
from datetime import date

import pytest

from tongban.contracts.types import (
    AdministrativeDivision,
    CaseNumber,
    ElectricityAccountNumber,
    ElectronicLicenceId,
    Identifier,
    ImplementationCode,
    InvalidIdentifier,
    LegacyCertificateNumber,
    RealEstateCertificateNumber,
    RealEstateUnitCode,
    ResidentId,
    UnifiedSocialCreditCode,
    parse_certificate,
    parse_imported,
)

VALID: list[tuple[type[Identifier], str]] = [
    (AdministrativeDivision, "110108"),
    (AdministrativeDivision, "110000"),
    (ResidentId, "11010519491231002X"),
    (ResidentId, "440524188001010014"),
    (ResidentId, "110108190001010019"),
    (ResidentId, "110108190001010027"),
    (ResidentId, "110108190402290031"),
    (UnifiedSocialCreditCode, "91350100M000100Y43"),
    (UnifiedSocialCreditCode, "12110108HDT000012G"),
    (UnifiedSocialCreditCode, "11110108HDT000020E"),
    (UnifiedSocialCreditCode, "11110108HDT000039B"),
    (UnifiedSocialCreditCode, "11110108HDT0000476"),
    (UnifiedSocialCreditCode, "11110108HDT0000551"),
    (UnifiedSocialCreditCode, "11110108HDT000063U"),
    (UnifiedSocialCreditCode, "11110108HDT000071N"),
    (UnifiedSocialCreditCode, "11110108HDT00008XE"),
    (UnifiedSocialCreditCode, "91110108HDT0000986"),
    (UnifiedSocialCreditCode, "91110108HDT000100R"),
    (UnifiedSocialCreditCode, "11100000MB03271699"),
    (
        ElectronicLicenceId,
        "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U",
    ),
    (ElectronicLicenceId, "1.2.156.3005.2.11100000000013338W032.11220000013544541J.2430599.001.F"),
    (
        ElectronicLicenceId,
        "1.2.156.3005.2.11100000MB03271699022.12110108HDT000012G.20190617000001.001.6",
    ),
    (RealEstateUnitCode, "110108001002GB00015F00010203"),
    (RealEstateUnitCode, "110108001002JC00015W00000000"),
    (RealEstateCertificateNumber, "京(2019)海不动产权第0000001号"),
    (RealEstateCertificateNumber, "京(2019)海不动产证明第0000001号"),
    (LegacyCertificateNumber, "X京房权证海字第000001号"),
    (ElectricityAccountNumber, "0123456789"),
    (ElectricityAccountNumber, "1101080012345"),
    (ImplementationCode, "11110108HDT00004764000120042000"),
    (CaseNumber, "11110108HDT00004764000120042000202009010001"),
]

INVALID: list[tuple[type[Identifier], str, str]] = [
    (AdministrativeDivision, "990108", "division"),
    (AdministrativeDivision, "11010", "length"),
    (AdministrativeDivision, "11010８", "form"),
    (AdministrativeDivision, "110108\n", "length"),
    (ResidentId, "110108190002290016", "date"),
    (ResidentId, "110105194912310021", "check"),
    (ResidentId, "11010519491231002x", "form"),
    (ResidentId, "110105491231002", "length"),
    (ResidentId, "1101051949123100２X", "form"),
    (ResidentId, "91010519491231002X", "division"),
    (ResidentId, "", "length"),
    (UnifiedSocialCreditCode, "91350100M000100Y4Z", "form"),
    (UnifiedSocialCreditCode, "91350100M000100Y44", "check"),
    (UnifiedSocialCreditCode, "91350100M000100Y53", "check"),
    (UnifiedSocialCreditCode, "91990100M000100Y43", "division"),
    (UnifiedSocialCreditCode, "91350100m000100y43", "form"),
    (UnifiedSocialCreditCode, "91350100M000100Y4", "length"),
    (
        ElectronicLicenceId,
        "1.2.156.3005.2.11100000MB03271699022.12110108HDT000012G.20190617000001.001.7",
        "check",
    ),
    (
        ElectronicLicenceId,
        "1.2.156.3005.2.11100000MB03271699022.12110108HDT000012G.20190617000001.001.6\n",
        "form",
    ),
    (
        ElectronicLicenceId,
        "1.2.156.3005.2.11100000MB03271698022.12110108HDT000012G.20190617000001.001.6",
        "check",
    ),
    (ElectronicLicenceId, "1.2.156.3005.3.1", "form"),
    (RealEstateUnitCode, "110108001002GA00015F00010203", "kind"),
    (RealEstateUnitCode, "110108001002GB00015F0001020", "length"),
    (RealEstateUnitCode, "110108001002gb00015F00010203", "form"),
    (RealEstateUnitCode, "110108001002GB00015W00010203", "fixture"),
    (RealEstateUnitCode, "110104001002GB00015F00010203", "division"),
    (RealEstateUnitCode, "110100001002GB00015F00010203", "division"),
    (RealEstateCertificateNumber, "京(2019)海不动产权第000001号", "form"),
    (RealEstateCertificateNumber, "日(2019)海不动产权第0000001号", "division"),
    (RealEstateCertificateNumber, "X京房权证海字第000001号", "form"),
    (LegacyCertificateNumber, "京(2019)海不动产权第0000001号", "form"),
    (ElectricityAccountNumber, "123456789", "form"),
    (ElectricityAccountNumber, "01234567890", "form"),
    (ElectricityAccountNumber, "0123456789\n", "form"),
    (ImplementationCode, "11110108HDT00004760000120042000", "form"),
    (ImplementationCode, "11110108HDT00004774000120042000", "check"),
    (ImplementationCode, "11110108HDT0000476", "length"),
    (CaseNumber, "11110108HDT00004764000120042000202002300001", "date"),
    (CaseNumber, "11110108HDT0000476400012004200020200901000A", "form"),
    (CaseNumber, "11110108HDT00004764000120042000", "length"),
]


@pytest.mark.parametrize(("kind", "text"), VALID)
def test_a_right_text_is_accepted_and_written_back(kind: type[Identifier], text: str) -> None:
    value = kind.parse(text)
    assert str(value) == text
    assert kind.validate(text) is None
    assert value == kind(text) and hash(value) == hash(kind(text))
    assert copy.deepcopy(value) == value == pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize(("kind", "text", "rule"), INVALID)
def test_a_wrong_text_is_refused_by_the_rule_it_breaks(
    kind: type[Identifier], text: str, rule: str
) -> None:
    with pytest.raises(InvalidIdentifier) as refusal:
        kind.parse(text)
    assert refusal.value.fault.rule == rule
    assert kind.NAME in str(refusal.value) and kind.NAME_ZH in str(refusal.value)
    assert issubclass(refusal.value.kind, kind)


@pytest.mark.parametrize("found", [None, 5, b"110108", ["110108"]])
def test_something_else_than_text_is_refused_by_its_type(found: object) -> None:
    fault = AdministrativeDivision.validate(found)
    assert fault is not None and fault.rule == "type"


@pytest.mark.parametrize(
    "text", ["110108190002290016", "110105194912310021", "11010519491231002x", "110105491231002"]
)
def test_an_error_about_a_resident_number_does_not_tell_the_number(text: str) -> None:
    with pytest.raises(InvalidIdentifier) as refusal:
        ResidentId.parse(text)
    told = str(refusal.value)
    assert text not in told and text[6:14] not in told and text[:6] not in told


def test_an_error_about_an_account_number_does_not_tell_the_number() -> None:
    with pytest.raises(InvalidIdentifier) as refusal:
        ElectricityAccountNumber.parse("98765432101")
    assert "98765432101" not in str(refusal.value) and "11 characters" in str(refusal.value)


def test_masks_and_representations_hide_what_is_personal() -> None:
    assert ResidentId("11010519491231002X").mask() == "110***********002X"
    assert repr(ResidentId("11010519491231002X")) == "ResidentId('110***********002X')"
    assert ElectricityAccountNumber("0123456789").mask() == "******6789"
    assert UnifiedSocialCreditCode("12110108HDT000012G").mask() == "12110108HDT000012G"


def test_an_identifier_cannot_be_changed() -> None:
    number = ResidentId("11010519491231002X")
    with pytest.raises(AttributeError):
        number._text = "440524188001010014"
    with pytest.raises(AttributeError):
        number.other = 1
    assert str(number) == "11010519491231002X"


def test_identifiers_of_different_kinds_are_never_equal_and_one_kind_sorts() -> None:
    class Other(AdministrativeDivision):
        __slots__ = ()

    assert AdministrativeDivision("110108") != Other("110108")
    assert sorted([AdministrativeDivision("120000"), AdministrativeDivision("110108")]) == [
        AdministrativeDivision("110108"),
        AdministrativeDivision("120000"),
    ]


def test_a_resident_number_tells_birth_sex_and_age() -> None:
    number = ResidentId("110108190402290031")
    assert (number.birth_date, number.sex) == (date(1904, 2, 29), "male")
    assert ResidentId("110108190001010027").sex == "female"
    assert number.age_on(date(2019, 2, 28)) == 114 and number.age_on(date(2019, 3, 1)) == 115


def test_a_great_age_is_a_warning_and_a_birth_in_the_future_a_refusal() -> None:
    old = ResidentId("440524188001010014")
    assert old.warnings_on(date(2019, 6, 17)) == ()
    assert len(old.warnings_on(date(2031, 6, 17))) == 1
    old.verify_born_by(date(1880, 1, 1))
    with pytest.raises(InvalidIdentifier, match="1879-12-31"):
        old.verify_born_by(date(1879, 12, 31))


def test_parts_of_codes_are_readable() -> None:
    code = UnifiedSocialCreditCode("12110108HDT000012G")
    assert (code.category, code.division_code, code.organization_code) == (
        "事业单位",
        "110108",
        "HDT000012",
    )
    case = CaseNumber("11110108HDT00004764000120042000202009010001")
    assert (case.applied_on, case.serial) == (date(2020, 9, 1), 1)
    assert str(case.implementation_code.department) == "11110108HDT0000476"
    assert (case.implementation_code.level, case.implementation_code.basic_code) == (
        4,
        "000120042000",
    )
    assert CaseNumber.build(case.implementation_code, date(2020, 9, 1), 1) == case
    unit = RealEstateUnitCode("110108001002GB00015F00010203")
    assert (unit.parcel_code, unit.division_code, unit.is_building) == (
        "110108001002GB00015",
        "110108",
        True,
    )
    assert AdministrativeDivision("110108").name == "海淀区"
    assert AdministrativeDivision("110000").name == "北京市"
    assert AdministrativeDivision("440524").name is None


def test_a_licence_identifier_is_built_with_its_check_character() -> None:
    licence = ElectronicLicenceId.build(
        "11100000MB03271699022", "12110108HDT000012G", "20190617000001", 1
    )
    assert str(licence).endswith(".001.6")
    assert (licence.version, str(licence.issuer)) == (1, "12110108HDT000012G")
    with pytest.raises(InvalidIdentifier):
        ElectronicLicenceId.build("11100000MB03271699022", "110108", "小", 1)


@pytest.mark.parametrize(
    ("text", "warning_count"),
    [
        ("1.2.156.3005.2.11100000MB03271699022.12110108HDT000012G.20190617000001.001.6", 0),
        ("1.2.156.3005.2.11100000MB03271699022.12110108HDT000012G.20190617000001.001.7", 1),
        ("1.2.156.3005.2.11100000MB03271699022.110108.20190617000001.001.7", 2),
        ("1.2.156.3005.2.11100000MB03271690022.110108.20190617000001.001.8", 3),
    ],
)
def test_a_licence_identifier_is_taken_in_with_warnings(text: str, warning_count: int) -> None:
    imported = parse_imported(text)
    assert imported.text == text and len(imported.warnings) == warning_count


def test_a_licence_identifier_of_another_shape_is_not_taken_in() -> None:
    with pytest.raises(InvalidIdentifier):
        parse_imported("1.2.156.3005.2.11100000MB03271699022.12110108HDT000012G")


def test_certificate_numbers_are_normalised_and_know_their_kind() -> None:
    number = RealEstateCertificateNumber.parse(" 京（2019） 海不动产权第0000001号")
    assert str(number) == "京(2019)海不动产权第0000001号"
    assert (number.kind, number.year) == ("title", 2019)
    assert RealEstateCertificateNumber.parse("京(2019)海不动产证明第0000001号").kind == "proof"
    assert isinstance(parse_certificate("X京房权证 海字第000001号"), LegacyCertificateNumber)
    assert parse_certificate(str(number)) == number


def test_a_supplier_can_have_other_account_numbers() -> None:
    class TownAccount(ElectricityAccountNumber):
        __slots__ = ()
        PATTERN = re.compile("^T[0-9]{3}$")
        EXPECTED = ("T and 3 digits", "T 加 3 位数字")

    assert str(TownAccount.parse("T001")) == "T001"
    with pytest.raises(InvalidIdentifier, match="T and 3 digits"):
        TownAccount.parse("0123456789")
