"""What a simulation records, table by table."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tongban.node.core.memory_state import MemoryState
from tongban.node.core.range_summary import RangeSummary
from tongban.node.core.simulation.errors import SimulationRefused
from tongban.node.core.simulation.queries import Pager
from tongban.node.core.simulation.simulator import Simulator
from tongban.node.core.state import (
    UpdateBatch,
    Version,
    VersionedValue,
    hashed_namespace,
    private_namespace,
)
from tongban.protos import kvrwset_pb2, rwset_pb2
from tongban.protos.digest import sha256


class State(MemoryState):
    """With the private values beside it."""

    def get_private(self, namespace: str, collection: str, key: bytes) -> VersionedValue | None:
        return self.get(private_namespace(namespace, collection), key)

    def scan_private(self, namespace: str, collection: str, start: bytes, end: bytes) -> Any:
        return self.scan(private_namespace(namespace, collection), start, end)


OWN = "_implicit_org_Org1MSP"


def a_simulator(values: Mapping[str, bytes] | None = None) -> Simulator:
    updates = UpdateBatch()
    for number, (key, value) in enumerate((values or {}).items()):
        updates.put("cc", key.encode(), VersionedValue(value, Version(3, number)))
    state = State()
    state.add_block(0, updates, ())
    return Simulator(state, "tx", ["Org1MSP"])


def sets_of(simulator: Simulator) -> dict[str, rwset_pb2.NsReadWriteSet]:
    public = rwset_pb2.TxReadWriteSet.FromString(simulator.results().public)
    return {entry.namespace: entry for entry in public.ns_rwset}


def public_of(simulator: Simulator, namespace: str = "cc") -> kvrwset_pb2.KVRWSet:
    return kvrwset_pb2.KVRWSet.FromString(sets_of(simulator)[namespace].rwset)


def drain(pager: Pager[Any]) -> int:
    count = 0
    while True:
        batch = pager.next_batch()
        count += len(batch.rows)
        if not batch.has_more:
            return count


def numbered(count: int) -> dict[str, bytes]:
    return {f"k{number:05d}": b"v" for number in range(count)}


def test_the_last_call_on_a_key_wins_and_keys_are_sorted() -> None:
    simulator = a_simulator()
    for key, value in [("b", b"1"), ("a", b"1"), ("b", b""), ("中", b"1"), ("z", b"1")]:
        simulator.put_state("cc", key, value)
    written = [(w.key, w.is_delete, w.value) for w in public_of(simulator).writes]
    assert written == [
        ("a", False, b"1"),
        ("b", True, b""),
        ("z", False, b"1"),
        ("中", False, b"1"),
    ]


def test_metadata_is_written_as_a_whole() -> None:
    simulator = a_simulator()
    simulator.put_metadata("cc", "k", {"b": b"2", "a": b"1"})
    simulator.put_metadata("cc", "k", {"c": b"3"})
    simulator.put_metadata("cc", "l", {"z": b"1", "y": b""})
    found = {w.key: [(e.name, e.value) for e in w.entries] for w in _metadata(simulator)}
    assert found == {"k": [("c", b"3")], "l": [("y", b""), ("z", b"1")]}


def _metadata(simulator: Simulator) -> list[kvrwset_pb2.KVMetadataWrite]:
    return list(public_of(simulator).metadata_writes)


def test_reading_metadata_is_a_read_of_the_key() -> None:
    simulator = a_simulator({"k": b"v"})
    assert simulator.get_metadata("cc", "k") == {}
    assert [read.key for read in public_of(simulator).reads] == ["k"]


def test_a_version_of_zero_differs_from_no_version() -> None:
    updates = UpdateBatch()
    updates.put("cc", b"first", VersionedValue(b"v", Version(0, 0)))
    state = State()
    state.add_block(0, updates, ())
    simulator = Simulator(state, "tx", [])
    simulator.get_state("cc", "first")
    simulator.get_state("cc", "absent")
    absent, first = public_of(simulator).reads
    assert first.HasField("version") and not absent.HasField("version")


SCANS = [
    # rows in the state, rows in one page, pages read -> rows recorded, exhausted, end key
    (0, 0, 1, 0, True, "z"),
    (1, 0, 1, 1, True, "z"),
    (99, 0, 1, 99, True, "z"),
    (100, 0, 1, 100, True, "z"),
    (101, 0, 1, 101, False, "k00100"),
    (101, 0, 2, 101, True, "z"),
    (300, 0, 1, 101, False, "k00100"),
    (300, 0, 2, 201, False, "k00200"),
    (300, 0, 3, 300, True, "z"),
    (10, 7, 1, 7, False, "k00006"),
    (7, 7, 1, 7, False, "k00006"),
    (6, 7, 1, 6, True, "z"),
    (300, 150, 1, 150, False, "k00149"),
]


@pytest.mark.parametrize("row", SCANS, ids=str)
def test_a_scan_records_what_the_peer_has_pulled(
    row: tuple[int, int, int, int, bool, str],
) -> None:
    stored, size, pages, recorded, exhausted, end = row
    simulator = a_simulator(numbered(stored))
    if size:
        scan = simulator.scan_page("cc", "k", "z", size)
        pager = Pager(scan, paginated=True, total_limit=size)
    else:
        scan = simulator.scan("cc", "k", "z")
        pager = Pager(scan, paginated=False, total_limit=100_000)
    for _ in range(pages):
        pager.next_batch()
    (info,) = public_of(simulator).range_queries_info
    assert (info.start_key, info.end_key, info.itr_exhausted) == ("k", end, exhausted)
    if recorded <= 50:
        assert not info.HasField("reads_merkle_hashes")
        assert len(info.raw_reads.kv_reads) == recorded
        assert info.HasField("raw_reads") == bool(recorded)
    else:
        hashes = info.reads_merkle_hashes
        assert (hashes.max_degree, hashes.max_level) == (50, 1)
        assert len(hashes.max_level_hashes) == -(-recorded // 51)


def test_the_bookmark_of_a_page_is_the_next_key() -> None:
    simulator = a_simulator(numbered(5))
    scan = simulator.scan_page("cc", "", "", 3)
    pager = Pager(scan, paginated=True, total_limit=3)
    assert [row.key for row in pager.next_batch().rows] == ["k00000", "k00001", "k00002"]
    assert pager.bookmark() == "k00003"
    rest = Pager(simulator.scan_page("cc", "k00003", "", 3), paginated=True, total_limit=3)
    assert len(rest.next_batch().rows) == 2
    assert rest.bookmark() == ""


def test_the_total_limit_stops_a_scan_without_exhausting_it() -> None:
    simulator = a_simulator(numbered(10))
    pager = Pager(simulator.scan("cc", "", ""), paginated=False, total_limit=4)
    assert drain(pager) == 4
    (info,) = public_of(simulator).range_queries_info
    assert (info.end_key, info.itr_exhausted) == ("k00003", False)


def test_scans_are_kept_in_the_order_of_opening_and_once() -> None:
    simulator = a_simulator(numbered(3))
    for start, end in [("k00001", ""), ("", ""), ("k00001", "")]:
        drain(Pager(simulator.scan("cc", start, end), paginated=False, total_limit=100))
    infos = public_of(simulator).range_queries_info
    assert [info.start_key for info in infos] == ["k00001", ""]


def test_a_scan_that_is_never_read_is_recorded_empty() -> None:
    simulator = a_simulator(numbered(3))
    simulator.scan("cc", "k", "z")
    (info,) = public_of(simulator).range_queries_info
    assert (info.start_key, info.end_key, info.itr_exhausted) == ("k", "", False)
    assert info.WhichOneof("reads_info") is None


# Upstream's unit tests show these shapes (fabric core/ledger/kvledger/txmgmt/rwsetutil).
SHAPES = [
    # degree, rows -> levels, hashes at the top
    (2, 3, 1, 1),
    (2, 6, 1, 2),
    (2, 9, 2, 1),
    (2, 10, 2, 2),
    (3, 16, 2, 1),
    (3, 65, 3, 2),
]


@pytest.mark.parametrize(("degree", "rows", "level", "hashes"), SHAPES)
def test_the_tree_grows_by_levels(degree: int, rows: int, level: int, hashes: int) -> None:
    reads = RangeSummary(degree)
    for number in range(rows):
        reads.add(b"k%03d" % number, Version(1, number))
    summary = reads.finish()
    assert not reads.pending and summary is not None
    assert (summary.max_level, len(summary.hashes)) == (level, hashes)


def test_hashed_entries_are_ordered_by_their_plain_key() -> None:
    simulator = a_simulator()
    keys = ["b", "a", "d", "c"]
    for key in keys:
        simulator.put_private("_lifecycle", OWN, key, b"v")
    entry = sets_of(simulator)["_lifecycle"].collection_hashed_rwset[0]
    hashed = kvrwset_pb2.HashedRWSet.FromString(entry.hashed_rwset)
    expected = [sha256(key.encode()) for key in sorted(keys)]
    assert [write.key_hash for write in hashed.hashed_writes] == expected


def test_private_writes_are_hashed_in_public_and_plain_in_private() -> None:
    simulator = a_simulator()
    simulator.put_private("_lifecycle", OWN, "k", b"value")
    simulator.put_private("_lifecycle", OWN, "gone", b"")
    simulator.put_private("_lifecycle", OWN, "purged", b"", is_purge=True)
    simulator.put_private_metadata("_lifecycle", OWN, "k", {"VALIDATION_PARAMETER": b"p"})
    results = simulator.results()
    assert b"value" not in results.public
    (entry,) = rwset_pb2.TxReadWriteSet.FromString(results.public).ns_rwset
    (collection,) = entry.collection_hashed_rwset
    assert results.private is not None
    plain = results.private.ns_pvt_rwset[0].collection_pvt_rwset[0]
    assert collection.pvt_rwset_hash == hashlib.sha256(plain.rwset).digest()
    private = kvrwset_pb2.KVRWSet.FromString(plain.rwset)
    assert [(w.key, w.is_delete, w.value) for w in private.writes] == [
        ("gone", True, b""),
        ("k", False, b"value"),
        ("purged", True, b""),
    ]
    assert [(w.key, len(w.entries)) for w in private.metadata_writes] == [("k", 0)]
    hashed = kvrwset_pb2.HashedRWSet.FromString(collection.hashed_rwset)
    assert [(w.is_delete, w.is_purge, w.value_hash) for w in hashed.hashed_writes] == [
        (True, False, b""),
        (False, False, sha256(b"value")),
        (True, True, b""),
    ]
    assert [e.value for e in hashed.metadata_writes[0].entries] == [b"p"]


def test_a_private_read_needs_the_value_that_the_hash_is_of() -> None:
    updates = UpdateBatch()
    hashed = hashed_namespace("_lifecycle", OWN)
    updates.put(hashed, sha256(b"k"), VersionedValue(sha256(b"new"), Version(5, 1)))
    updates.put(private_namespace("_lifecycle", OWN), b"k", VersionedValue(b"old", Version(4, 0)))
    state = State()
    state.add_block(0, updates, ())
    simulator = Simulator(state, "tx", ["Org1MSP"])
    with pytest.raises(SimulationRefused) as caught:
        simulator.get_private("_lifecycle", OWN, "k")
    assert str(caught.value) == (
        "private data matching public hash version is not available. Public hash version = "
        "{BlockNum: 5, TxNum: 1}, Private data version = {BlockNum: 4, TxNum: 0}"
    )
    assert sets_of(simulator) == {}, "nothing was recorded"


def test_a_hash_can_be_read_without_the_value() -> None:
    simulator = a_simulator()
    assert simulator.get_private_hash("_lifecycle", OWN, "k") is None
    entry = sets_of(simulator)["_lifecycle"].collection_hashed_rwset[0]
    (read,) = kvrwset_pb2.HashedRWSet.FromString(entry.hashed_rwset).hashed_reads
    assert read.key_hash == sha256(b"k") and not read.HasField("version")
    assert not entry.pvt_rwset_hash


Act = Callable[[Simulator], Any]


def put(s: Simulator) -> None:
    s.put_state("cc", "k", b"v")


def put_metadata(s: Simulator) -> None:
    s.put_metadata("cc", "k", {})


def put_private(s: Simulator) -> None:
    s.put_private("_lifecycle", OWN, "k", b"v")


def page(s: Simulator) -> None:
    s.scan_page("cc", "", "", 3)


def query_private(s: Simulator) -> None:
    s.scan_private("_lifecycle", OWN, "", "")


EXCLUSIONS: list[tuple[Act, Act, str]] = [
    (put, page, "Paginated queries are supported only in a read-only transaction"),
    (put_private, page, "Paginated queries are supported only in a read-only transaction"),
    (put, query_private, "Queries on pvt data is supported only in a read-only transaction"),
    (
        page,
        put,
        "Transaction has already performed a paginated query. Writes are not allowed",
    ),
    (
        page,
        put_private,
        "Transaction has already performed a paginated query. Writes are not allowed",
    ),
    (
        query_private,
        put_metadata,
        "Transaction has already performed queries on pvt data. Writes are not allowed",
    ),
]


@pytest.mark.parametrize(("first", "second", "text"), EXCLUSIONS)
def test_some_queries_and_writes_exclude_each_other(first: Act, second: Act, text: str) -> None:
    simulator = a_simulator()
    first(simulator)
    with pytest.raises(SimulationRefused) as caught:
        second(simulator)
    assert str(caught.value) == f"txid [tx]: unsuppored transaction. {text}"
    other = a_simulator()
    first(other)
    assert simulator.results().public == other.results().public, "the refused call left nothing"


def test_an_unknown_collection_is_refused() -> None:
    simulator = a_simulator()
    with pytest.raises(SimulationRefused, match=r"collection \[nope\] not defined in the"):
        simulator.put_private("_lifecycle", "nope", "k", b"v")
    with pytest.raises(SimulationRefused, match=r"collection config not defined for chaincode"):
        simulator.put_private("undefined", "c", "k", b"v")


@pytest.mark.parametrize("key", ["\ud800", "a\udfff"])
def test_keys_that_are_not_unicode_are_refused(key: str) -> None:
    simulator = a_simulator()
    for act in (simulator.get_state, lambda ns, k: simulator.put_state(ns, k, b"")):
        with pytest.raises(SimulationRefused, match="valid UTF-8"):
            act("cc", key)
    assert sets_of(simulator) == {}


def test_rolling_back_leaves_no_trace() -> None:
    simulator = a_simulator(numbered(3))
    simulator.get_state("cc", "before")
    checkpoint = simulator.checkpoint()
    for _ in range(2):
        simulator.get_state("cc", "after")
        simulator.put_state("cc", "k", b"v")
        simulator.put_private("_lifecycle", OWN, "k", b"v")
        simulator.scan("cc", "", "")
        simulator.roll_back(checkpoint)
    page(simulator)
    found = public_of(simulator)
    assert [read.key for read in found.reads] == ["before"]
    assert not found.writes and len(found.range_queries_info) == 1
