"""Keys and values of a ledger's key-value store, format 1.

    b <number, 8 bytes>                         -> where the block is in the segment files
    d <namespace> 00 <key>                      -> version, metadata, value
    e <block due, 8 bytes> <namespace> 00 <key> -> the block that wrote the key
    g <header hash>                             -> number
    h <namespace> 00 <len(key)> <key> <block> <tx> -> empty; numbers in order-preserving form
    s                                           -> the savepoint
    t <transaction id>                          -> block, tx, validation code

Namespaces hold no zero byte on a channel that validates; one that a hostile read set names is
looked up like any other and finds nothing that a reader of that namespace could not see in Fabric
either, whose layout is the same (core/ledger/kvledger/txmgmt/statedb/stateleveldb/stateleveldb.go).
"""

import struct
from typing import NamedTuple

from tongban.node.core.commit_input import CommitInput
from tongban.node.core.state import Version, VersionedValue
from tongban.protos.digest import (
    decode_order_preserving,
    encode_order_preserving,
    encode_uvarint,
)

SAVEPOINT_KEY = b"s"

_NUMBER = struct.Struct(">Q")
_LOCATION = struct.Struct(">IQI")
_SAVEPOINT = struct.Struct(">QQIQ32s32s")


class Location(NamedTuple):
    """Where a record is: the number of its segment, its offset and its whole size in bytes."""

    segment: int
    offset: int
    size: int


class TxLocation(NamedTuple):
    """Where the first transaction with an id is, and its validation code."""

    block_num: int
    tx_num: int
    code: int


class Savepoint(NamedTuple):
    """What one atomic batch made true: the blocks up to ``height`` are in the state.

    ``segment`` and ``offset`` are the end of the last block in the segment files, where a start
    looks for blocks that are not in the state yet. ``commit_hash`` is empty up to block 0.
    """

    height: int
    config_block_num: int
    segment: int
    offset: int
    header_hash: bytes
    commit_hash: bytes

    @classmethod
    def after(cls, given: CommitInput, location: Location, config_block_num: int) -> "Savepoint":
        """Once this block, whose record is there, is in the state."""
        return cls(
            height=given.number + 1,
            config_block_num=config_block_num,
            segment=location.segment,
            offset=location.offset + location.size,
            header_hash=given.header_hash,
            commit_hash=given.commit_hash,
        )


def block_key(number: int) -> bytes:
    return b"b" + _NUMBER.pack(number)


def header_hash_key(header_hash: bytes) -> bytes:
    return b"g" + header_hash


def state_key(namespace: str, key: bytes) -> bytes:
    return b"d%b\x00%b" % (namespace.encode(), key)


def state_prefix(namespace: str) -> bytes:
    return b"d%b\x00" % namespace.encode()


def expiry_prefix(block_num: int) -> bytes:
    return b"e" + _NUMBER.pack(block_num)


def expiry_key(block_num: int, namespace: str, key: bytes) -> bytes:
    return b"e%b%b\x00%b" % (_NUMBER.pack(block_num), namespace.encode(), key)


def parse_expiry_key(key: bytes) -> tuple[str, bytes]:
    namespace, _, plain = key[9:].partition(b"\x00")
    return namespace.decode(), plain


def history_namespace_prefix(namespace: str) -> bytes:
    return b"h%b\x00" % namespace.encode()


def history_prefix(namespace: str, key: bytes) -> bytes:
    return history_namespace_prefix(namespace) + encode_order_preserving(len(key)) + key


def parse_history_key(key: bytes, prefix_size: int) -> tuple[int, int]:
    block_num, offset = decode_order_preserving(key, prefix_size)
    tx_num, _ = decode_order_preserving(key, offset)
    return block_num, tx_num


def tx_key(tx_id: str) -> bytes:
    """Ids that are 64 hex digits, as all good ones are, take 32 bytes."""
    if len(tx_id) == 64:
        try:
            digest = bytes.fromhex(tx_id)
        except ValueError:
            digest = b""
        if digest.hex() == tx_id:
            return b"t\x00" + digest
    return b"t\x01" + tx_id.encode()


def encode_number(number: int) -> bytes:
    return _NUMBER.pack(number)


def decode_number(data: bytes) -> int:
    number: int = _NUMBER.unpack(data)[0]
    return number


def encode_location(location: Location) -> bytes:
    return _LOCATION.pack(*location)


def decode_location(data: bytes) -> Location:
    return Location(*_LOCATION.unpack(data))


def encode_tx_location(location: TxLocation) -> bytes:
    return b"%b%b%c" % (
        encode_order_preserving(location.block_num),
        encode_order_preserving(location.tx_num),
        location.code,
    )


def decode_tx_location(data: bytes) -> TxLocation:
    block_num, offset = decode_order_preserving(data)
    tx_num, offset = decode_order_preserving(data, offset)
    return TxLocation(block_num, tx_num, data[offset])


def encode_savepoint(savepoint: Savepoint) -> bytes:
    assert len(savepoint.header_hash) == 32
    body = _SAVEPOINT.pack(*savepoint[:5], savepoint.commit_hash.ljust(32, b"\x00"))
    return body + (b"\x01" if savepoint.commit_hash else b"\x00")


def decode_savepoint(data: bytes) -> Savepoint:
    height, config, segment, offset, header_hash, commit_hash = _SAVEPOINT.unpack(data[:-1])
    known = commit_hash if data[-1] else b""
    return Savepoint(height, config, segment, offset, header_hash, known)


def decode_height(savepoint: bytes) -> int:
    """The first field of a savepoint, which is read much more often than the others."""
    return decode_number(savepoint[: _NUMBER.size])


def encode_value(value: VersionedValue, version_bytes: bytes) -> bytes:
    """``version_bytes`` are both numbers of the version, order-preserving."""
    metadata = value.metadata
    if not metadata:
        return b"%b\x00%b" % (version_bytes, value.value)
    return b"%b%b%b%b" % (version_bytes, encode_uvarint(len(metadata)), metadata, value.value)


def encode_version(version: Version) -> bytes:
    return encode_order_preserving(version.block_num) + encode_order_preserving(version.tx_num)


def decode_value(data: bytes) -> VersionedValue:
    end = 1 + data[0]
    block_num = int.from_bytes(data[1:end], "big")
    start = end + 1
    end = start + data[end]
    tx_num = int.from_bytes(data[start:end], "big")
    size = data[end]
    if not size:
        return VersionedValue(data[end + 1 :], Version(block_num, tx_num))
    shift = 7
    size &= 0x7F
    while data[end] & 0x80:
        end += 1
        size |= (data[end] & 0x7F) << shift
        shift += 7
    start = end + 1
    end = start + size
    return VersionedValue(data[end:], Version(block_num, tx_num), data[start:end])
