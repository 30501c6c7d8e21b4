"""Length-delimited protobuf fields, put together by hand where a client's time goes.

A field is a tag, a length and its bytes (protobuf encoding guide), so messages that are bytes
already can be put into others without being parsed, copied and serialized again. Tests compare each
use with what the message classes write.
"""

from google.protobuf.message import Message

from tongban.protos.digest import encode_uvarint

_SHORT = tuple(bytes((size,)) for size in range(128))


def tag_of(kind: type[Message], field: str) -> bytes:
    """The tag of a length-delimited field of this kind of message."""
    return encode_uvarint(kind.DESCRIPTOR.fields_by_name[field].number << 3 | 2)


def encode_field(tag: bytes, content: bytes) -> bytes:
    """One field of a message."""
    return tag + encode_size(len(content)) + content


def encode_size(size: int) -> bytes:
    if size < 128:
        return _SHORT[size]
    if size < 16384:
        return bytes((size & 0x7F | 0x80, size >> 7))
    return encode_uvarint(size)
