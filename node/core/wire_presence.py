"""Whether a field stands in serialized bytes, even with no content.

Go keeps "present and empty" apart from "absent" in byte strings, and some of its checks ask for the
one and not the other. The Python runtime drops the difference, so the bytes are looked at.
"""

from google.protobuf.message import Message

_VARINT, _FIXED64, _LENGTH, _START_GROUP, _END_GROUP, _FIXED32 = range(6)


def is_empty_field_present(message: Message, data: bytes, number: int) -> bool:
    """Whether ``data``, which was parsed into ``message``, has field ``number`` as a byte string of
    no length. To be asked when the field reads as empty."""
    if message.ByteSize() == len(data):
        return False  # an empty field would have been dropped
    offset = depth = 0
    while offset < len(data):
        tag, offset = _varint(data, offset)
        kind = tag & 7
        if kind == _LENGTH:
            if tag >> 3 == number and depth == 0:
                return True
            size, offset = _varint(data, offset)
            offset += size
        elif kind == _VARINT:
            _, offset = _varint(data, offset)
        elif kind == _FIXED64:
            offset += 8
        elif kind == _FIXED32:
            offset += 4
        else:
            depth += 1 if kind == _START_GROUP else -1
    return False


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    while offset < len(data) and shift < 70:
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return value, offset
