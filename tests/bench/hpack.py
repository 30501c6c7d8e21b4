"""Header blocks of gRPC calls, without a dynamic table (RFC 7541).

What we send is literal; what we read is what gRPC servers write for a peer that allows no table.
"""

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

METHOD_POST, SCHEME_HTTPS = b"\x83", b"\x87"
"""Whole fields of the static table."""
AUTHORITY, PATH, CONTENT_TYPE, USER_AGENT = 1, 4, 31, 58
"""Names of the static table (RFC 7541, appendix A)."""
STATIC_COUNT = 61

OK, UNKNOWN = 0, 2
"""Status codes of gRPC."""


class Status(NamedTuple):
    """How a call ended."""

    code: int
    message: str


def encode_request(path: str, authority: str, timeout_s: float | None) -> bytes:
    """The header block of a call."""
    block = METHOD_POST + SCHEME_HTTPS
    block += _literal(PATH, path) + _literal(AUTHORITY, authority)
    block += _literal("te", "trailers") + _literal(CONTENT_TYPE, "application/grpc")
    block += _literal(USER_AGENT, "tongban-bench")
    if timeout_s is not None:
        block += _literal("grpc-timeout", f"{int(1000 * timeout_s)}m")
    return block


def _literal(name: int | str, value: str) -> bytes:
    """A field without indexing, its name from the static table or spelt out."""
    if isinstance(name, int):
        head = bytes([name]) if name < 15 else bytes([15, name - 15])
    else:
        head = b"\0" + _text(name)
    return head + _text(value)


def _text(value: str) -> bytes:
    data = value.encode()
    assert len(data) < 127, "longer texts need a longer length"
    return bytes([len(data)]) + data


@lru_cache(256)
def parse_trailers(block: bytes) -> Status:
    """How a call ended, from its last header block.

    Raises:
        ValueError: it is malformed, or needs a dynamic table.
    """
    fields = _parse(block)
    code = fields.get(b"grpc-status")
    if code is None:
        return Status(UNKNOWN, "the call ended without a status")
    return Status(int(code), unquote(fields.get(b"grpc-message", b"").decode()))


def _parse(block: bytes) -> dict[bytes, bytes]:
    """The fields whose names are spelt out, which all names of gRPC are. A value in Huffman's code
    is left as it is: gRPC servers use it for binary values only."""
    fields = {}
    at = 0
    try:
        while at < len(block):
            first = block[at]
            if first & 0x80:  # a field of a table
                index, at = _integer(block, at, 7)
                _check_static(index)
            elif first & 0xE0 == 0x20:  # a new size of the table
                _, at = _integer(block, at, 5)
            else:
                index, at = _integer(block, at, 6 if first & 0x40 else 4)
                _check_static(index)
                name = b""
                if not index:
                    name, at = _string(block, at)
                fields[name], at = _string(block, at)
    except IndexError:
        raise ValueError("the header block ends too early") from None
    return fields


def _check_static(index: int) -> None:
    if index > STATIC_COUNT:
        raise ValueError("the server uses a dynamic table, which it was told not to")


def _integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    """RFC 7541, section 5.1."""
    most = (1 << bits) - 1
    value = block[at] & most
    at += 1
    if value < most:
        return value, at
    shift = 0
    while True:
        value += (block[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not block[at - 1] & 0x80:
            return value, at


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    size, at = _integer(block, at, 7)
    if at + size > len(block):
        raise IndexError
    return block[at : at + size], at + size
