"""Tar archives of plain files, written one way only and read with suspicion.

Written as ustar (POSIX.1-1988) with mode 0644 and zero for owner, group and time. Read: ustar, and
the long names of pax and GNU archives. Links, devices, sparse files, and names that point outside
are refused, sizes are checked before anything is copied.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tongban.protos.errors import LimitExceeded, MalformedMessage

FILES_MAX: Final = 2_000
"""Entries in one archive."""

PATH_BYTES_MAX: Final = 255
"""UTF-8 bytes of a path; ustar has room for 255."""

EXTENDED_HEADER_BYTES_MAX: Final = 16 * 1024
"""Bytes of one pax header or GNU long name; it holds little more than a path."""

_BLOCK: Final = 512

_REGULAR: Final = b"0\x00"
"""Type flags of a plain file, new and old."""


@dataclass(frozen=True, slots=True)
class _Entry:
    path: str
    flag: bytes
    content: bytes


def write_tar(files: Mapping[str, bytes]) -> bytes:
    """An archive of ``files`` by path, in the order of the paths' UTF-8 bytes.

    Raises:
        MalformedMessage: a path is absolute, points outside or is too long.
    """
    parts: list[bytes] = []
    for path in sorted(files, key=str.encode):
        check_path(path, "archive")
        content = files[path]
        parts += (_header(path, len(content)), content, bytes(-len(content) % _BLOCK))
    parts.append(bytes(2 * _BLOCK))
    return b"".join(parts)


def read_tar(data: bytes, what: str, *, strict: bool = False) -> dict[str, bytes]:
    """The plain files of an archive by path. ``strict`` refuses folders and extended headers
    that carry anything else than a path, otherwise folders are passed over.

    Raises:
        MalformedMessage, LimitExceeded: it is not such an archive.
    """
    files: dict[str, bytes] = {}
    long_path: str | None = None
    offset = 0
    entries = 0
    while (entry := _read_entry(data, offset, what)) is not None:
        entries += 1
        if entries > FILES_MAX:
            raise LimitExceeded(what, FILES_MAX, entries, "entries")
        offset += _BLOCK + len(entry.content) + -len(entry.content) % _BLOCK
        if entry.flag in (b"x", b"L") and len(entry.content) > EXTENDED_HEADER_BYTES_MAX:
            size = len(entry.content)
            raise LimitExceeded(f"header in {what}", EXTENDED_HEADER_BYTES_MAX, size)
        if entry.flag == b"x":
            long_path = _pax_path(entry.content, what) or long_path
            continue
        if entry.flag == b"L":
            long_path = _to_text(entry.content.rstrip(b"\x00"), what)
            continue
        if entry.flag == b"g":
            continue
        path, long_path = long_path or entry.path, None
        if entry.flag == b"5" and not strict:
            continue
        if entry.flag not in (b"0", b"\x00"):
            kind = entry.flag.decode("latin-1")
            raise MalformedMessage(what, f"tar entry {path} is not a regular file, type {kind}")
        path = path.removeprefix("./")
        check_path(path, what)
        if path in files:
            raise MalformedMessage(what, f"{path!r} is there twice")
        files[path] = entry.content
    return files


def check_path(path: str, what: str) -> None:
    """Refuse a path that could leave the folder it is put into, on any system."""
    parts = path.split("/")
    bad = any(part in ("", ".", "..") for part in parts)
    if bad or any(ord(letter) < 32 or letter in "\\:\x7f" for letter in path):
        raise MalformedMessage(what, f"{path!r} is not a relative path of plain names")
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        raise MalformedMessage(what, f"{path!r} is not Unicode") from None
    if length > PATH_BYTES_MAX:
        raise LimitExceeded(f"path in {what}", PATH_BYTES_MAX, length)


def _header(path: str, size: int) -> bytes:
    prefix, name = _split(path.encode())
    head = bytearray(_BLOCK)
    head[0 : len(name)] = name
    head[100:108] = b"0000644\x00"
    head[108:116] = head[116:124] = b"0000000\x00"
    head[124:136] = b"%011o\x00" % size
    head[136:148] = b"00000000000\x00"
    head[148:156] = b" " * 8
    head[156:157] = b"0"
    head[257:265] = b"ustar\x0000"
    head[345 : 345 + len(prefix)] = prefix
    head[148:156] = b"%06o\x00 " % sum(head)
    return bytes(head)


def _split(path: bytes) -> tuple[bytes, bytes]:
    if len(path) <= 100:
        return b"", path
    for at in range(len(path) - 101, len(path)):
        if path[at : at + 1] == b"/" and at <= 155:
            return path[:at], path[at + 1 :]
    raise MalformedMessage("archive", f"no place to divide the path {path.decode()!r} for ustar")


def _read_entry(data: bytes, offset: int, what: str) -> _Entry | None:
    head = data[offset : offset + _BLOCK]
    if len(head) < _BLOCK:
        if head.strip(b"\x00"):
            raise MalformedMessage(what, "the archive ends inside a header")
        return None
    if not head.strip(b"\x00"):
        return None
    if _octal(head[148:156], what) != sum(head) - sum(head[148:156]) + 8 * 32:
        raise MalformedMessage(what, "the checksum of a header does not hold")
    size = _octal(head[124:136], what)
    start = offset + _BLOCK
    if size > len(data) - start:
        raise MalformedMessage(what, "the archive ends inside a file")
    path = head[0:100].split(b"\x00", 1)[0]
    if head[257:263] == b"ustar\x00":
        prefix = head[345:500].split(b"\x00", 1)[0]
        path = prefix + b"/" + path if prefix else path
    return _Entry(_to_text(path, what), head[156:157], data[start : start + size])


def _octal(field: bytes, what: str) -> int:
    digits = field.strip(b"\x00 ")
    if not digits or any(digit not in b"01234567" for digit in digits):
        raise MalformedMessage(what, "a number in a header is not octal")
    return int(digits, 8)


def _pax_path(content: bytes, what: str) -> str | None:
    """The ``path`` record of a pax header (POSIX.1-2001); other records do not concern us, but
    those that change what the content is."""
    found: str | None = None
    while content:
        head, space, _ = content.partition(b" ")
        if not space or not head.isdigit() or len(head) > 7:
            raise MalformedMessage(what, "a pax header is not made of records")
        length = int(head)
        record = content[len(head) + 1 : length]
        if length <= len(head) + 1 or length > len(content) or not record.endswith(b"\n"):
            raise MalformedMessage(what, "a pax record has a wrong length")
        name, _, value = record[:-1].partition(b"=")
        if name == b"size" or name.startswith(b"GNU.sparse"):
            raise MalformedMessage(what, f"pax record {name!r} is not accepted")
        if name == b"path":
            found = _to_text(value, what)
        content = content[length:]
    return found


def _to_text(data: bytes, what: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise MalformedMessage(what, "a name is not UTF-8") from None
