"""Canonical JSON: the same value gives the same bytes on every peer.

Object keys sorted by code point, no blanks, UTF-8 unescaped, no NaN and no infinities. Reading is
strict: no duplicate keys, no trailing text, bounded depth and digits. A float is written in the
shortest form that reads back the same (CPython's ``repr``), which is the same everywhere, but two
floats that should be equal rarely are; prefer integers and Decimals.
"""

import json
import math
from typing import Any

from tongban.contracts.limits import INTEGER_DIGITS_MAX, JSON_DEPTH_MAX

_SHORT_DIGITS = 18


class NotCanonical(ValueError):
    """A text is not JSON as we accept it, or a value has no such JSON."""


def encode(value: Any) -> bytes:  # Any: whatever json.dumps takes; the rest is refused
    """The canonical bytes of a value made of dict, list, tuple, str, int, float, bool and None.

    Raises:
        NotCanonical: something in it has no JSON form.
    """
    try:
        return _ENCODER.encode(value).encode("utf-8")
    except UnicodeEncodeError:
        raise NotCanonical("text contains half a surrogate pair, which has no UTF-8") from None
    except RecursionError:
        raise NotCanonical(f"nested deeper than {JSON_DEPTH_MAX} levels") from None
    except (TypeError, ValueError) as error:
        raise NotCanonical(str(error)) from None


def decode(text: str) -> Any:  # Any: JSON has no narrower type
    """The value of a JSON text.

    Raises:
        NotCanonical: it is not JSON, or beyond our limits.
    """
    if _is_small_integer(text):
        return int(text)
    _verify_depth(text)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise NotCanonical(f"not JSON: {error.msg} at character {error.pos}") from None
    if "\\u" in text:
        # Escapes are the one way to half a surrogate pair; such text could not be written again.
        encode(value)
    return value


def _is_small_integer(text: str) -> bool:
    # Most arguments that are not text are small numbers; the parser costs ten times as much.
    if len(text) > _SHORT_DIGITS or not (text.isascii() and text.isdigit()):
        return False
    return text[0] != "0" or len(text) == 1


def _verify_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= JSON_DEPTH_MAX:
        return
    depth = 0
    inside_text = escaped = False
    for character in text:
        if inside_text:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside_text = False
        elif character == '"':
            inside_text = True
        elif character in "[{":
            depth += 1
            if depth > JSON_DEPTH_MAX:
                raise NotCanonical(f"nested deeper than {JSON_DEPTH_MAX} levels")
        elif character in "]}":
            depth -= 1


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotCanonical("an object has two fields of the same name")
    return found


def _integer_of(digits: str) -> int:
    if len(digits.lstrip("-")) > INTEGER_DIGITS_MAX:
        raise NotCanonical(f"an integer has more than {INTEGER_DIGITS_MAX} digits")
    return int(digits)


def _float_of(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise NotCanonical("a number is too large")
    return value


def _refuse_constant(name: str) -> None:
    raise NotCanonical(f"{name} is not JSON")


_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object_of,
    parse_int=_integer_of,
    parse_float=_float_of,
    parse_constant=_refuse_constant,
)
