"""Arguments of a call as bytes: ``str`` and ``bytes`` as themselves, every other value as canonical
JSON (sorted keys, no spaces, UTF-8).

In JSON: Decimal as a string, bytes as base64, dates and times as ISO 8601 with times in UTC, an
enum as its value, a dataclass as an object, and anything with ``parse`` as what ``str`` makes of
it. This is what the contract API converts from. A whole argument that would be a JSON string
travels without quotation marks, so that contracts in other languages, which have no Decimal or
date, get its text.
"""

import base64
import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum


def encode_argument(value: object) -> bytes:
    """The bytes that travel for one argument.

    Raises:
        TypeError: there is no JSON form for a value of this type.
        ValueError: a number that JSON has not (NaN, infinity), or a datetime without a zone.
    """
    if type(value) is str:
        return value.encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    plain = _plain(value)
    return plain.encode() if isinstance(plain, str) else _dump(plain)


def to_canonical_json(value: object) -> bytes:
    """One value has one form, so that endorsers that are given equal values see equal bytes."""
    return _dump(_plain(value))


def _dump(plain: object) -> bytes:
    return json.dumps(
        plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if callable(getattr(type(value), "parse", None)):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return _scalar(value)


def _scalar(value: object) -> str:
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise ValueError(f"expected a finite Decimal, found {value}")
        return format(value, "f")
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"expected a datetime with a time zone, found {value!r}")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(
        f"cannot pass a {type(value).__name__} to a contract: give str, bytes or a JSON value"
    )


def _key(key: object) -> str:
    if isinstance(key, Enum):
        key = key.value
    if not isinstance(key, str):
        raise TypeError(f"expected str keys in a mapping, found {type(key).__name__}")
    return key
