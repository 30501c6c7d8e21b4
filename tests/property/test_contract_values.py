"""Conversions turn into each other for all values, and refuse all other bytes by name."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongban.contracts import canonical
from tongban.contracts.canonical import NotCanonical
from tongban.contracts.conversion import Codec, Compiler
from tongban.contracts.scalars import Mismatch
from tongban.contracts.types import (
    CaseNumber,
    ElectricityAccountNumber,
    ElectronicLicenceId,
    Identifier,
    ImplementationCode,
    InvalidIdentifier,
    RealEstateCertificateNumber,
    RealEstateUnitCode,
    ResidentId,
    UnifiedSocialCreditCode,
    strategies,
)

_FEW = settings(max_examples=40, deadline=None)


class Kind(Enum):
    A = "a"
    NULL = "null"
    QUOTED = '"'


@dataclass(frozen=True)
class Row:
    text: str
    count: int | None
    amount: Decimal
    when: datetime
    raw: bytes
    kinds: list[Kind]
    by_name: dict[str, tuple[bool, float]]
    identity: ResidentId


_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_DECIMALS = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=3
)
_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
_ROWS = st.builds(
    Row,
    text=_TEXT,
    count=st.none() | st.integers(-(10**99), 10**99),
    amount=_DECIMALS,
    when=st.datetimes(timezones=st.just(UTC)),
    raw=st.binary(),
    kinds=st.lists(st.sampled_from(Kind)),
    by_name=st.dictionaries(_TEXT, st.tuples(st.booleans(), _FLOATS)),
    identity=strategies.resident_ids(),
)

VALUES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (str, _TEXT),
    (str | None, st.none() | _TEXT),
    (Kind | None, st.none() | st.sampled_from(Kind)),
    (int, st.integers(-(10**99), 10**99)),
    (float, _FLOATS),
    (Decimal, _DECIMALS),
    (bytes, st.binary()),
    (date, st.dates()),
    (datetime, st.datetimes(timezones=st.just(UTC))),
    (Row, _ROWS),
    (list[Row | None], st.lists(st.none() | _ROWS, max_size=2)),
]


def _codec(annotation: Any) -> Codec:
    return Codec(Compiler().compile(annotation, "here"))


CODECS = [_codec(annotation) for annotation, _ in VALUES]


@pytest.mark.parametrize("index", range(len(VALUES)))
@_FEW
@given(data=st.data())
def test_a_value_comes_back_and_its_bytes_are_canonical(index: int, data: st.DataObject) -> None:
    value = data.draw(VALUES[index][1])
    codec = CODECS[index]
    encoded = codec.encode(value)
    assert codec.decode(encoded) == value
    assert codec.encode(codec.decode(encoded)) == encoded
    assert codec.decode_result(encoded) == value


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("codec", CODECS)
@_FEW
@given(data=st.binary() | st.text(st.characters(exclude_categories=["Cs"])).map(str.encode))
def test_bytes_that_mean_nothing_are_a_mismatch_and_never_a_crash(
    codec: Codec, data: bytes
) -> None:
    try:
        value = codec.decode(data)
    except Mismatch as refusal:
        assert refusal.reason
    else:
        assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize("codec", CODECS)
@_FEW
@given(value=_JSON)
def test_json_of_another_form_is_a_mismatch_and_never_a_crash(codec: Codec, value: Any) -> None:
    try:
        data = canonical.encode(value)
    except NotCanonical:
        data = b"\xff"
    try:
        codec.decode(data)
    except Mismatch as refusal:
        assert refusal.reason


IDENTIFIERS: list[tuple[type[Identifier], st.SearchStrategy[Any]]] = [
    (ResidentId, strategies.resident_ids()),
    (UnifiedSocialCreditCode, strategies.credit_codes()),
    (ElectronicLicenceId, strategies.licence_ids()),
    (RealEstateUnitCode, strategies.unit_codes()),
    (RealEstateCertificateNumber, strategies.certificate_numbers()),
    (ElectricityAccountNumber, strategies.account_numbers()),
    (ImplementationCode, strategies.implementation_codes()),
    (CaseNumber, strategies.case_numbers()),
]


@pytest.mark.parametrize(("kind", "drawn"), IDENTIFIERS)
@_FEW
@given(data=st.data())
def test_a_drawn_identifier_is_valid(
    kind: type[Identifier], drawn: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    value = data.draw(drawn)
    assert type(value) is kind
    assert kind.parse(str(value)) == value


@pytest.mark.parametrize("kind", [kind for kind, _ in IDENTIFIERS])
@_FEW
@given(text=st.text())
def test_any_text_is_an_identifier_or_refused_with_a_reason(
    kind: type[Identifier], text: str
) -> None:
    try:
        value = kind.parse(text)
    except InvalidIdentifier as refusal:
        assert refusal.fault.english and refusal.fault.chinese
    else:
        assert kind.validate(str(value)) is None


@pytest.mark.parametrize(
    ("kind", "drawn", "alphabet", "places"),
    [
        (ResidentId, strategies.resident_ids(), "0123456789", range(14, 17)),
        (UnifiedSocialCreditCode, strategies.credit_codes(), "0123456789ABCDEFGHJKL", range(8, 18)),
    ],
)
@_FEW
@given(data=st.data())
def test_one_changed_character_is_found_by_the_check(
    kind: type[Identifier],
    drawn: st.SearchStrategy[Any],
    alphabet: str,
    places: range,
    data: st.DataObject,
) -> None:
    text = str(data.draw(drawn))
    place = data.draw(st.sampled_from(places))
    other = data.draw(st.sampled_from([one for one in alphabet if one != text[place]]))
    assert kind.validate(text[:place] + other + text[place + 1 :]) is not None
