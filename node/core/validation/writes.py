"""What a valid transaction's writes make of the state, given the valid ones before it in its block.

A value keeps the key's metadata unless the transaction writes that too; metadata alone rewrites the
present value at the new version; a delete wins over both. The operations on one key are flags that
Fabric adds up instead of joining them, so a set that names a key twice gives what the sum happens
to mean, and so it does here (fabric core/ledger/kvledger/txmgmt/validation/tx_ops.go).
"""

from collections.abc import Sequence

from tongban.node.core.rwset_reader import CollRwSet, MetadataWrite, NsRwSet, TxRwSet, Write
from tongban.node.core.state import (
    StateReader,
    UpdateBatch,
    Version,
    VersionedValue,
    hashed_namespace,
)

_UPSERT, _METADATA_UPDATE, _METADATA_DELETE, _DELETE = 1, 2, 4, 8
_FLAGS_MASK = 0xFF  # the sum is kept in one byte and wraps around


class _KeyChange:
    __slots__ = ("flags", "metadata", "value")

    def __init__(self) -> None:
        self.flags = 0
        self.value = b""
        self.metadata = b""


def apply_writes(
    rwset: TxRwSet, version: Version, state: StateReader, updates: UpdateBatch
) -> None:
    """Add the net effect of the transaction at ``version`` to ``updates``."""
    for part in rwset.namespaces:
        if part.metadata_writes or not _put_plain(part, version, state, updates):
            target = _Target(part.namespace, version, state, updates)
            target.apply(part.writes, part.metadata_writes)
        if not part.collections:
            continue
        for collection in _merge_repeated(part.collections):
            name = hashed_namespace(part.namespace, collection.collection)
            target = _Target(name, version, state, updates)
            target.apply(collection.writes, collection.metadata_writes)


def _put_plain(part: NsRwSet, version: Version, state: StateReader, updates: UpdateBatch) -> bool:
    """Apply public values only, as most transactions have them. False, and nothing is done, if a
    key is deleted or written more than once."""
    writes = part.writes
    if not writes:
        return True
    if len(writes) > 1 and len({write.key for write in writes}) != len(writes):
        return False
    for _, is_delete, _ in writes:
        if is_delete:
            return False
    namespace = part.namespace
    changed = updates.values.setdefault(namespace, {})
    for key, _, value in writes:
        latest = changed[key] if key in changed else state.get(namespace, key)
        metadata = b"" if latest is None else latest.metadata
        changed[key] = VersionedValue(value, version, metadata)
        if updates.deletes:
            updates.deletes.pop((namespace, key), None)
    return True


def _merge_repeated(collections: Sequence[CollRwSet]) -> Sequence[CollRwSet]:
    """A collection that a set names twice is one to the sums."""
    if len({part.collection for part in collections}) == len(collections):
        return collections
    merged: dict[str, CollRwSet] = {}
    for part in collections:
        first = merged.get(part.collection)
        if first is not None:
            part = first._replace(
                writes=first.writes + part.writes,
                metadata_writes=first.metadata_writes + part.metadata_writes,
            )
        merged[part.collection] = part
    return tuple(merged.values())


class _Target:
    """One namespace, public or hashed, that a transaction writes at a version."""

    __slots__ = ("namespace", "state", "updates", "version")

    def __init__(
        self, namespace: str, version: Version, state: StateReader, updates: UpdateBatch
    ) -> None:
        self.namespace = namespace
        self.version = version
        self.state = state
        self.updates = updates

    def apply(self, writes: Sequence[Write], metadata_writes: Sequence[MetadataWrite]) -> None:
        if not metadata_writes and len({write.key for write in writes}) == len(writes):
            for key, is_delete, value in writes:
                if is_delete:
                    self.updates.delete(self.namespace, key, self.version)
                else:
                    self._put(key, value, self._latest_metadata(key))
            return
        for key, change in _sum_changes(writes, metadata_writes).items():
            self._apply_change(key, change)

    def _apply_change(self, key: bytes, change: _KeyChange) -> None:
        flags = change.flags & _FLAGS_MASK
        if flags & _DELETE:
            self.updates.delete(self.namespace, key, self.version)
        elif flags & _UPSERT and flags & (_METADATA_UPDATE | _METADATA_DELETE):
            self._put(key, change.value, change.metadata)
        elif flags | _UPSERT == _UPSERT:
            self._put(key, change.value, self._latest_metadata(key))
        else:
            # A key that is missing, or that the block deleted before, stays as it is; at the latter
            # a Go peer crashes.
            latest = self._latest(key)
            if latest is not None:
                self._put(key, latest.value, change.metadata)

    def _put(self, key: bytes, value: bytes, metadata: bytes) -> None:
        if not value:
            return  # only sums that wrap around come here; a Go peer crashes at them
        self.updates.put(self.namespace, key, VersionedValue(value, self.version, metadata))

    def _latest(self, key: bytes) -> VersionedValue | None:
        changed = self.updates.values.get(self.namespace)
        if changed is not None and key in changed:
            return changed[key]
        return self.state.get(self.namespace, key)

    def _latest_metadata(self, key: bytes) -> bytes:
        latest = self._latest(key)
        return b"" if latest is None else latest.metadata


def _sum_changes(
    writes: Sequence[Write], metadata_writes: Sequence[MetadataWrite]
) -> dict[bytes, _KeyChange]:
    changes: dict[bytes, _KeyChange] = {}
    for key, is_delete, value in writes:
        change = changes.setdefault(key, _KeyChange())
        if is_delete:
            change.flags += _DELETE
        else:
            change.flags += _UPSERT
            change.value = value
    for key, metadata in metadata_writes:
        change = changes.setdefault(key, _KeyChange())
        if metadata:
            change.flags += _METADATA_UPDATE
            change.metadata = metadata
        else:
            change.flags += _METADATA_DELETE
    return changes
