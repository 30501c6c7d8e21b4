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
    versions = _Versions()
    for namespace, parts in sorted(_by_namespace(updates).items(), key=lambda item: item[0]):
        name = _field(0x0A, namespace)
        for collection, stored in sorted(parts):
            mark = name + _field(0x12, collection) if collection else name
            name = b""
            changes = updates.values[stored]
            for key in sorted(changes):
                value = changes[key]
                if value is None:
                    version = updates.deletes[stored, key]
                    entry = b"%b%b\x20\x01\x32%b" % (mark, _field(0x1A, key), versions[version])
                else:
                    entry = b"%b%b%b\x32%b" % (
                        mark,
                        _field(0x1A, key),
                        _field(0x2A, value.value),
                        versions[value.version],
                    )
                out.append(b"\x0a%b%b" % (encode_uvarint(len(entry)), entry))
                mark = b""
    return b"".join(out)


class _Versions(dict[Version, bytes]):
    """The bytes of versions behind their length; a transaction's are made once."""

    def __missing__(self, version: Version) -> bytes:
        data = encode_version(version)
        made = self[version] = b"%c%b" % (len(data), data)
        return made


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


def _field(tag: int, data: bytes) -> bytes:
    size = len(data)
    if not size:
        return b""
    if size < 0x80:
        return bytes((tag, size)) + data
    return bytes((tag,)) + encode_uvarint(size) + data
