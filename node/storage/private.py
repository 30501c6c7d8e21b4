"""Private values of this organization: the current ones, and the sets of each block.

They live beside the state and change in the same batch, so a snapshot sees both at one moment.
What may be kept is decided before; here it is kept, found, and forgotten when it expires or is
purged.

    P <namespace> 00 <collection> 00 <key>             -> version, value
    Q <namespace> 00 <collection> 00 <SHA-256 of key>  -> key
    R <namespace> 00 <collection> 00 <SHA-256 of key> <block> <tx> -> empty: the set holds the key
    S <block> <tx> <namespace> 00 <collection>         -> block due (8 bytes, ff for never), set
    T <block due> <block> <tx> <namespace> 00 <collection> -> empty

Block numbers take 8 bytes, transaction numbers 4, big-endian.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from tongban.node.core.commit_input import CommitInput, PrivateSet
from tongban.node.core.state import (
    Version,
    VersionedValue,
    hashed_namespace,
    split_namespace,
)
from tongban.node.storage import layout
from tongban.node.storage.kvstore import Change, Readable, prefix_end
from tongban.protos import kvrwset_pb2
from tongban.protos.digest import sha256

NEVER = 2**64 - 1
PRIVATE_RANGE = (b"P", b"T")
"""The keys whose values are personal, start and stop: what a purge erases from the disk too."""

_PLACE = struct.Struct(">QI")
_NUMBER = struct.Struct(">Q")


class Place(NamedTuple):
    block_num: int
    tx_num: int


def _scope(namespace: str, collection: str) -> bytes:
    return b"%b\x00%b\x00" % (namespace.encode(), collection.encode())


def _value_key(scope: bytes, key: bytes) -> bytes:
    return b"P" + scope + key


def _plain_key(scope: bytes, key_hash: bytes) -> bytes:
    return b"Q" + scope + key_hash


def _holder_prefix(scope: bytes, key_hash: bytes) -> bytes:
    return b"R" + scope + key_hash


def _set_key(place: Place, scope: bytes) -> bytes:
    return b"S" + _PLACE.pack(*place) + scope


def _due_key(due: int, place: Place, scope: bytes) -> bytes:
    return b"T" + _NUMBER.pack(due) + _PLACE.pack(*place) + scope


def find_private(
    store: Readable, namespace: str, collection: str, key: bytes
) -> VersionedValue | None:
    """The current value, if this organization has it. Its version is that of the write; a reader
    compares it with the version of the hashed key."""
    data = store.get(_value_key(_scope(namespace, collection), key))
    return None if data is None else layout.decode_value(data)


def scan_private(
    store: Readable, namespace: str, collection: str, start: bytes, end: bytes
) -> Iterator[tuple[bytes, VersionedValue]]:
    """Ascending, ``end`` excluded; an empty ``end`` is the end of the collection."""
    prefix = _value_key(_scope(namespace, collection), b"")
    stop = prefix + end if end else prefix_end(prefix)
    found = store.iterate(prefix + start, stop)
    return ((key[len(prefix) :], layout.decode_value(data)) for key, data in found)


def scan_all_private(store: Readable) -> Iterator[tuple[str, str, bytes, VersionedValue]]:
    """Namespace, collection, key and value of every current private value."""
    for stored, data in store.iterate(b"P", b"Q"):
        namespace, collection, key = stored[1:].split(b"\x00", 2)
        yield namespace.decode(), collection.decode(), key, layout.decode_value(data)


def private_sets(store: Readable, block_num: int) -> Iterator[PrivateSet]:
    """What is kept of a block, in the order of its transactions."""
    prefix = b"S" + _NUMBER.pack(block_num)
    for key, data in store.iterate(prefix, prefix_end(prefix)):
        _, tx_num = _PLACE.unpack_from(key, 1)
        namespace, collection, _ = key[1 + _PLACE.size :].split(b"\x00")
        due = _NUMBER.unpack_from(data)[0]
        yield PrivateSet(
            tx_num,
            namespace.decode(),
            collection.decode(),
            data[_NUMBER.size :],
            None if due == NEVER else due,
        )


def build_private_changes(given: CommitInput, store: Readable) -> list[Change]:
    """What the block does to private values, given the store before it."""
    batch: list[Change] = []
    _purge_sets(batch, given, store)
    _forget_expired_sets(batch, given.number, store)
    _forget_deleted_values(batch, given, store)
    values: dict[bytes, bytes] = {}
    for private_set in given.private_sets:
        _add_set(batch, values, given, private_set, store)
    batch.extend(values.items())
    return batch


def _add_set(
    batch: list[Change],
    values: dict[bytes, bytes],
    given: CommitInput,
    added: PrivateSet,
    store: Readable,
) -> None:
    scope = _scope(added.namespace, added.collection)
    place = Place(given.number, added.tx_num)
    purged = frozenset(
        purge.key_hash
        for purge in given.purges
        if purge.tx_num > added.tx_num
        and (purge.namespace, purge.collection) == (added.namespace, added.collection)
    )
    rwset = _without(added.rwset, purged) if purged else added.rwset
    due = NEVER if added.expires_at_block is None else added.expires_at_block
    batch.append((_set_key(place, scope), _NUMBER.pack(due) + rwset))
    if due != NEVER:
        batch.append((_due_key(due, place, scope), b""))
    hashed = hashed_namespace(added.namespace, added.collection)
    version = Version(*place)
    version_bytes = layout.encode_version(version)
    for key, value in _written(rwset):
        key_hash = sha256(key)
        batch.append((_holder_prefix(scope, key_hash) + _PLACE.pack(*place), b""))
        # The hashed state decides what is current: it knows which transactions are valid and which
        # write was the last.
        decided = given.updates.get(hashed, key_hash)
        if decided is None or decided.version != version:
            continue
        value_key = _value_key(scope, key)
        if value is None:  # only its metadata was written: the value stays, the version moves
            before = values.get(value_key) or store.get(value_key)
            if before is None:
                continue
            value = layout.decode_value(before).value
        values[value_key] = layout.encode_value(VersionedValue(value, version), version_bytes)
        values[_plain_key(scope, key_hash)] = key


def _written(rwset: bytes) -> Iterator[tuple[bytes, bytes | None]]:
    """Keys and values of a private set; None where only the metadata is written."""
    parsed = kvrwset_pb2.KVRWSet.FromString(rwset)
    keys = set()
    for write in parsed.writes:
        keys.add(write.key)
        yield write.key.encode(), write.value
    for metadata in parsed.metadata_writes:
        if metadata.key not in keys:
            yield metadata.key.encode(), None


def _without(rwset: bytes, key_hashes: frozenset[bytes]) -> bytes:
    """The set without anything about these keys."""
    parsed = kvrwset_pb2.KVRWSet.FromString(rwset)
    return kvrwset_pb2.KVRWSet(
        writes=[write for write in parsed.writes if sha256(write.key.encode()) not in key_hashes],
        metadata_writes=[
            write
            for write in parsed.metadata_writes
            if sha256(write.key.encode()) not in key_hashes
        ],
    ).SerializeToString()


def _forget_value(batch: list[Change], scope: bytes, key_hash: bytes, store: Readable) -> None:
    key = store.get(_plain_key(scope, key_hash))
    if key is not None:
        batch.append((_value_key(scope, key), None))
        batch.append((_plain_key(scope, key_hash), None))


def _forget_deleted_values(batch: list[Change], given: CommitInput, store: Readable) -> None:
    """A hashed key that is gone has no current private value, whether its deletion came with a
    private set or not."""
    for name, changed in given.updates.values.items():
        namespace, collection, is_hashed = split_namespace(name)
        if collection is None or not is_hashed:
            continue
        scope = _scope(namespace, collection)
        for key_hash, value in changed.items():
            if value is None:
                _forget_value(batch, scope, key_hash, store)
    for name, key_hash in given.expired:
        namespace, collection, is_hashed = split_namespace(name)
        assert collection is not None and is_hashed
        _forget_value(batch, _scope(namespace, collection), key_hash, store)


def _forget_expired_sets(batch: list[Change], block_num: int, store: Readable) -> None:
    prefix = b"T" + _NUMBER.pack(block_num)
    for due_key, _ in store.iterate(prefix, prefix_end(prefix)):
        place_and_scope = due_key[len(prefix) :]
        scope = place_and_scope[_PLACE.size :]
        set_key = b"S" + place_and_scope
        data = store.get(set_key)
        batch.append((due_key, None))
        batch.append((set_key, None))
        for key, _ in _written(data[_NUMBER.size :] if data else b""):
            holder = _holder_prefix(scope, sha256(key))
            batch.append((holder + place_and_scope[: _PLACE.size], None))


def _purge_sets(batch: list[Change], given: CommitInput, store: Readable) -> None:
    """Earlier blocks no longer hold a value of a purged key; the rest of their sets stays."""
    doomed: dict[bytes, set[bytes]] = {}
    for purge in given.purges:
        scope = _scope(purge.namespace, purge.collection)
        prefix = _holder_prefix(scope, purge.key_hash)
        for holder, _ in store.iterate(prefix, prefix_end(prefix)):
            place = Place(*_PLACE.unpack(holder[len(prefix) :]))
            doomed.setdefault(_set_key(place, scope), set()).add(purge.key_hash)
            batch.append((holder, None))
    for set_key, key_hashes in doomed.items():
        data = store.get(set_key)
        if data is not None:
            left = _without(data[_NUMBER.size :], frozenset(key_hashes))
            batch.append((set_key, data[: _NUMBER.size] + left))
