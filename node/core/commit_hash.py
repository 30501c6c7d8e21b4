"""The bytes of a block's net changes, and the hash by which peers compare their states.

The bytes are those of an ``Updates`` message (fabric core/ledger/kvledger/txmgmt/txmgr/
update_batch_bytes.go), written directly because a block has thousands of entries.
"""

from tongban.node.core.state import CONFIG_NAMESPACE, UpdateBatch, Version, split_namespace
from tongban.protos.digest import (
    compute_commit_hash,
    encode_order_preserving,
    encode_uvarint,
)


def encode_version(version: Version) -> bytes:
    """Block and transaction number, each a length byte and big-endian digits."""
    return encode_order_preserving(version.block_num) + encode_order_preserving(version.tx_num)


def encode_updates(updates: UpdateBatch) -> bytes:
    """Namespaces ascending without the channel configuration; in each the public keys, then the
    hashed collections, all ascending. Private values are not part of it."""
    out: list[bytes] = []
    for namespace, parts in sorted(_by_namespace(updates).items(), key=lambda item: item[0]):
        name = _field(0x0A, namespace)
        for collection, stored in sorted(parts):
            mark = name + _field(0x12, collection) if collection else name
            name = b""
            for key in sorted(updates.values[stored]):
                _append(out, mark, _entry(updates, stored, key))
                mark = b""
    return b"".join(out)


def compute_block_commit_hash(flags: bytes, updates: UpdateBatch, previous: bytes) -> bytes:
    """``previous`` is empty for block 1; block 0 has no commit hash."""
    return compute_commit_hash(flags, encode_updates(updates), previous)


def _by_namespace(updates: UpdateBatch) -> dict[bytes, list[tuple[bytes, str]]]:
    """For each namespace its parts, as collection (empty: public) and name in the batch."""
    found: dict[bytes, list[tuple[bytes, str]]] = {}
    for stored, changes in updates.values.items():
        namespace, collection, hashed = split_namespace(stored)
        is_private = collection is not None and not hashed
        if namespace == CONFIG_NAMESPACE or is_private or not changes:
            continue
        found.setdefault(namespace.encode(), []).append(((collection or "").encode(), stored))
    return found


def _entry(updates: UpdateBatch, stored: str, key: bytes) -> bytes:
    value = updates.values[stored][key]
    if value is None:
        version = encode_version(updates.deletes[stored, key])
        return _field(0x1A, key) + b"\x20\x01" + _field(0x32, version)
    return (
        _field(0x1A, key) + _field(0x2A, value.value) + _field(0x32, encode_version(value.version))
    )


def _append(out: list[bytes], mark: bytes, entry: bytes) -> None:
    out.append(b"\x0a" + encode_uvarint(len(mark) + len(entry)))
    out.append(mark)
    out.append(entry)


def _field(tag: int, data: bytes) -> bytes:
    size = len(data)
    if not size:
        return b""
    if size < 0x80:
        return bytes((tag, size)) + data
    return bytes((tag,)) + encode_uvarint(size) + data
