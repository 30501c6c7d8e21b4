"""Bytes that are almost messages."""

import random

from tongban.protos.digest import encode_uvarint

LENGTH_DELIMITED = 2
HUGE = (2**63 - 1).to_bytes(9, "little") + b"\x7f"


class Mutator:
    """Spoils serialized messages, at every depth. The same seed spoils the same way."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def random(self, size_max: int = 300) -> bytes:
        return self._chance.randbytes(self._chance.randint(0, size_max))

    def spoil(self, data: bytes) -> bytes:
        """One thing is wrong with the message, or with one inside it, whose length is right."""
        fields = _split(data)
        nested = [index for index, (tag, _) in enumerate(fields) if tag & 7 == LENGTH_DELIMITED]
        if nested and self._chance.random() < 0.8:
            index = self._chance.choice(nested)
            tag, content = fields[index]
            fields[index] = (tag, self.spoil(content))
            return _join(fields)
        return self._chance.choice(
            (self._flip, self._cut, self._repeat, self._replace, self._drop, self._add)
        )(data)

    def _flip(self, data: bytes) -> bytes:
        spoilt = bytearray(data or b"\0")
        for _ in range(self._chance.randint(1, 3)):
            spoilt[self._chance.randrange(len(spoilt))] = self._chance.randrange(256)
        return bytes(spoilt)

    def _cut(self, data: bytes) -> bytes:
        return data[: self._chance.randint(0, len(data))]

    def _repeat(self, data: bytes) -> bytes:
        return data * self._chance.choice((0, 2, 3, 50))

    def _replace(self, data: bytes) -> bytes:
        return self._chance.choice((b"", b"\xff" * 20, HUGE, self.random(), b"\x0a" * 1000))

    def _drop(self, data: bytes) -> bytes:
        fields = _split(data)
        return _join(fields[: self._chance.randint(0, len(fields))])

    def _add(self, data: bytes) -> bytes:
        tag = self._chance.randint(0, 2**16)
        return data + encode_uvarint(tag) + self.random(20)


def _split(data: bytes) -> list[tuple[int, bytes]]:
    """Tags and contents, as long as they can be read; contents of numbers are their bytes."""
    fields: list[tuple[int, bytes]] = []
    position = 0
    try:
        while position < len(data):
            tag, position = _varint(data, position)
            start = position
            if tag & 7 == LENGTH_DELIMITED:
                size, start = _varint(data, position)
                position = start + size
            elif tag & 7 == 0:
                _, position = _varint(data, position)
            else:
                return fields
            if position > len(data):
                return fields
            fields.append((tag, data[start:position]))
    except IndexError:
        pass
    return fields


def _join(fields: list[tuple[int, bytes]]) -> bytes:
    parts: list[bytes] = []
    for tag, content in fields:
        parts.append(encode_uvarint(tag))
        if tag & 7 == LENGTH_DELIMITED:
            parts.append(encode_uvarint(len(content)))
        parts.append(content)
    return b"".join(parts)


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
