"""The world state as the core sees it: versioned values, a reader, and a block's net changes.

Keys are bytes. A public key is the UTF-8 of the string a contract uses; a key of a hashed namespace
is the SHA-256 of the plain key; a key of a private namespace is plain again. Namespaces keep
Fabric's spelling (core/ledger/kvledger/txmgmt/privacyenabledstate/db.go).
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

CONFIG_NAMESPACE = ""
"""Holds the channel configuration; contributes nothing to the commit hash."""

CONFIG_KEY = b"CHANNEL_CONFIG_ENV_BYTES"
"""The key of the current ConfigEnvelope (fabric core/peer/configtx_processor.go)."""


class Version(NamedTuple):
    """Which transaction wrote a value: block number and index in the block, both from zero."""

    block_num: int
    tx_num: int


class VersionedValue(NamedTuple):
    """A value in the world state. ``metadata`` is a serialized list of entries
    (``kvrwset.KVMetadataWrite`` with only ``entries``), empty if there are none."""

    value: bytes
    version: Version
    metadata: bytes = b""


class StateReader(Protocol):
    """A consistent view of the committed state; it does not change while it is held."""

    def get(self, namespace: str, key: bytes) -> VersionedValue | None: ...

    def scan(
        self, namespace: str, start: bytes, end: bytes
    ) -> Iterator[tuple[bytes, VersionedValue]]:
        """Ascending by key, from ``start`` up to but not including ``end``. An empty ``end``
        means the end of the namespace."""
        ...


class UpdateBatch:
    """The net changes of a block: for each namespace and key the last value, or None for a delete.

    A delete keeps the version of the transaction that deleted, which the commit hash needs.
    """

    __slots__ = ("deletes", "values")

    def __init__(self) -> None:
        self.values: dict[str, dict[bytes, VersionedValue | None]] = {}
        self.deletes: dict[tuple[str, bytes], Version] = {}

    def put(self, namespace: str, key: bytes, value: VersionedValue) -> None:
        self.values.setdefault(namespace, {})[key] = value
        self.deletes.pop((namespace, key), None)

    def delete(self, namespace: str, key: bytes, version: Version) -> None:
        self.values.setdefault(namespace, {})[key] = None
        self.deletes[namespace, key] = version

    def touches(self, namespace: str, key: bytes) -> bool:
        changed = self.values.get(namespace)
        return changed is not None and key in changed

    def get(self, namespace: str, key: bytes) -> VersionedValue | None:
        """The pending value. Ask :meth:`touches` first: None may mean a delete."""
        return self.values.get(namespace, {}).get(key)


def hashed_namespace(namespace: str, collection: str) -> str:
    return f"{namespace}$$h{collection}"


def private_namespace(namespace: str, collection: str) -> str:
    return f"{namespace}$$p{collection}"


def split_namespace(name: str) -> tuple[str, str | None, bool]:
    """Namespace, collection (None for public state) and whether it is the hashed one."""
    namespace, mark, rest = name.partition("$$")
    if not mark:
        return namespace, None, False
    return namespace, rest[1:], rest[:1] == "h"
