"""Length-delimited protobuf fields, put together by hand where a client's time goes.

A field is a tag, a length and its bytes (protobuf encoding guide), so messages that are bytes
already can be put into others without being parsed, copied and serialized again. Tests compare each
use with what the message classes write.
"""

from collections.abc import Iterable

from google.protobuf.message import Message

from tongban.protos.digest import encode_uvarint

_SIZES = [encode_uvarint(size) for size in range(4096)]
"""Most fields are shorter; the others pay for the arithmetic."""


def tag_of(kind: type[Message], field: str) -> bytes:
    """The tag of a length-delimited field of this kind of message."""
    return encode_uvarint(kind.DESCRIPTOR.fields_by_name[field].number << 3 | 2)


def encode_field(tag: bytes, content: bytes) -> bytes:
    """One field of a message."""
    size = len(content)
    return tag + (_SIZES[size] if size < 4096 else encode_uvarint(size)) + content


def encode_fields(tag: bytes, contents: Iterable[bytes]) -> bytes:
    """A repeated field."""
    sizes = _SIZES
    return b"".join(
        [
            tag + sizes[len(item)] + item if len(item) < 4096 else encode_field(tag, item)
            for item in contents
        ]
    )


def encode_size(size: int) -> bytes:
    return _SIZES[size] if size < 4096 else encode_uvarint(size)
