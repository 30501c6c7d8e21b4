"""An ordered store of byte strings with atomic batches and snapshots: the contract.

Two implementations keep it, LevelDB and one in memory; a state machine test holds them equal.
Keys are not empty and ordered as bytes. ``stop`` is excluded, and an empty ``stop`` means the end.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

Change: TypeAlias = tuple[bytes, bytes | None]
"""A key and its new value, or None to delete it."""


class Readable(Protocol):
    def get(self, key: bytes) -> bytes | None: ...

    def iterate(
        self, start: bytes, stop: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values as they were when it was called; descending if ``reverse``."""
        ...


class KeyValueSnapshot(Readable, Protocol):
    """The store as it was at one moment. Close it: it keeps old values alive."""

    def close(self) -> None: ...


class KeyValueStore(Readable, Protocol):
    def write(self, batch: Sequence[Change], sync: bool) -> None:
        """All changes are made, in order and at once. With ``sync`` they and everything written
        before are durable afterwards.

        Raises:
            StorageFailure: the disk refused; none of it may be taken for written.
        """
        ...

    def snapshot(self) -> KeyValueSnapshot: ...

    def erase_deleted(self, start: bytes, stop: bytes) -> None:
        """Deleted and replaced values of these keys are gone from the disk too, unless a snapshot
        still shows them. Rewrites the whole range. ``stop`` does not end in a zero byte."""
        ...

    def close(self) -> None: ...


def prefix_end(prefix: bytes) -> bytes:
    """The smallest key after every key with this prefix; empty if there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else b""


def prefix_start(end: bytes) -> bytes:
    """The prefix whose :func:`prefix_end` is ``end``, which does not end in a zero byte."""
    return end[:-1] + bytes([end[-1] - 1]) if end else b""
