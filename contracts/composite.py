"""Composite keys, and the rules for plain ones.

A composite key is U+0000, then each part followed by U+0000; the first part is its type. So all
keys of a type, or of a type and some first attributes, lie together. Parts hold neither U+0000 nor
U+10FFFF (fabric-chaincode-go shim/stub.go).
"""

from collections.abc import Sequence

from tongban.contracts.errors import ContractError

SEPARATOR = "\x00"
LAST_CHARACTER = "\U0010ffff"
FIRST_PLAIN_KEY = "\x01"
"""Stands for an empty start of a range, so that composite keys are left out."""


def create_composite_key(object_type: str, attributes: Sequence[str]) -> str:
    """The key of an object: its type and the attributes that tell it from others of the type.

    Raises:
        ContractError: INVALID_KEY, a part has no place in a composite key.
    """
    parts = (object_type, *attributes)
    for part in parts:
        _verify_part(part)
    return SEPARATOR + "".join(part + SEPARATOR for part in parts)


def split_composite_key(key: str) -> tuple[str, list[str]]:
    """Type and attributes of a composite key.

    Raises:
        ContractError: INVALID_KEY, it is not one.
    """
    if len(key) < 2 or not key.startswith(SEPARATOR) or not key.endswith(SEPARATOR):
        raise ContractError("INVALID_KEY", "expected a composite key, found a plain one")
    object_type, *attributes = key[1:-1].split(SEPARATOR)
    return object_type, attributes


def partial_range(object_type: str, attributes: Sequence[str]) -> tuple[str, str]:
    """Start and end of the range of all keys that begin with these parts."""
    prefix = create_composite_key(object_type, attributes)
    return prefix, prefix + LAST_CHARACTER


def plain_range(start: str, end: str) -> tuple[str, str]:
    """Start and end of a range of plain keys; an empty start is the first of them.

    Raises:
        ContractError: INVALID_KEY, one of them is a composite key.
    """
    for key in (start, end):
        _verify_text(key, "INVALID_KEY", "a key")
        if key.startswith(SEPARATOR):
            raise ContractError(
                "INVALID_KEY",
                f"first character of the key [{key}] contains a null character which is not "
                "allowed",
            )
    return start or FIRST_PLAIN_KEY, end


def verify_key(key: str) -> None:
    """The key can be written.

    Raises:
        ContractError: INVALID_KEY.
    """
    _verify_text(key, "INVALID_KEY", "a key")
    if not key:
        raise ContractError("INVALID_KEY", "key must not be an empty string")


def verify_collection(collection: str) -> None:
    """The name can be a collection's.

    Raises:
        ContractError: INVALID_COLLECTION.
    """
    _verify_text(collection, "INVALID_COLLECTION", "the name of a collection")
    if not collection:
        raise ContractError("INVALID_COLLECTION", "collection must not be an empty string")


def _verify_text(value: object, code: str, what: str) -> None:
    """Contracts are not type-checked before they run; a list for a key must not come further."""
    if not isinstance(value, str):
        raise ContractError(code, f"{what} is text, found {type(value).__name__}")


def _verify_part(part: str) -> None:
    _verify_text(part, "INVALID_KEY", "a part of a composite key")
    for character in (SEPARATOR, LAST_CHARACTER):
        if character in part:
            raise ContractError(
                "INVALID_KEY",
                f"U+{ord(character):04X} is not allowed in a part of a composite key, found in "
                f"place {part.index(character)}",
            )
    try:
        part.encode("utf-8")
    except UnicodeEncodeError:
        raise ContractError("INVALID_KEY", "a part of a composite key has no UTF-8") from None
