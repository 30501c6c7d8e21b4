"""Blocks in append-only segment files, each record with checksums.

    segment  00 magic "TONGSEG" LF   08 format version   0c segment number   10 salt (8 bytes)
             18 CRC-32 of what is before; then records
    record   00 magic "REC" LF   04 payload size   08 block number   10 CRC-32 of salt and payload
             14 CRC-32 of salt and what is before; then the payload

Numbers are big-endian. A record is synced before the next one is begun, so only the last record of
the last segment can be torn: that one is cut on start. Any other bad record is corruption. The salt
keeps a client from planting bytes in a block that would pass for a record.
"""

import struct
import zlib
from typing import NamedTuple

from tongban.node.core.faults import CorruptLedgerError, NewerFormatError
from tongban.node.storage.layout import Location

FORMAT = 1
SEGMENT_MAGIC = b"TONGSEG\n"
RECORD_MAGIC = b"REC\n"
SALT_BYTES = 8

_SEGMENT = struct.Struct(">8sII8s")
_RECORD = struct.Struct(">4sIQI")
_CRC = struct.Struct(">I")

SEGMENT_HEADER_BYTES = _SEGMENT.size + _CRC.size
RECORD_HEADER_BYTES = _RECORD.size + _CRC.size

SEGMENT_BYTES_MAX = 64 * 1024 * 1024
"""A new segment begins once the last one has reached this. Small enough to copy and check one at a
time, large enough that a busy year has thousands, not millions."""

REMEDY = (
    "Stop the node, move this ledger's directory away and let the node fetch the channel again, or "
    "restore a backup of the whole directory; private values come back from a backup only"
)


class RecordHeader(NamedTuple):
    size: int
    """Bytes of the payload."""
    number: int
    payload_crc: int


def segment_name(segment: int) -> str:
    return f"{segment:06d}.seg"


def encode_segment_header(segment: int, salt: bytes) -> bytes:
    body = _SEGMENT.pack(SEGMENT_MAGIC, FORMAT, segment, salt)
    return body + _CRC.pack(zlib.crc32(body))


def parse_segment_header(data: bytes, segment: int, path: str) -> bytes | None:
    """The salt, or None if these are not the bytes of a whole header.

    Raises:
        NewerFormatError: the header is of a newer format.
        CorruptLedgerError: it is the header of another segment.
    """
    if len(data) < 12 or data[:8] != SEGMENT_MAGIC:
        return None
    version = int.from_bytes(data[8:12], "big")
    if len(data) >= SEGMENT_HEADER_BYTES:
        body = data[: _SEGMENT.size]
        if _CRC.unpack_from(data, _SEGMENT.size)[0] == zlib.crc32(body) and version == FORMAT:
            _, _, found, salt = _SEGMENT.unpack(body)
            if found != segment:
                raise CorruptLedgerError(
                    path, f"header of segment {found}, expected {segment}", REMEDY, offset=0
                )
            return bytes(salt)
    if version > FORMAT:
        raise NewerFormatError(path, FORMAT, version)
    return None


def encode_record_header(number: int, payload: bytes, salt: bytes) -> bytes:
    """What stands before the payload."""
    seed = zlib.crc32(salt)
    header = _RECORD.pack(RECORD_MAGIC, len(payload), number, zlib.crc32(payload, seed))
    return header + _CRC.pack(zlib.crc32(header, seed))


def parse_record_header(data: bytes, salt: bytes) -> RecordHeader | None:
    """None if these are not the bytes of a record header of this segment."""
    if len(data) < RECORD_HEADER_BYTES or data[:4] != RECORD_MAGIC:
        return None
    header = data[: _RECORD.size]
    if _CRC.unpack_from(data, _RECORD.size)[0] != zlib.crc32(header, zlib.crc32(salt)):
        return None
    _, size, number, payload_crc = _RECORD.unpack(header)
    return RecordHeader(size, number, payload_crc)


def is_payload_intact(header: RecordHeader, payload: bytes, salt: bytes) -> bool:
    return len(payload) == header.size and (
        zlib.crc32(payload, zlib.crc32(salt)) == header.payload_crc
    )


def holds_a_record(data: bytes, salt: bytes) -> bool:
    """Whether an intact record begins anywhere in ``data``."""
    place = data.find(RECORD_MAGIC)
    while place >= 0:
        header = parse_record_header(data[place : place + RECORD_HEADER_BYTES], salt)
        start = place + RECORD_HEADER_BYTES
        if header and is_payload_intact(header, data[start : start + header.size], salt):
            return True
        place = data.find(RECORD_MAGIC, place + 1)
    return False


def parse_record(data: bytes, salt: bytes, number: int, location: Location, path: str) -> bytes:
    """The payload of a whole record.

    Raises:
        CorruptLedgerError: the bytes are not the record of this block.
    """
    header = parse_record_header(data[:RECORD_HEADER_BYTES], salt)
    payload = data[RECORD_HEADER_BYTES:]
    if header is None:
        reason = "no record header here"
    elif header.number != number:
        reason = f"record of block {header.number}, expected {number}"
    elif not is_payload_intact(header, payload, salt):
        reason = "checksum of the block does not match its bytes"
    else:
        return payload
    raise CorruptLedgerError(path, reason, REMEDY, offset=location.offset, block_num=number)
