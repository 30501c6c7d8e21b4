"""Lets lifecycle records be read and written through a simulation."""

from tongban.node.core.simulation.simulator import Simulator

_PREFIX_END = "\x7f"
"""Names of records are ASCII, so every key with a prefix sorts before the prefix and this."""


class PublicRecords:
    """The public state of one namespace."""

    __slots__ = ("_namespace", "_simulator")

    def __init__(self, simulator: Simulator, namespace: str) -> None:
        self._simulator = simulator
        self._namespace = namespace

    def get(self, key: str) -> bytes | None:
        return self._simulator.get_state(self._namespace, key)

    def put(self, key: str, value: bytes) -> None:
        self._simulator.put_state(self._namespace, key, value)

    def delete(self, key: str) -> None:
        self._simulator.put_state(self._namespace, key, b"")

    def list_keys(self, prefix: str) -> list[str]:
        """All keys with this prefix, ascending; a range query."""
        scan = self._simulator.scan(self._namespace, prefix, prefix + _PREFIX_END)
        keys = []
        while (row := scan.next()) is not None:
            keys.append(row.key)
        return keys


class CollectionRecords:
    """One collection of a namespace."""

    __slots__ = ("_collection", "_namespace", "_simulator")

    def __init__(self, simulator: Simulator, namespace: str, collection: str) -> None:
        self._simulator = simulator
        self._namespace = namespace
        self._collection = collection

    def get(self, key: str) -> bytes | None:
        return self._simulator.get_private(self._namespace, self._collection, key)

    def get_hash(self, key: str) -> bytes | None:
        return self._simulator.get_private_hash(self._namespace, self._collection, key)

    def put(self, key: str, value: bytes) -> None:
        self._simulator.put_private(self._namespace, self._collection, key, value)

    def delete(self, key: str) -> None:
        self._simulator.put_private(self._namespace, self._collection, key, b"")

    def list_keys(self, prefix: str) -> list[str]:
        """All keys with this prefix, ascending; only in a transaction that writes nothing."""
        scan = self._simulator.scan_private(
            self._namespace, self._collection, prefix, prefix + _PREFIX_END
        )
        keys = []
        while (row := scan.next()) is not None:
            keys.append(row.key)
        return keys
