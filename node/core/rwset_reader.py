"""What a transaction read and wrote, from its serialized read-write set.

Everything is parsed to the bottom at once, so that a set is either whole or refused, as in Fabric
(core/ledger/kvledger/txmgmt/rwsetutil/rwset_proto_util.go). Keys become bytes: UTF-8 of public
keys, the digest itself of hashed ones. What counts as a delete is decided here and nowhere else.
"""

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from tongban.node.core.state import Version
from tongban.protos.codec import parse
from tongban.protos.digest import EMPTY_SHA256
from tongban.protos.kvrwset_pb2 import (
    HashedRWSet,
    KVMetadataEntry,
    KVMetadataWrite,
    KVRead,
    KVReadHash,
    KVRWSet,
    RangeQueryInfo,
)
from tongban.protos.rwset_pb2 import CollectionHashedReadWriteSet, TxReadWriteSet


class Read(NamedTuple):
    """A key and the version that was seen; None if the key was absent."""

    key: bytes
    version: Version | None


class Write(NamedTuple):
    """A value, or a delete. In a hashed set both key and value are digests."""

    key: bytes
    is_delete: bool
    value: bytes


class MetadataWrite(NamedTuple):
    """New metadata of a key: serialized entries, empty to remove it."""

    key: bytes
    metadata: bytes


class MerkleSummary(NamedTuple):
    """The hashes of a long range's results; see :mod:`tongban.node.core.range_summary`."""

    max_degree: int
    max_level: int
    hashes: tuple[bytes, ...]


class RangeQuery(NamedTuple):
    """A scan and its results. If it was not ``exhausted``, ``end`` is the last key seen and
    belongs to the results. ``summary`` stands for the results when it is not None."""

    start: bytes
    end: bytes
    exhausted: bool
    reads: tuple[Read, ...]
    summary: MerkleSummary | None


class CollRwSet(NamedTuple):
    """The hashed part of one collection. ``purged`` are key digests of ``writes``.
    ``pvt_rwset_hash`` is empty if no private values were written."""

    collection: str
    reads: tuple[Read, ...]
    writes: tuple[Write, ...]
    metadata_writes: tuple[MetadataWrite, ...]
    purged: tuple[bytes, ...]
    pvt_rwset_hash: bytes


class NsRwSet(NamedTuple):
    """The part of one namespace."""

    namespace: str
    reads: tuple[Read, ...]
    range_queries: tuple[RangeQuery, ...]
    writes: tuple[Write, ...]
    metadata_writes: tuple[MetadataWrite, ...]
    collections: tuple[CollRwSet, ...]

    @property
    def is_written(self) -> bool:
        """Whether anything is written in it, public or hashed, value or metadata."""
        return bool(
            self.writes
            or self.metadata_writes
            or (
                self.collections
                and any(part.writes or part.metadata_writes for part in self.collections)
            )
        )

    @property
    def changes_metadata(self) -> bool:
        """Whether a key's metadata is written in it."""
        return bool(
            self.metadata_writes
            or (self.collections and any(part.metadata_writes for part in self.collections))
        )


class TxRwSet(NamedTuple):
    """All namespaces in the order of the transaction."""

    namespaces: tuple[NsRwSet, ...]


KnownParts: TypeAlias = dict[tuple[str, bytes], NsRwSet]
"""Parts without collections by name and bytes. Transactions of one block often read the same, such
as the definition of their chaincode, and equal bytes are read once."""


def parse_tx_rwset(data: bytes, known: KnownParts | None = None) -> TxRwSet:
    """The read-write set in ``data``. ``known`` are parts that were read before, and take more.

    Raises:
        MalformedMessage: the set, the part of a namespace or of a collection is unparsable.
    """
    if known is None:
        known = {}
    namespaces: list[NsRwSet] = []
    for part in parse(TxReadWriteSet, data, "read-write set").ns_rwset:
        name, raw, collections = part.namespace, part.rwset, part.collection_hashed_rwset
        if collections:
            namespaces.append(_namespace(name, raw, collections))
            continue
        found = known.get((name, raw))
        if found is None:
            found = known[name, raw] = _namespace(name, raw, ())
        namespaces.append(found)
    return TxRwSet(tuple(namespaces))


