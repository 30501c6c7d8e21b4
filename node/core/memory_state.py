"""A channel's state, transaction ids and expiry schedule in memory: for audits and tests."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from tongban.node.core.commit_input import Expiry, StateKey
from tongban.node.core.state import UpdateBatch, VersionedValue


class MemoryState:
    """Implements StateReader, TxIdIndex and ExpirySchedule. Blocks are added in order."""

    def __init__(self) -> None:
        self._values: dict[str, dict[bytes, VersionedValue]] = {}
        self._sorted: dict[str, list[bytes]] = {}
        self._tx_ids: set[str] = set()
        self._due: dict[int, list[tuple[StateKey, int]]] = {}

    def get(self, namespace: str, key: bytes) -> VersionedValue | None:
        values = self._values.get(namespace)
        return None if values is None else values.get(key)

    def scan(
        self, namespace: str, start: bytes, end: bytes
    ) -> Iterator[tuple[bytes, VersionedValue]]:
        values = self._values.get(namespace)
        if values is None:
            return
        keys = self._sorted.get(namespace)
        if keys is None:
            keys = self._sorted[namespace] = sorted(values)
        for index in range(bisect_left(keys, start), len(keys)):
            key = keys[index]
            if end and key >= end:
                return
            yield key, values[key]

    def has_tx(self, tx_id: str) -> bool:
        return tx_id in self._tx_ids

    def find_expired(self, block_num: int) -> list[StateKey]:
        """Hashed keys that are due at the end of this block and were not written again since."""
        expired = []
        for place, written_at in self._due.get(block_num, ()):
            current = self.get(place.namespace, place.key)
            if current is not None and current.version.block_num == written_at:
                expired.append(place)
        return expired

    def namespaces(self) -> list[str]:
        """The names under which anything is stored, sorted."""
        return sorted(name for name, values in self._values.items() if values)

    def add_block(
        self,
        number: int,
        updates: UpdateBatch,
        tx_ids: Iterable[str | None],
        expiries: Iterable[Expiry] = (),
        expired: Iterable[StateKey] = (),
    ) -> None:
        """Make a validated block part of the state."""
        for namespace, changes in updates.values.items():
            values = self._values.setdefault(namespace, {})
            for key, value in changes.items():
                if value is None:
                    if values.pop(key, None) is not None:
                        self._sorted.pop(namespace, None)
                else:
                    if key not in values:
                        self._sorted.pop(namespace, None)
                    values[key] = value
        for namespace, key in expired:
            del self._values[namespace][key]
            self._sorted.pop(namespace, None)
        self._due.pop(number, None)
        for block_num, namespace, key in expiries:
            self._due.setdefault(block_num, []).append((StateKey(namespace, key), number))
        self._tx_ids.update(tx_id for tx_id in tx_ids if tx_id)
