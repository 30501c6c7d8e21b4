"""Collects what a simulation reads and writes, and builds the sets in canonical order.

Every peer must build the same bytes: one entry per key, the last call wins; namespaces, keys,
collections and metadata names ascending; range queries in the order in which they were opened.
Hashed entries are ordered by their plain key (fabric core/ledger/kvledger/txmgmt/rwsetutil).
Comparing strings by code point, as Python does, orders them like their UTF-8 bytes.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tongban.node.core.rwset_reader import MerkleSummary
from tongban.node.core.state import Version
from tongban.protos import kvrwset_pb2, rwset_pb2
from tongban.protos.digest import sha256

Entries = Mapping[str, bytes]
"""Metadata of a key by name. Written as a whole: entries that are not in it are gone."""


class RangeQuery(NamedTuple):
    """A range query as the read set holds it."""

    start: str
    end: str
    """The end asked for if the query ran dry, else the last key read."""

    exhausted: bool
    reads: Sequence[kvrwset_pb2.KVRead]
    """All rows, if they are few enough to be listed."""

    summary: MerkleSummary | None


class PrivateWrite(NamedTuple):
    """A write to a collection; an empty value deletes."""

    value: bytes
    is_purge: bool


@dataclass(slots=True)
class _Collection:
    reads: dict[str, Version | None] = field(default_factory=dict)
    writes: dict[str, PrivateWrite] = field(default_factory=dict)
    metadata_writes: dict[str, Entries] = field(default_factory=dict)


class _Namespace:
    """What was touched in one namespace. Not a dataclass, whose factories of empty parts cost more
    than the parts."""

    __slots__ = ("collections", "metadata_writes", "range_queries", "reads", "writes")

    def __init__(self) -> None:
        self.reads: dict[str, Version | None] = {}
        self.writes: dict[str, bytes] = {}
        self.metadata_writes: dict[str, Entries] = {}
        self.range_queries: list[RangeQuery] = []
        self.collections: dict[str, _Collection] = {}

    def collection(self, name: str) -> _Collection:
        found = self.collections.get(name)
        if found is None:
            found = self.collections[name] = _Collection()
        return found


class BuiltSets(NamedTuple):
    """Both sets of a transaction."""

    public: bytes
    """Serialized TxReadWriteSet: goes into the endorsement."""

    private: rwset_pb2.TxPvtReadWriteSet | None
    """Keys and values of collections: goes to the peers that may hold them."""


class RwSetBuilder:
    """The sets of one transaction while it is simulated."""

    __slots__ = ("_namespaces",)

    def __init__(self) -> None:
        self._namespaces: dict[str, _Namespace] = {}

    def copy(self) -> "RwSetBuilder":
        """An independent copy of what was collected so far."""
        twin = RwSetBuilder()
        twin._namespaces = copy.deepcopy(self._namespaces)
        return twin

    def namespaces(self) -> list[str]:
        """Those with anything read or written, ascending."""
        return sorted(self._namespaces)

    def add_read(self, namespace: str, key: str, version: Version | None) -> None:
        self._namespace(namespace).reads[key] = version

    def add_write(self, namespace: str, key: str, value: bytes) -> None:
        self._namespace(namespace).writes[key] = value

    def add_metadata_write(self, namespace: str, key: str, entries: Entries) -> None:
        self._namespace(namespace).metadata_writes[key] = entries

    def add_range_query(self, namespace: str, query: RangeQuery) -> None:
        """Kept unless one with the same bounds and end is there already."""
        known = self._namespace(namespace).range_queries
        if all(query[:3] != other[:3] for other in known):
            known.append(query)

    def add_hashed_read(
        self, namespace: str, collection: str, key: str, version: Version | None
    ) -> None:
        self._namespace(namespace).collection(collection).reads[key] = version

    def add_private_write(
        self, namespace: str, collection: str, key: str, write: PrivateWrite
    ) -> None:
        self._namespace(namespace).collection(collection).writes[key] = write

    def add_private_metadata_write(
        self, namespace: str, collection: str, key: str, entries: Entries
    ) -> None:
        self._namespace(namespace).collection(collection).metadata_writes[key] = entries

    def build(self) -> BuiltSets:
        public = rwset_pb2.TxReadWriteSet()
        private = rwset_pb2.TxPvtReadWriteSet()
        for name in sorted(self._namespaces):
            namespace = self._namespaces[name]
            entry = public.ns_rwset.add(namespace=name, rwset=_build_public(namespace))
            if not namespace.collections:
                continue
            plain = rwset_pb2.NsPvtReadWriteSet(namespace=name)
            for collection_name in sorted(namespace.collections):
                collection = namespace.collections[collection_name]
                hashed = entry.collection_hashed_rwset.add(
                    collection_name=collection_name, hashed_rwset=_build_hashed(collection)
                )
                if collection.writes or collection.metadata_writes:
                    values = _build_private(collection)
                    hashed.pvt_rwset_hash = sha256(values)
                    plain.collection_pvt_rwset.add(collection_name=collection_name, rwset=values)
            if plain.collection_pvt_rwset:
                private.ns_pvt_rwset.append(plain)
        return BuiltSets(public.SerializeToString(), private if private.ns_pvt_rwset else None)

    def _namespace(self, name: str) -> _Namespace:
        found = self._namespaces.get(name)
        if found is None:
            found = self._namespaces[name] = _Namespace()
        return found


def _build_public(namespace: _Namespace) -> bytes:
    sets = kvrwset_pb2.KVRWSet()
    for key in sorted(namespace.reads):
        _fill_version(sets.reads.add(key=key), namespace.reads[key])
    for query in namespace.range_queries:
        _fill_range_query(sets.range_queries_info.add(), query)
    for key in sorted(namespace.writes):
        value = namespace.writes[key]
        sets.writes.add(key=key, is_delete=not value, value=value)
    for key in sorted(namespace.metadata_writes):
        _fill_entries(sets.metadata_writes.add(key=key), namespace.metadata_writes[key])
    return sets.SerializeToString()


def _build_hashed(collection: _Collection) -> bytes:
    sets = kvrwset_pb2.HashedRWSet()
    for key in sorted(collection.reads):
        _fill_version(sets.hashed_reads.add(key_hash=sha256(key.encode())), collection.reads[key])
    for key in sorted(collection.writes):
        write = collection.writes[key]
        sets.hashed_writes.add(
            key_hash=sha256(key.encode()),
            is_delete=not write.value,
            value_hash=sha256(write.value) if write.value else b"",
            is_purge=write.is_purge,
        )
    for key in sorted(collection.metadata_writes):
        hashed = sets.metadata_writes.add(key_hash=sha256(key.encode()))
        _fill_entries(hashed, collection.metadata_writes[key])
    return sets.SerializeToString()


def _build_private(collection: _Collection) -> bytes:
    sets = kvrwset_pb2.KVRWSet()
    for key in sorted(collection.writes):
        value = collection.writes[key].value
        sets.writes.add(key=key, is_delete=not value, value=value)
    for key in sorted(collection.metadata_writes):
        # Only that the key's metadata changed; the entries are public, with the hashes.
        sets.metadata_writes.add(key=key)
    return sets.SerializeToString()


def _fill_version(
    read: kvrwset_pb2.KVRead | kvrwset_pb2.KVReadHash, version: Version | None
) -> None:
    """A key that was absent has no version at all, which differs from (0, 0)."""
    if version is not None:
        read.version.SetInParent()
        read.version.block_num, read.version.tx_num = version


def _fill_entries(
    write: kvrwset_pb2.KVMetadataWrite | kvrwset_pb2.KVMetadataWriteHash, entries: Entries
) -> None:
    for name in sorted(entries):
        write.entries.add(name=name, value=entries[name])


def _fill_range_query(info: kvrwset_pb2.RangeQueryInfo, query: RangeQuery) -> None:
    info.start_key = query.start
    info.end_key = query.end
    info.itr_exhausted = query.exhausted
    if query.summary is not None:
        info.reads_merkle_hashes.max_degree = query.summary.max_degree
        info.reads_merkle_hashes.max_level = query.summary.max_level
        info.reads_merkle_hashes.max_level_hashes.extend(query.summary.hashes)
    elif query.reads:
        info.raw_reads.kv_reads.extend(query.reads)