def _namespace(
    name: str, data: bytes, collections: Iterable[CollectionHashedReadWriteSet]
) -> NsRwSet:
    part = parse(KVRWSet, data, "read-write set of a namespace")
    # Most of it is empty most of the time, and a loop over nothing costs as much as over one.
    reads, queries = part.reads, part.range_queries_info
    writes, metadata_writes = part.writes, part.metadata_writes
    return NsRwSet(
        name,
        tuple([_read(read) for read in reads]) if reads else (),
        tuple([_range_query(query) for query in queries]) if queries else (),
        tuple([_write(write.key, write.is_delete, write.value) for write in writes])
        if writes
        else (),
        tuple(
            [
                MetadataWrite(write.key.encode(), serialize_entries(write.entries))
                for write in metadata_writes
            ]
        )
        if metadata_writes
        else (),
        tuple([_collection(collection) for collection in collections]) if collections else (),
    )


def _write(key: str, is_delete: bool, value: bytes) -> Write:
    """An empty value is a delete, whatever the flag says."""
    return Write(key.encode(), is_delete or not value, value)


def _read(read: KVRead) -> Read:
    key = read.key.encode()
    if not read.HasField("version"):
        return Read(key, None)
    version = read.version
    return Read(key, Version(version.block_num, version.tx_num))


def _read_hash(read: KVReadHash) -> Read:
    if not read.HasField("version"):
        return Read(read.key_hash, None)
    return Read(read.key_hash, Version(read.version.block_num, read.version.tx_num))


def _range_query(query: RangeQueryInfo) -> RangeQuery:
    summary = None
    if query.HasField("reads_merkle_hashes"):
        given = query.reads_merkle_hashes
        summary = MerkleSummary(given.max_degree, given.max_level, tuple(given.max_level_hashes))
    return RangeQuery(
        query.start_key.encode(),
        query.end_key.encode(),
        query.itr_exhausted,
        tuple([_read(read) for read in query.raw_reads.kv_reads]),
        summary,
    )


def _collection(message: CollectionHashedReadWriteSet) -> CollRwSet:
    part = parse(HashedRWSet, message.hashed_rwset, "read-write set of a collection")
    writes = tuple(
        [
            Write(
                write.key_hash,
                write.is_delete or not write.value_hash or write.value_hash == EMPTY_SHA256,
                write.value_hash,
            )
            for write in part.hashed_writes
        ]
    )
    return CollRwSet(
        message.collection_name,
        tuple([_read_hash(read) for read in part.hashed_reads]),
        writes,
        tuple(
            [
                MetadataWrite(write.key_hash, serialize_entries(write.entries))
                for write in part.metadata_writes
            ]
        ),
        tuple([write.key_hash for write in part.hashed_writes if write.is_purge]),
        message.pvt_rwset_hash,
    )


def serialize_entries(entries: Iterable[KVMetadataEntry]) -> bytes:
    """Metadata as the state keeps it, empty if there are no entries
    (fabric core/ledger/kvledger/txmgmt/statemetadata/serializer.go)."""
    return KVMetadataWrite(entries=entries).SerializeToString()


VALIDATION_PARAMETER = "VALIDATION_PARAMETER"
"""The metadata entry that holds a key's endorsement policy."""


def find_validation_parameter(metadata: bytes) -> bytes:
    """The key's own policy in its metadata, empty if it has none. Of several the last counts, as
    in a Go map filled in order.

    Raises:
        MalformedMessage: the metadata is unparsable, which no peer writes.
    """
    found = b""
    for entry in parse(KVMetadataWrite, metadata, "metadata of a key").entries:
        if entry.name == VALIDATION_PARAMETER:
            found = entry.value
    return found
