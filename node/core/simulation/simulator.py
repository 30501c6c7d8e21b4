"""Simulates one transaction on a snapshot: reads come from the snapshot, writes are collected.

A transaction never sees its own writes. Whatever a peer looks up on the way (definitions of the
chaincodes that are called, of their collections) goes through here as well and ends up in the read
set, because the endorsement must hold on exactly what it was based on
(fabric core/ledger/kvledger/txmgmt/txmgr/tx_simulator.go, query_executor.go).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from tongban.node.core.lifecycle.definitions import ChaincodeDefinition, read_definition
from tongban.node.core.lifecycle.state_layout import (
    LIFECYCLE_NAMESPACE,
    implicit_collection,
)
from tongban.node.core.simulation.errors import SimulationRefused
from tongban.node.core.simulation.interest import WrittenKeys, build_interest
from tongban.node.core.simulation.queries import PrivateScan, StateScan
from tongban.node.core.simulation.rwset_builder import Entries, PrivateWrite, RwSetBuilder
from tongban.node.core.state import (
    StateReader,
    Version,
    VersionedValue,
    hashed_namespace,
)
from tongban.protos import kvrwset_pb2, proposal_response_pb2, rwset_pb2
from tongban.protos.codec import parse
from tongban.protos.digest import sha256

LEGACY_NAMESPACE = "lscc"
"""Where chaincodes were recorded before definitions; looked at when there is no definition."""


class SimulationState(StateReader, Protocol):
    """A snapshot with the private values that this organization has."""

    def get_private(self, namespace: str, collection: str, key: bytes) -> VersionedValue | None: ...

    def scan_private(
        self, namespace: str, collection: str, start: bytes, end: bytes
    ) -> Iterator[tuple[bytes, VersionedValue]]:
        """Ascending, without ``end``; an empty ``end`` means the end of the collection."""
        ...


class SimulationResults(NamedTuple):
    """What a simulation leads to."""

    public: bytes
    """Serialized TxReadWriteSet."""

    private: rwset_pb2.TxPvtReadWriteSet | None
    interest: proposal_response_pb2.ChaincodeInterest
    """Whose policies an endorsement plan has to satisfy."""


class Checkpoint(NamedTuple):
    """A state of a simulation to go back to."""

    builder: RwSetBuilder
    written: WrittenKeys
    private_reads: frozenset[tuple[str, str]]
    scan_count: int
    flags: tuple[bool, bool, bool]


class Simulator:
    """One transaction on one channel's snapshot."""

    def __init__(self, state: SimulationState, tx_id: str, org_msp_ids: Sequence[str]) -> None:
        """``org_msp_ids`` are the MSP ids of the channel's application organizations; each has an
        implicit collection in every defined chaincode."""
        self._state = state
        self._tx_id = tx_id
        self._org_msp_ids = org_msp_ids
        self._builder = RwSetBuilder()
        self._scans: list[tuple[str, StateScan]] = []
        self._written = WrittenKeys()
        self._metadata: dict[tuple[str, str], bytes] = {}
        """Of the keys that were read, serialized: what is written next is mostly one of them."""
        self._private_reads: set[tuple[str, str]] = set()
        self._collections: dict[str, frozenset[str]] = {}
        self._wrote = False
        self._queried_private = False
        self._paginated = False

    @property
    def has_written(self) -> bool:
        """Whether anything was written, so that it may turn out not to be possible."""
        return self._wrote

    def get_state(self, namespace: str, key: str) -> bytes | None:
        found = self._read(namespace, key)
        return None if found is None else found.value

    def note_read(self, namespace: str, key: str, version: Version) -> None:
        """The key counts as read; whoever says so knows that this snapshot has it so."""
        self._builder.add_read(namespace, key, version)

    def get_metadata(self, namespace: str, key: str) -> dict[str, bytes]:
        """The metadata entries of a key by name; a read of the key."""
        return _parse_metadata(_metadata_of(self._read(namespace, key)))

    def put_state(self, namespace: str, key: str, value: bytes) -> None:
        """An empty value deletes the key."""
        metadata = self._find_metadata(namespace, key)
        self._check_write()
        self._builder.add_write(namespace, key, value)
        self._note_written(namespace, "", key, metadata)

    def put_metadata(self, namespace: str, key: str, entries: Entries) -> None:
        """The key will have these metadata entries and no others."""
        metadata = self._find_metadata(namespace, key)
        _check_names(entries)
        self._check_write()
        self._builder.add_metadata_write(namespace, key, entries)
        self._note_written(namespace, "", key, metadata)

    def scan(self, namespace: str, start: str, end: str) -> StateScan:
        return self._open_scan(namespace, start, end, 0)

    def scan_page(self, namespace: str, start: str, end: str, page_size: int) -> StateScan:
        """Only in a transaction that writes nothing. A ``page_size`` of 0 or less is no limit."""
        if self._wrote:
            raise SimulationRefused(
                f"txid [{self._tx_id}]: unsuppored transaction. "
                "Paginated queries are supported only in a read-only transaction"
            )
        self._paginated = True
        return self._open_scan(namespace, start, end, page_size)

    def get_private(self, namespace: str, collection: str, key: str) -> bytes | None:
        self.check_collection(namespace, collection)
        found = self._read_private(namespace, collection, key)
        self._private_reads.add((namespace, collection))
        return None if found is None else found.value

    def get_private_hash(self, namespace: str, collection: str, key: str) -> bytes | None:
        self.check_collection(namespace, collection)
        found = self._read_hashed(namespace, collection, key)
        return None if found is None else found.value

    def get_private_metadata(self, namespace: str, collection: str, key: str) -> dict[str, bytes]:
        self.check_collection(namespace, collection)
        return _parse_metadata(_metadata_of(self._read_hashed(namespace, collection, key)))

    def put_private(
        self, namespace: str, collection: str, key: str, value: bytes, *, is_purge: bool = False
    ) -> None:
        """An empty value deletes; a purge also makes every peer forget older values."""
        self.check_collection(namespace, collection)
        hashed = self._peek_hashed(namespace, collection, key)
        self._check_write()
        self._builder.add_private_write(namespace, collection, key, PrivateWrite(value, is_purge))
        self._note_written(namespace, collection, key, _metadata_of(hashed))

    def put_private_metadata(
        self, namespace: str, collection: str, key: str, entries: Entries
    ) -> None:
        self.check_collection(namespace, collection)
        hashed = self._peek_hashed(namespace, collection, key)
        _check_names(entries)
        self._check_write()
        self._builder.add_private_metadata_write(namespace, collection, key, entries)
        self._note_written(namespace, collection, key, _metadata_of(hashed))

    def scan_private(self, namespace: str, collection: str, start: str, end: str) -> PrivateScan:
        """Only in a transaction that writes nothing; leaves no reads."""
        if self._wrote:
            raise SimulationRefused(
                f"txid [{self._tx_id}]: unsuppored transaction. "
                "Queries on pvt data is supported only in a read-only transaction"
            )
        self._queried_private = True
        self.check_collection(namespace, collection)
        return PrivateScan(
            self._state.scan_private(namespace, collection, encode_key(start), encode_key(end))
        )

    def get(self, key: str) -> bytes | None:
        """Read the lifecycle namespace; makes the simulator a reader of definitions."""
        return self.get_state(LIFECYCLE_NAMESPACE, key)

    def find_definition(self, name: str) -> ChaincodeDefinition | None:
        """The definition in force, read so that the reads are recorded."""
        found = read_definition(self, name)
        if found is None:
            self.get_state(LEGACY_NAMESPACE, name)
        return found

    def check_collection(self, namespace: str, collection: str) -> None:
        """Return if the chaincode has this collection.

        Raises:
            SimulationRefused: it has not.
        """
        known = self._collections.get(namespace)
        if known is None:
            known = self._collections[namespace] = self._read_collections(namespace)
        if collection not in known:
            raise SimulationRefused(
                f"collection [{collection}] not defined in the collection config "
                f"for chaincode [{namespace}]"
            )

    def checkpoint(self) -> Checkpoint:
        """What :meth:`roll_back` needs to undo everything from here on."""
        return Checkpoint(
            self._builder.copy(),
            self._written.copy(),
            frozenset(self._private_reads),
            len(self._scans),
            (self._wrote, self._queried_private, self._paginated),
        )

    def roll_back(self, checkpoint: Checkpoint) -> None:
        """Nothing that was done since the checkpoint has left a trace."""
        self._builder = checkpoint.builder.copy()
        self._written = checkpoint.written.copy()
        self._private_reads = set(checkpoint.private_reads)
        del self._scans[checkpoint.scan_count :]
        self._wrote, self._queried_private, self._paginated = checkpoint.flags

    def results(self) -> SimulationResults:
        """Both sets and the interest. Call it once, when the transaction is done.

        Raises:
            MalformedMessage: a written key has a policy that cannot be read.
        """
        for namespace, scan in self._scans:
            self._builder.add_range_query(namespace, scan.finish())
        built = self._builder.build()
        interest = build_interest(self._builder.namespaces(), self._written, self._private_reads)
        return SimulationResults(built.public, built.private, interest)

    def _read(self, namespace: str, key: str) -> VersionedValue | None:
        found = self._state.get(namespace, encode_key(key))
        if found is None:
            self._metadata[namespace, key] = b""
            self._builder.add_read(namespace, key, None)
        else:
            self._metadata[namespace, key] = found.metadata
            self._builder.add_read(namespace, key, found.version)
        return found

    def _find_metadata(self, namespace: str, key: str) -> bytes:
        """Serialized; looking it up is no read of the transaction."""
        known = self._metadata.get((namespace, key))
        if known is None:
            known = _metadata_of(self._state.get(namespace, encode_key(key)))
        return known

    def _peek_hashed(self, namespace: str, collection: str, key: str) -> VersionedValue | None:
        return self._state.get(hashed_namespace(namespace, collection), sha256(encode_key(key)))

    def _read_hashed(self, namespace: str, collection: str, key: str) -> VersionedValue | None:
        found = self._peek_hashed(namespace, collection, key)
        version = None if found is None else found.version
        self._builder.add_hashed_read(namespace, collection, key, version)
        return found

    def _read_private(self, namespace: str, collection: str, key: str) -> VersionedValue | None:
        hashed = self._peek_hashed(namespace, collection, key)
        plain = self._state.get_private(namespace, collection, encode_key(key))
        wanted = None if hashed is None else hashed.version
        found = None if plain is None else plain.version
        if wanted != found:
            raise SimulationRefused(
                "private data matching public hash version is not available. "
                f"Public hash version = {_show(wanted)}, Private data version = {_show(found)}"
            )
        self._builder.add_hashed_read(namespace, collection, key, found)
        return plain

    def _open_scan(self, namespace: str, start: str, end: str, row_limit: int) -> StateScan:
        rows = self._state.scan(namespace, encode_key(start), encode_key(end))
        opened = StateScan(rows, start, end, row_limit)
        self._scans.append((namespace, opened))
        return opened

    def _check_write(self) -> None:
        queried = None
        if self._queried_private:
            queried = "queries on pvt data"
        elif self._paginated:
            queried = "a paginated query"
        if queried is not None:
            raise SimulationRefused(
                f"txid [{self._tx_id}]: unsuppored transaction. "
                f"Transaction has already performed {queried}. Writes are not allowed"
            )
        self._wrote = True

    def _note_written(self, namespace: str, collection: str, key: str, metadata: bytes) -> None:
        self._written.add(namespace, collection, key, _parse_metadata(metadata))

    def _read_collections(self, namespace: str) -> frozenset[str]:
        implicit = frozenset(map(implicit_collection, self._org_msp_ids))
        if namespace == LIFECYCLE_NAMESPACE:
            return implicit
        definition = self.find_definition(namespace)
        if definition is None:
            raise SimulationRefused(
                f"collection config not defined for chaincode [{namespace}], pass the "
                "collection configuration upon chaincode definition/instantiation"
            )
        return implicit | {entry.name for entry in definition.collections}


def encode_key(key: str) -> bytes:
    try:
        return key.encode()
    except UnicodeEncodeError:
        raise SimulationRefused("keys and names must be valid UTF-8") from None


def _check_names(entries: Entries) -> None:
    for name in entries:
        encode_key(name)


def _metadata_of(found: VersionedValue | None) -> bytes:
    return b"" if found is None else found.metadata


def _parse_metadata(serialized: bytes) -> dict[str, bytes]:
    if not serialized:
        return {}
    written = parse(kvrwset_pb2.KVMetadataWrite, serialized)
    return {entry.name: entry.value for entry in written.entries}


def _show(version: Version | None) -> str:
    if version is None:
        return "<nil>"
    return f"{{BlockNum: {version.block_num}, TxNum: {version.tx_num}}}"
