"""Chaincode packages: the same files give the same bytes, and so the same id, on every machine.

A package is a gzipped tar with ``metadata.json`` and ``code.tar.gz``, as Fabric's peers store and
install it (fabric core/chaincode/persistence/chaincode_package.go). Its id is the label, a colon
and the SHA-256 of the bytes in hex, so whatever a compressor or a clock would add is part of the
contract's name. Therefore we write names in order, times and owners as zero, fixed modes, and
deflate blocks that store without compressing, which no library decides for us.

Reading accepts what other tools write, within limits; it trusts no name, size or link.
"""

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tongban.protos.errors import LimitExceeded, MalformedMessage
from tongban.protos.tar_format import read_tar, write_tar

METADATA_FILE: Final = "metadata.json"
CODE_FILE: Final = "code.tar.gz"

PACKAGE_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes of a package as it is installed."""

UNPACKED_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of one gzip stream when unpacked; more is a bomb."""

_LABEL: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.+-]*")
"""Fabric's LabelRegexp."""

_STORED_BYTES_MAX: Final = 65_535
"""Bytes of one stored deflate block (RFC 1951, 3.2.4)."""

_GZIP_HEADER: Final = bytes((0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF))
"""Deflate, no flags, no time, unknown system (RFC 1952, 2.3)."""


@dataclass(frozen=True, slots=True)
class ChaincodePackage:
    """A package that was read. What its type means is for whoever runs it."""

    label: str
    type: str
    path: str
    metadata: Mapping[str, Any]  # whatever JSON the package's maker put there
    code: bytes
    """``code.tar.gz`` as it is."""


def is_label(label: str) -> bool:
    return _LABEL.fullmatch(label) is not None


def compute_package_id(label: str, package: bytes) -> str:
    """The id under which every peer knows these bytes."""
    return f"{label}:{hashlib.sha256(package).hexdigest()}"


def build_package(metadata: Mapping[str, object], files: Mapping[str, bytes]) -> bytes:
    """The package of ``files`` (path in the package to content) with ``metadata``, which has at
    least ``label`` and ``type``.

    Raises:
        MalformedMessage: the label or a path is not one that every peer accepts.
    """
    label = metadata.get("label")
    if not isinstance(label, str) or not is_label(label):
        raise MalformedMessage(
            "package",
            f"label {label!r} is not a letter or digit followed by letters, digits and . + - _",
        )
    text = json.dumps(metadata, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    code = to_stored_gzip(write_tar(files))
    return to_stored_gzip(write_tar({METADATA_FILE: text.encode(), CODE_FILE: code}))


def parse_package(data: bytes) -> ChaincodePackage:
    """Read a package that anybody may have made.

    Raises:
        MalformedMessage, LimitExceeded: it is not a package, or one that could hurt.
    """
    if len(data) > PACKAGE_BYTES_MAX:
        raise LimitExceeded("package", PACKAGE_BYTES_MAX, len(data))
    files = read_tar(gunzip(data, "package"), "package", strict=True)
    if METADATA_FILE not in files:
        raise MalformedMessage("package", f"there is no {METADATA_FILE}")
    if CODE_FILE not in files:
        raise MalformedMessage("package", f"there is no {CODE_FILE}")
    metadata = _parse_metadata(files[METADATA_FILE])
    fields = [metadata.get(name, "") for name in ("label", "type", "path")]
    if not all(isinstance(value, str) for value in fields):
        raise MalformedMessage("package", "label, type and path must be strings")
    label, kind, path = fields
    if not is_label(label):
        raise MalformedMessage("package", f"invalid label '{label}'")
    return ChaincodePackage(label, kind, path, metadata, files[CODE_FILE])


def parse_code(code: bytes) -> dict[str, bytes]:
    """The files of a package's ``code.tar.gz`` by path; folders are left out.

    Raises:
        MalformedMessage, LimitExceeded: as for :func:`parse_package`.
    """
    return read_tar(gunzip(code, CODE_FILE), CODE_FILE)


def to_stored_gzip(data: bytes) -> bytes:
    """``data`` as gzip without compression: the same bytes from every machine and version."""
    parts = [_GZIP_HEADER]
    for start in range(0, max(len(data), 1), _STORED_BYTES_MAX):
        block = data[start : start + _STORED_BYTES_MAX]
        last = start + _STORED_BYTES_MAX >= len(data)
        size = len(block)
        parts.append(bytes((1 if last else 0,)))
        parts.append(size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little"))
        parts.append(block)
    parts.append(zlib.crc32(data).to_bytes(4, "little"))
    parts.append((len(data) & 0xFFFFFFFF).to_bytes(4, "little"))
    return b"".join(parts)


def gunzip(data: bytes, what: str) -> bytes:
    """The content of a gzip file of one or more members, at most UNPACKED_BYTES_MAX of it."""
    parts: list[bytes] = []
    room = UNPACKED_BYTES_MAX
    rest = data
    while rest:
        stream = zlib.decompressobj(wbits=31)
        try:
            part = stream.decompress(rest, room + 1)
        except zlib.error as error:
            raise MalformedMessage(what, f"not gzip: {error}") from None
        room -= len(part)
        if room < 0:
            raise LimitExceeded(f"unpacked {what}", UNPACKED_BYTES_MAX, UNPACKED_BYTES_MAX + 1)
        if not stream.eof:
            raise MalformedMessage(what, "the gzip stream ends early")
        parts.append(part)
        rest = stream.unused_data
    return b"".join(parts)


def _parse_metadata(data: bytes) -> dict[str, Any]:
    try:
        metadata = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage(METADATA_FILE, f"not JSON: {error}") from None
    if not isinstance(metadata, dict):
        raise MalformedMessage(METADATA_FILE, "not a JSON object")
    return metadata
