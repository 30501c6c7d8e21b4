"""The key-value contract in memory: for tests, and for rebuilding a state aside."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

from tongban.node.storage.kvstore import Change


class MemorySnapshot:
    __slots__ = ("_keys", "_values")

    def __init__(self, keys: list[bytes], values: dict[bytes, bytes]) -> None:
        self._keys = keys
        self._values = values

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def iterate(
        self, start: bytes, stop: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        first = bisect_left(self._keys, start)
        last = bisect_left(self._keys, stop) if stop else len(self._keys)
        chosen = self._keys[first:last]
        if reverse:
            chosen.reverse()
        return iter([(key, self._values[key]) for key in chosen])

    def close(self) -> None:
        self._keys = []
        self._values = {}


class MemoryStore:
    """Snapshots copy, so this is for small stores."""

    def __init__(self) -> None:
        self._keys: list[bytes] = []
        self._values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        return self._values.get(key)

    def iterate(
        self, start: bytes, stop: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        return MemorySnapshot(self._keys, self._values).iterate(start, stop, reverse)

    def write(self, batch: Sequence[Change], sync: bool) -> None:
        for key, value in batch:
            if value is None:
                if self._values.pop(key, None) is not None:
                    del self._keys[bisect_left(self._keys, key)]
            else:
                if key not in self._values:
                    insort(self._keys, key)
                self._values[key] = value

    def snapshot(self) -> MemorySnapshot:
        return MemorySnapshot(self._keys.copy(), self._values.copy())

    def erase_deleted(self, start: bytes, stop: bytes) -> None:
        """Nothing deleted is left."""

    def close(self) -> None:
        """Keeps its content, so that a test can open it again."""
