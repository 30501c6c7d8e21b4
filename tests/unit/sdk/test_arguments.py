"""What travels for the values that applications pass."""

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from tongban.sdk.core.arguments import encode_argument, to_canonical_json
from tongban.sdk.core.calls import Call, ContractAddress, to_call


class Level(enum.Enum):
    LOW = 1


class Colour(enum.StrEnum):
    RED = "red"


@dataclass
class Parcel:
    number: str
    area: Decimal


class Code:
    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def parse(cls, text: str) -> "Code":
        return cls(text)

    def __str__(self) -> str:
        return self._text


BEIJING = timezone(timedelta(hours=8))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", b"text"),
        ('"quoted"', b'"quoted"'),
        ("", b""),
        ("登簿", "登簿".encode()),
        (b"\x00\xff", b"\x00\xff"),
        (bytearray(b"ab"), b"ab"),
        (5, b"5"),
        (-(10**30), b"-" + b"1" + b"0" * 30),
        (True, b"true"),
        (None, b"null"),
        (1.5, b"1.5"),
        (Decimal("12.50"), b"12.50"),
        (Decimal("1E+3"), b"1000"),
        (date(2024, 2, 29), b"2024-02-29"),
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), b"2024-01-02T03:04:05Z"),
        (datetime(2024, 1, 2, 3, 4, 5, 678, BEIJING), b"2024-01-01T19:04:05.000678Z"),
        (Level.LOW, b"1"),
        (Colour.RED, b"red"),
        (Code("A-7"), b"A-7"),
        ([1, "a", None], b'[1,"a",null]'),
        ((1, 2), b"[1,2]"),
        ({"b": 1, "a": {"d": b"hi", "c": Decimal("1.0")}}, b'{"a":{"c":"1.0","d":"aGk="},"b":1}'),
        ({Colour.RED: Colour.RED}, b'{"red":"red"}'),
        (Parcel("110", Decimal("88.5")), b'{"area":"88.5","number":"110"}'),
        ([Code("x")], b'["x"]'),
    ],
)
def test_every_value_has_one_form(value: object, expected: bytes) -> None:
    assert encode_argument(value) == expected


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (object(), TypeError),
        ({1: 2}, TypeError),
        ({1, 2}, TypeError),
        (float("nan"), ValueError),
        (Decimal("Infinity"), ValueError),
        (datetime(2024, 1, 1), ValueError),
        (Parcel, TypeError),
    ],
)
def test_what_has_no_form_is_refused(value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        encode_argument(value)


def test_json_of_a_text_has_quotation_marks() -> None:
    assert to_canonical_json("名") == '"名"'.encode()


def test_a_call_may_be_a_sequence() -> None:
    assert to_call(("F", 1, "a")) == Call("F", (1, "a"))
    assert to_call(["F"]) == Call("F")
    for wrong in ("F", (), (1, 2)):
        with pytest.raises(TypeError, match="expected a Call"):
            to_call(wrong)


def test_an_idempotency_key_is_a_transient_entry() -> None:
    call = Call("F", (), {"a": 1}, idempotency_key="case 7")
    invocation = ContractAddress("mychannel", "basic").invocation(call)
    assert invocation.transient == {"a": b"1", "idempotency-key": b"case 7"}
    assert invocation.args == (b"F",)
