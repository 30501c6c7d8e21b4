"""The committed state while one block is validated: each key is fetched once.

Endorsement, version checks and the application of writes ask for the same keys.
"""

from collections.abc import Iterator

from tongban.node.core.state import StateReader, VersionedValue


class BlockReader:
    """A state reader that remembers what it was asked. One is made for each block."""

    __slots__ = ("_known", "_state")

    def __init__(self, state: StateReader) -> None:
        self._state = state
        self._known: dict[tuple[str, bytes], VersionedValue | None] = {}

    def get(self, namespace: str, key: bytes) -> VersionedValue | None:
        place = (namespace, key)
        try:
            return self._known[place]
        except KeyError:
            found = self._known[place] = self._state.get(namespace, key)
            return found

    def scan(
        self, namespace: str, start: bytes, end: bytes
    ) -> Iterator[tuple[bytes, VersionedValue]]:
        return self._state.scan(namespace, start, end)
