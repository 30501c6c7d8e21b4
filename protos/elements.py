"""How many fields a serialized message has, counted before it is parsed.

A parser makes an object of every nested message, also of an empty one of two bytes, so that few
bytes become much memory. Whoever takes large messages from strangers counts first.
"""

from google.protobuf.descriptor import Descriptor

from tongban.protos.errors import LimitExceeded

LENGTH_DELIMITED = 2
_FIXED_SIZES = {1: 8, 3: 0, 4: 0, 5: 4}
"""Bytes after the tag, by wire type. The parts of a group, which nobody knows, count one by one."""


def check_element_count(descriptor: Descriptor, data: bytes, count_max: int) -> None:
    """Return if ``data`` has at most ``count_max`` fields, in messages of all levels together.
    Bytes that are no such message are counted as far as they can be read; parsing refuses them.

    Raises:
        LimitExceeded: it has more.
    """
    waiting = [(descriptor, 0, len(data))]
    count = 0
    while waiting:
        kind, position, end = waiting.pop()
        while position < end:
            count += 1
            if count > count_max:
                raise LimitExceeded(descriptor.name, count_max, count, "fields")
            tag, position = _varint(data, position, end)
            wire_type = tag & 7
            if wire_type == LENGTH_DELIMITED:
                size, position = _varint(data, position, end)
                field = kind.fields_by_number.get(tag >> 3)
                if field is not None and field.message_type is not None:
                    waiting.append((field.message_type, position, min(position + size, end)))
                position += size
            elif wire_type == 0:
                _, position = _varint(data, position, end)
            else:
                position += _FIXED_SIZES.get(wire_type, end)


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """A number and where it ends; what is cut off ends the message."""
    value = shift = 0
    while position < end and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    return 0, end
