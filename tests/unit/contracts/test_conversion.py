"""Arguments and results by annotation: tables of annotation, bytes and value."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, NewType, Optional

import pytest

from tongban.contracts.conversion import Codec, Compiler
from tongban.contracts.errors import ContractDefinitionError, ContractError
from tongban.contracts.scalars import Mismatch
from tongban.contracts.types import ResidentId
from tongban.contracts.values import from_json, to_json


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


Owner = NewType("Owner", str)


@dataclass(frozen=True)
class Part:
    name: str
    price: Decimal
    tags: list[str] = field(default_factory=list)
    inner: "Part | None" = None


@dataclass(frozen=True)
class Checked:
    count: int

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError("count is below 0")


def codec(annotation: Any) -> Codec:
    return Codec(Compiler().compile(annotation, "here"))


CANONICAL: list[tuple[Any, str, Any]] = [
    (str, "", ""),
    (str, '"quoted" 中文\n', '"quoted" 中文\n'),
    (Owner, "Tom", "Tom"),
    (Annotated[str, "who"], "Tom", "Tom"),
    (int, "-5", -5),
    (int, str(2**64), 2**64),
    (bool, "true", True),
    (float, "0.1", 0.1),
    (float, "1e+16", 1e16),
    (Decimal, '"12.50"', Decimal("12.50")),
    (Decimal, '"-0.1"', Decimal("-0.1")),
    (bytes, '"AP8="', b"\x00\xff"),
    (bytes, '""', b""),
    (date, '"2019-06-17"', date(2019, 6, 17)),
    (datetime, '"2019-06-17T08:30:00Z"', datetime(2019, 6, 17, 8, 30, tzinfo=UTC)),
    (datetime, '"2019-06-17T08:30:00.000001Z"', datetime(2019, 6, 17, 8, 30, 0, 1, tzinfo=UTC)),
    (Colour, '"red"', Colour.RED),
    (Level, "2", Level.HIGH),
    (Literal["a", "b"], '"a"', "a"),
    (Literal[1, 2], "2", 2),
    (list[int], "[1,2]", [1, 2]),
    (tuple[int, str], '[1,"a"]', (1, "a")),
    (tuple[int, ...], "[1,2,3]", (1, 2, 3)),
    (dict[str, int], '{"a":1,"乙":2}', {"乙": 2, "a": 1}),
    (dict[Colour, bool], '{"blue":false}', {Colour.BLUE: False}),
    (Optional[str], '"null"', "null"),  # noqa: UP045 - the old spelling must work too
    (str | None, "null", None),
    (int | None, "null", None),
    (int | None, "7", 7),
    (date | None, "null", None),
    (Any, '{"a":[1,null,"x"]}', {"a": [1, None, "x"]}),
    (ResidentId, '"11010519491231002X"', ResidentId("11010519491231002X")),
    (
        Part,
        '{"inner":{"inner":null,"name":"b","price":"2","tags":[]},"name":"a","price":"1.0","tags":["x"]}',
        Part("a", Decimal("1.0"), ["x"], Part("b", Decimal(2))),
    ),
    (list[Part | None], "[null]", [None]),
]


@pytest.mark.parametrize(("annotation", "text", "value"), CANONICAL)
def test_canonical_bytes_and_value_turn_into_each_other(
    annotation: Any, text: str, value: Any
) -> None:
    found = codec(annotation)
    assert found.encode(value) == text.encode("utf-8")
    assert found.decode(text.encode("utf-8")) == value
    assert type(found.decode(text.encode("utf-8"))) is type(value)


ACCEPTED: list[tuple[Any, str, Any]] = [
    (int, " 5 ", 5),
    (float, "5", 5.0),
    (Decimal, "12.50", Decimal("12.50")),
    (bytes, "AP8=", b"\x00\xff"),
    (date, "2019-06-17", date(2019, 6, 17)),
    (datetime, "2019-06-17T16:30:00+08:00", datetime(2019, 6, 17, 8, 30, tzinfo=UTC)),
    (Colour, "red", Colour.RED),
    (str | None, "Tom", "Tom"),
    (ResidentId, "110108190001010019", ResidentId("110108190001010019")),
    (Part, '{"price":"1","name":"a"}', Part("a", Decimal(1))),
    (str | None, '"\\u4e2d"', "中"),
]


@pytest.mark.parametrize(("annotation", "text", "value"), ACCEPTED)
def test_other_spellings_of_an_argument_are_accepted(
    annotation: Any, text: str, value: Any
) -> None:
    assert codec(annotation).decode(text.encode("utf-8")) == value


REFUSED: list[tuple[Any, bytes, str]] = [
    (str, b"\xff", "expected UTF-8 text"),
    (int, b"", "not JSON"),
    (int, b"5.0", "expected an integer, found a number with a fraction"),
    (int, b"true", "expected an integer, found a boolean"),
    (int, b'"5"', "expected an integer, found text of 1 characters"),
    (int, b"9" * 101, "more than 100 digits"),
    (bool, b"1", "expected true or false, found an integer"),
    (float, b"NaN", "NaN is not JSON"),
    (float, b"-Infinity", "not JSON"),
    (float, b"1e999", "too large"),
    (float, b"true", "expected a number, found a boolean"),
    (Decimal, b"1e5", "expected a decimal number"),
    (Decimal, b"NaN", "expected a decimal number"),
    (Decimal, b"01", "expected a decimal number"),
    (Decimal, b"1" * 200, "expected a decimal number"),
    (Decimal, "１".encode(), "expected a decimal number"),
    (bytes, b"AP8", "expected base64 text"),
    (bytes, b"AP9=", "without spare bits"),
    (date, b"2019-02-29", "expected a date that the calendar has"),
    (date, b"20190617", "expected a date like"),
    (date, b"2019-W25-1", "expected a date like"),
    (datetime, b"2019-06-17T08:30:00", "expected a time like"),
    (datetime, b"2019-06-17T25:30:00Z", "expected a time that the calendar has"),
    (datetime, b"0001-01-01T00:00:00+08:00", "expected a time that the calendar has"),
    (Colour, b"green", "expected one of red, blue, found text of 5 characters"),
    (Level, b"true", "expected one of 1, 2, found a boolean"),
    (Literal["a"], b"b", "expected one of a"),
    (list[int], b'[1,"2"]', "expected an integer"),
    (list[int], b"{}", "expected a list, found an object"),
    (tuple[int, str], b"[1]", "expected a list of 2, found a list of 1"),
    (dict[str, int], b'{"a":1,"a":2}', "two fields of the same name"),
    (Any, b"[" * 100 + b"]" * 100, "nested deeper"),
    (Any, b'"\\ud800"', "surrogate"),
    (str | None, b'"\\ud800"', "surrogate"),
    (Any, b"1 2", "not JSON"),
    (Part, b'{"name":"a"}', "missing field 'price' of Part"),
    (Part, b'{"name":"a","price":"1","colour":1}', "unexpected field 'colour'"),
    (Part, b'{"name":1,"price":"1"}', "expected text, found an integer"),
    (Part, b'{"name":"a","price":"1","inner":[]}', "expected an object"),
    (Part, b"null", "expected an object .Part., found null"),
    (Checked, b'{"count":-1}', "not a valid Checked: count is below 0"),
    (ResidentId, b"110105194912310021", "公民身份号码"),
    (ResidentId, b'["110105194912310021"]', "resident identity number"),
]


@pytest.mark.parametrize(("annotation", "data", "reason"), REFUSED)
def test_a_wrong_argument_is_refused_with_what_was_expected(
    annotation: Any, data: bytes, reason: str
) -> None:
    with pytest.raises(Mismatch, match=reason):
        codec(annotation).decode(data)


WRONG_RESULTS: list[tuple[Any, Any, str]] = [
    (str, 5, "expected text"),
    (str, "\ud800", "surrogate"),
    (int, True, "expected an integer"),
    (int, 10**100, "at most 100 digits"),
    (float, float("nan"), "finite"),
    (float, 10**400, "finite"),
    (type(None), 0, "expected nothing"),
    (Decimal, Decimal("NaN"), "finite"),
    (Decimal, Decimal("1e1000000"), "at most 100 digits"),
    (Decimal, Decimal("1e-1000000"), "at most 100 digits"),
    (date, datetime(2019, 6, 17), "expected a date"),
    (datetime, datetime(2019, 6, 17), "time zone"),
    (datetime, datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=8))), "calendar"),
    (list[int], [1, None], "found null"),
    (dict[str, int], {1: 1}, "expected text"),
    (Colour, "red", "a Colour"),
    (Part, {"name": "a"}, "a Part"),
    (Any, {"a": float("inf")}, "not JSON compliant"),
    (Any, {"a": object()}, "not JSON serializable"),
    (ResidentId, "110108190001010019", "a ResidentId"),
]


@pytest.mark.parametrize(("annotation", "value", "reason"), WRONG_RESULTS)
def test_a_result_that_is_not_what_it_should_be_is_refused(
    annotation: Any, value: Any, reason: str
) -> None:
    with pytest.raises(Mismatch, match=reason):
        codec(annotation).encode(value)


def test_the_place_of_a_mismatch_leads_into_containers() -> None:
    with pytest.raises(Mismatch) as refusal:
        codec(list[Part]).decode(b'[{"name":"a","price":"1","tags":["x",3]}]')
    assert refusal.value.place == "[0].tags[1]"


UNUSABLE: list[Any] = [
    set[int],
    list,
    dict,
    dict[int, str],
    dict[str | None, int],
    int | str,
    int | str | None,
    complex,
    Enum("Mixed", {"A": 1, "B": "b"}),
    Literal["a", 1],
    [int],
    timedelta,
]


@pytest.mark.parametrize("annotation", UNUSABLE, ids=str)
def test_an_annotation_without_json_form_is_an_error_that_names_the_place(annotation: Any) -> None:
    with pytest.raises(ContractDefinitionError, match=r"^here: "):
        codec(annotation)


def test_two_dataclasses_of_one_name_are_an_error() -> None:
    compiler = Compiler()
    compiler.compile(Part, "here")

    @dataclass
    class Other:
        name: str

    Other.__name__ = "Part"
    with pytest.raises(ContractDefinitionError, match="two dataclasses are called Part"):
        compiler.compile(Other, "there")


def test_values_become_json_and_come_back() -> None:
    part = Part("甲", Decimal("1.50"))
    data = to_json(part)
    assert data == '{"inner":null,"name":"甲","price":"1.50","tags":[]}'.encode()
    assert from_json(Part, data) == part
    assert to_json([part], list[Part]) == b"[" + data + b"]"
    assert to_json({"b": 1, "a": "中"}) == '{"a":"中","b":1}'.encode()
    assert from_json(list[int], b"[1]") == [1]


@pytest.mark.parametrize("data", [b"", b"\xff", b"{}", b"[1]"])
def test_bytes_that_are_not_the_value_are_refused_with_a_code(data: bytes) -> None:
    with pytest.raises(ContractError) as refusal:
        from_json(Part, data)
    assert refusal.value.code == "INVALID_VALUE"


def test_a_value_that_has_no_json_is_refused_with_a_code() -> None:
    with pytest.raises(ContractError, match="INVALID_VALUE"):
        to_json({"a": float("nan")})
    with pytest.raises(ContractError, match="INVALID_VALUE"):
        to_json(datetime(2019, 6, 17))
