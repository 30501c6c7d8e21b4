"""Values to bytes and back, for state, events and transient data.

The same canonical JSON that arguments and results use, so two peers always store the same bytes.
"""

from collections.abc import Hashable
from functools import lru_cache
from typing import Any, TypeVar, overload

from tongban.contracts import canonical
from tongban.contracts.canonical import NotCanonical
from tongban.contracts.conversion import Codec, Compiler
from tongban.contracts.errors import ContractError
from tongban.contracts.scalars import Mismatch

T = TypeVar("T")


def to_json(value: object, annotation: Any = None) -> bytes:
    """The canonical JSON of a value: a dataclass, an identifier, an enum, or plain JSON values.

    ``annotation`` is needed only where the value does not tell its type, such as
    ``list[Asset]``.

    Raises:
        ContractError: INVALID_VALUE, the value is not what its type says.
    """
    try:
        plain_kinds = (dict, list, tuple, str, int, float, bool, type(None))
        if annotation is None and type(value) in plain_kinds:
            return canonical.encode(value)
        kind: Any = annotation or type(value)
        return canonical.encode(_codec_of(kind).conversion.write(value))
    except Mismatch as error:
        raise ContractError("INVALID_VALUE", f"{error.place} {error.reason}".strip()) from None
    except NotCanonical as error:
        raise ContractError("INVALID_VALUE", str(error)) from None


@overload
def from_json(kind: type[T], data: bytes) -> T: ...
@overload
def from_json(kind: Any, data: bytes) -> Any: ...
def from_json(kind: Any, data: bytes) -> Any:
    """The value of this type that the JSON bytes hold.

    Raises:
        ContractError: INVALID_VALUE, they hold something else.
    """
    try:
        return _codec_of(kind).conversion.read(canonical.decode(data.decode("utf-8")))
    except UnicodeDecodeError:
        raise ContractError("INVALID_VALUE", "expected UTF-8 text") from None
    except Mismatch as error:
        raise ContractError("INVALID_VALUE", f"{error.place} {error.reason}".strip()) from None
    except NotCanonical as error:
        raise ContractError("INVALID_VALUE", str(error)) from None


@lru_cache(maxsize=256)
def _codec_of(annotation: Hashable) -> Codec:
    return Codec(Compiler().compile(annotation, "value"))
