"""Conversions of single values between Python and JSON, and the type that all conversions have.

``read`` takes a parsed JSON value and gives the Python value, ``write`` goes the other way. Both
check; a value that does not fit raises :class:`Mismatch`. What was found is described by its kind
and size, never repeated: it may be personal.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any

from tongban.contracts.limits import DECIMAL_DIGITS_MAX, INTEGER_DIGITS_MAX
from tongban.protos.errors import TongbanError


class Form(IntEnum):
    """How a value stands as a whole argument or result."""

    NOTHING = 0
    """The result of a function that returns None: no bytes."""
    TEXT = 1
    """``str``: the text itself."""
    STRING = 2
    """A JSON string. As an argument, the text without quotation marks will do."""
    JSON = 3


class Mismatch(Exception):
    """A value is not what its annotation says. ``place`` grows as containers pass it on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.place = ""

    def inside(self, place: str) -> "Mismatch":
        """The same, one container further out."""
        self.place = place + self.place
        return self


@dataclass(frozen=True, slots=True)
class Conversion:
    """One annotation, compiled. ``Any`` because it stands for every type at once."""

    schema: dict[str, Any]
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]
    form: Form
    is_optional: bool = False


def describe(value: object) -> str:
    """What kind of thing was found, without repeating it."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a number with a fraction"
        case str():
            return f"text of {len(value)} characters"
        case list() | tuple():
            return f"a list of {len(value)}"
        case dict():
            return "an object"
    return type(value).__name__


def mismatch(expected: str, found: object) -> Mismatch:
    return Mismatch(f"expected {expected}, found {describe(found)}")


_INTEGER_BOUND = 10**INTEGER_DIGITS_MAX


def _identity(value: Any) -> Any:
    return value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    raise mismatch("text", value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise mismatch("true or false", value)


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) >= _INTEGER_BOUND:
            raise Mismatch(f"expected an integer of at most {INTEGER_DIGITS_MAX} digits")
        return int(value)
    raise mismatch("an integer", value)


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise mismatch("a number", value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Mismatch("expected a finite number")
    return number


def _nothing(value: Any) -> None:
    if value is not None:
        raise mismatch("nothing", value)


_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")


def _read_decimal(value: Any) -> Decimal:
    if not isinstance(value, str):
        raise mismatch("a decimal number as text", value)
    if len(value) > DECIMAL_DIGITS_MAX + 2 or not _DECIMAL.fullmatch(value):
        raise mismatch('a decimal number like "12.50"', value)
    return Decimal(value)


def _write_decimal(value: Any) -> str:
    if not isinstance(value, Decimal):
        raise mismatch("a Decimal", value)
    if not value.is_finite():
        raise Mismatch("expected a finite Decimal")
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    if max(value.adjusted(), 0) + max(-exponent, 0) >= DECIMAL_DIGITS_MAX:
        raise Mismatch(f"expected a Decimal of at most {DECIMAL_DIGITS_MAX} digits")
    return format(value, "f")


def _read_bytes(value: Any) -> bytes:
    if not isinstance(value, str):
        raise mismatch("base64 text", value)
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise mismatch("base64 text", value) from None
    if base64.b64encode(data).decode("ascii") != value:
        raise Mismatch("expected base64 text without spare bits")
    return data


def _write_bytes(value: Any) -> str:
    if not isinstance(value, bytes):
        raise mismatch("bytes", value)
    return base64.b64encode(value).decode("ascii")


_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def _read_date(value: Any) -> date:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise Mismatch("expected a date that the calendar has") from None
    raise mismatch("a date like 2019-06-17", value)


def _write_date(value: Any) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    raise mismatch("a date", value)


def _read_moment(value: Any) -> datetime:
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except (ValueError, OverflowError):
            raise Mismatch("expected a time that the calendar has") from None
    raise mismatch("a time like 2019-06-17T08:30:00Z", value)


def _write_moment(value: Any) -> str:
    if not isinstance(value, datetime):
        raise mismatch("a datetime", value)
    if value.utcoffset() is None:
        raise Mismatch("expected a datetime with a time zone, found one without")
    try:
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except OverflowError:
        raise Mismatch("expected a time that the calendar has in UTC") from None


SCALARS: dict[object, Conversion] = {
    str: Conversion({"type": "string"}, _text, _text, Form.TEXT),
    bool: Conversion({"type": "boolean"}, _boolean, _boolean, Form.JSON),
    int: Conversion({"type": "integer"}, _integer, _integer, Form.JSON),
    float: Conversion({"type": "number"}, _number, _number, Form.JSON),
    type(None): Conversion({"type": "null"}, _nothing, _nothing, Form.NOTHING),
    Decimal: Conversion(
        {"type": "string", "format": "decimal", "pattern": f"^{_DECIMAL.pattern}$"},
        _read_decimal,
        _write_decimal,
        Form.STRING,
    ),
    bytes: Conversion({"type": "string", "format": "byte"}, _read_bytes, _write_bytes, Form.STRING),
    date: Conversion({"type": "string", "format": "date"}, _read_date, _write_date, Form.STRING),
    datetime: Conversion(
        {"type": "string", "format": "date-time"}, _read_moment, _write_moment, Form.STRING
    ),
    Any: Conversion({}, _identity, _identity, Form.JSON),
    object: Conversion({}, _identity, _identity, Form.JSON),
}
"""By annotation. ``Any`` and ``object`` are any JSON value."""


def of_enum(kind: type[Enum]) -> Conversion | None:
    """An enum by its values, if they are all text or all integers."""
    members = {member.value: member for member in kind}
    kinds = {type(value) for value in members}
    if kinds not in ({str}, {int}):
        return None
    expected = f"one of {', '.join(str(value) for value in members)}"

    def read(value: Any) -> Enum:
        if type(value) in kinds and value in members:
            return members[value]
        raise mismatch(expected, value)

    def write(value: Any) -> Any:
        if isinstance(value, kind):
            return value.value
        raise mismatch(f"a {kind.__name__}", value)

    is_text = kinds == {str}
    schema = {"type": "string" if is_text else "integer", "enum": list(members)}
    return Conversion(schema, read, write, Form.STRING if is_text else Form.JSON)


def of_literal(values: tuple[Any, ...]) -> Conversion | None:
    """``Literal`` of texts or of integers."""
    kinds = {type(value) for value in values}
    if kinds not in ({str}, {int}):
        return None
    expected = f"one of {', '.join(str(value) for value in values)}"

    def check(value: Any) -> Any:
        if type(value) in kinds and value in values:
            return value
        raise mismatch(expected, value)

    is_text = kinds == {str}
    schema = {"type": "string" if is_text else "integer", "enum": list(values)}
    return Conversion(schema, check, check, Form.STRING if is_text else Form.JSON)


def of_value_type(kind: Any) -> Conversion:
    """A class with ``parse(text)`` and ``str()``, such as those of ``tongban.contracts.types``."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise mismatch(f"a {kind.__name__} as text", value)
        try:
            return kind.parse(value)
        except (ValueError, TongbanError) as error:
            raise Mismatch(str(error)) from None

    def write(value: Any) -> str:
        if isinstance(value, kind):
            return str(value)
        raise mismatch(f"a {kind.__name__}", value)

    describe_schema = getattr(kind, "json_schema", None)
    schema = dict(describe_schema()) if callable(describe_schema) else {"type": "string"}
    return Conversion(schema, read, write, Form.STRING)
