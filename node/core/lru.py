"""A bounded cache that forgets what was not used for long.

Two generations: a value that is found in the old one moves to the young one, and when the young one
is half of the whole, it becomes the old one and the old one is dropped. A hit costs one look-up in
a dict. Safe without a lock: a race between two threads costs at most a second computation.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """At most ``entries_max`` entries; at least the half of them used last are still here."""

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, entries_max: int) -> None:
        assert entries_max >= 2
        self._half = entries_max // 2
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._young) + sum(key not in self._young for key in self._old)

    def find(self, key: K) -> V | None:
        """The value, now among the recently used; None if it is not here."""
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Remember ``value``, which must not be None."""
        assert value is not None
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = value
