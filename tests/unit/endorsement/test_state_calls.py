"""What a running contract may ask for, and how it is refused."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.endorsing import MemorySnapshot
from tongban.node.core.lifecycle.definitions import ChaincodeDefinition, ChaincodeParameters
from tongban.node.core.lifecycle.state_layout import NAMESPACES, Record, write_record
from tongban.node.core.memory_state import MemoryState
from tongban.node.core.simulation.simulator import Simulator
from tongban.node.core.state import (
    UpdateBatch,
    Version,
    VersionedValue,
    hashed_namespace,
    private_namespace,
)
from tongban.node.runtime.contract_host import (
    Response,
    StateCallRefused,
    StateRow,
    StateWrite,
    Timestamp,
    WriteKind,
)
from tongban.node.runtime.state_calls import CallScope, NamespaceCalls
from tongban.protos import collection_pb2, kvrwset_pb2, queryresult_pb2, rwset_pb2
from tongban.protos.digest import sha256

V = Version(2, 0)


class _Writer:
    def __init__(self, updates: UpdateBatch) -> None:
        self._updates = updates

    def get(self, key: str) -> bytes | None:
        return None

    def put(self, key: str, value: bytes) -> None:
        self._updates.put("_lifecycle", key.encode(), VersionedValue(value, V))

    def delete(self, key: str) -> None:
        raise AssertionError("nothing is there to delete")


def a_record() -> Record:
    package = collection_pb2.CollectionConfigPackage()
    for name, read, write in [("open", False, False), ("read", True, False), ("both", True, True)]:
        static = package.config.add().static_collection_config
        static.name, static.member_only_read, static.member_only_write = name, read, write
    parameters = ChaincodeParameters("1.0", "escc", False, "vscc", b"", package.SerializeToString())
    return ChaincodeDefinition(1, parameters).to_record()


class Bench:
    """Calls in namespace ``cc``, with a few values behind them."""

    def __init__(self, **changes: Any) -> None:
        updates = UpdateBatch()
        write_record(NAMESPACES, "cc", a_record(), _Writer(updates))
        updates.put("cc", b"a", VersionedValue(b"1", V))
        for number in range(230):
            updates.put("cc", b"r%03d" % number, VersionedValue(b"v", V))
        for collection in ("open", "both"):
            hashed = hashed_namespace("cc", collection)
            updates.put(hashed, sha256(b"k"), VersionedValue(sha256(b"secret"), V))
            private = private_namespace("cc", collection)
            updates.put(private, b"k", VersionedValue(b"secret", V))
        state = MemoryState()
        state.add_block(2, updates, ())
        self.snapshot = MemorySnapshot(state, 3)
        self.simulator = Simulator(self.snapshot, "tx", ["Org1MSP"])
        fields: dict[str, Any] = {
            "namespace": "cc",
            "channel_id": "mychannel",
            "tx_id": "tx",
            "is_init": False,
            "capabilities": frozenset({"V2_5"}),
            "is_member": lambda policy: False,
            "query_limit": 1_000,
        }
        scope = CallScope(**{**fields, **changes})
        self.calls = NamespaceCalls(self.simulator, self.snapshot, scope, self._invoke)

    async def _invoke(self, name: str, channel: str, args: Any) -> Response:
        return Response(200, name, channel.encode())

    def lifecycle_reads(self) -> int:
        public = rwset_pb2.TxReadWriteSet.FromString(self.simulator.results().public)
        for entry in public.ns_rwset:
            if entry.namespace == "_lifecycle":
                return len(kvrwset_pb2.KVRWSet.FromString(entry.rwset).reads)
        return 0


def put(key: str, collection: str = "") -> list[StateWrite]:
    return [StateWrite(WriteKind.PUT, key, b"v", collection)]


def test_values_are_read_one_by_one_and_together() -> None:
    calls = Bench().calls
    assert calls.get_state("a") == b"1"
    assert calls.get_states(["a", "none"]) == [b"1", None]
    assert calls.get_metadata("a") == {}
    assert calls.get_state("k", "open") == b"secret"
    assert calls.get_states(["k", "none"], "open") == [b"secret", None]
    assert calls.get_private_data_hash("k", "both") == sha256(b"secret")
    assert calls.get_private_data_hash("none", "both") is None


def test_the_first_private_call_reads_the_definition() -> None:
    bench = Bench()
    bench.calls.get_state("a")
    assert Bench().lifecycle_reads() == 0
    bench.calls.apply_writes(put("k", "open"))
    bench.calls.apply_writes(put("l", "open"))
    assert bench.lifecycle_reads() == 5, "metadata and four fields"


def test_pages_hold_a_hundred_rows_and_go_on() -> None:
    calls = Bench().calls
    sizes, page = [], calls.range("r", "s")
    while True:
        sizes.append(len(page.rows))
        if not page.has_more:
            break
        page = calls.next_state_page(page.query_id)
    assert sizes == [100, 100, 30]
    assert page.rows[-1] == StateRow("cc", "r229", b"v")
    with pytest.raises(
        StateCallRefused, match="QUERY_STATE_NEXT failed: transaction ID: tx: query"
    ):
        calls.next_state_page(page.query_id)


def test_a_closed_query_is_forgotten_and_closing_twice_is_nothing() -> None:
    calls = Bench().calls
    page = calls.range("r", "s")
    calls.close_query(page.query_id)
    calls.close_query(page.query_id)
    with pytest.raises(StateCallRefused, match="query iterator not found"):
        calls.next_state_page(page.query_id)


def test_a_paginated_query_tells_count_and_bookmark() -> None:
    calls = Bench().calls
    page = calls.range("r", "s", 150)
    assert (len(page.rows), page.fetched_count, page.bookmark) == (150, 150, "r150")
    page = calls.range("r", "s", 150, page.bookmark)
    assert (len(page.rows), page.fetched_count, page.bookmark) == (80, 80, "")
    assert not page.has_more
    page = calls.range("r", "s", 0, "r220")
    assert (len(page.rows), page.bookmark) == (10, "")
    page = calls.range("r", "s", -1)
    assert (len(page.rows), page.bookmark) == (230, "")


def test_the_query_limit_bounds_every_query() -> None:
    calls = Bench(query_limit=120).calls
    first = calls.range("r", "s")
    second = calls.next_state_page(first.query_id)
    assert (len(first.rows), len(second.rows), second.has_more) == (100, 20, False)


def test_private_ranges_are_read_from_this_peers_values() -> None:
    page = Bench().calls.range("", "", collection="open")
    assert page.rows == (StateRow("cc", "k", b"secret"),)


def test_a_history_comes_newest_first_in_pages() -> None:
    bench = Bench()
    changes = [
        queryresult_pb2.KeyModification(tx_id=f"t{n}", value=b"v", is_delete=n == 0)
        for n in reversed(range(101))
    ]
    changes[0].timestamp.seconds = 7
    bench.snapshot.past["cc", b"a"] = changes
    page = bench.calls.history("a")
    assert (len(page.rows), page.has_more) == (100, True)
    assert page.rows[0].tx_id == "t100" and page.rows[0].timestamp == Timestamp(7, 0)
    page = bench.calls.next_history_page(page.query_id)
    assert [row.is_delete for row in page.rows] == [True] and not page.has_more


def test_another_chaincode_is_invoked_by_name_and_channel() -> None:
    response = asyncio.run(Bench().calls.invoke_chaincode("other", "side", [b"f"]))
    assert response == Response(200, "other", b"side")


Act = Callable[[NamespaceCalls], Any]

NO_WRITE = "tx creator does not have write access permission on privatedata in chaincodeName:cc "
NO_READ = "tx creator does not have read access permission on privatedata in chaincodeName:cc "

REFUSALS: list[tuple[dict[str, Any], Act, str]] = [
    ({}, lambda c: c.get_state("k", "both"), f"GET_STATE: {NO_READ}collectionName: both"),
    ({}, lambda c: c.get_state("k", "read"), f"GET_STATE: {NO_READ}collectionName: read"),
    (
        {},
        lambda c: c.apply_writes(put("k", "both")),
        f"PUT_STATE: {NO_WRITE}collectionName: both",
    ),
    (
        {},
        lambda c: c.get_state("k", "nope"),
        "GET_STATE: collection mychannel/cc/nope could not be found",
    ),
    (
        {},
        lambda c: c.get_private_data_hash("k", "nope"),
        "GET_PRIVATE_DATA_HASH: collection [nope] not defined in the collection config for "
        "chaincode [cc]",
    ),
    (
        {"is_init": True},
        lambda c: c.get_private_data_hash("k", "open"),
        "GET_PRIVATE_DATA_HASH: private data APIs are not allowed in chaincode Init()",
    ),
    (
        {"is_init": True},
        lambda c: c.apply_writes(put("k", "open")),
        "PUT_STATE: private data APIs are not allowed in chaincode Init()",
    ),
    (
        {"capabilities": frozenset({"V1_2"})},
        lambda c: c.get_metadata("k"),
        "GET_STATE_METADATA: key level endorsement is not enabled, channel application capability "
        "of V1_3 or later is required",
    ),
    (
        {"capabilities": frozenset({"V2_0"})},
        lambda c: c.apply_writes([StateWrite(WriteKind.PURGE, "k", b"", "open")]),
        "PURGE_PRIVATE_DATA: purge private data is not enabled, channel application capability of "
        "V2_5 or later is required",
    ),
    (
        {},
        lambda c: c.apply_writes([StateWrite(WriteKind.PURGE, "k")]),
        "PURGE_PRIVATE_DATA: only applicable for private data",
    ),
    ({}, lambda c: c.query("{}"), "GET_QUERY_RESULT: ExecuteQuery not supported for leveldb"),
    (
        {},
        lambda c: c.query("{}", 5),
        "GET_QUERY_RESULT: ExecuteQueryWithMetadata not supported for leveldb",
    ),
    ({}, lambda c: c.get_state("\ud800"), "GET_STATE: keys and names must be valid UTF-8"),
    ({}, lambda c: c.history("\ud800"), "GET_HISTORY_FOR_KEY: keys and names must be valid UTF-8"),
    (
        {},
        lambda c: c.apply_writes([StateWrite(WriteKind.PUT_METADATA, "k", b"v", "", "\ud800")]),
        "PUT_STATE_METADATA: keys and names must be valid UTF-8",
    ),
]


@pytest.mark.parametrize(("changes", "act", "text"), REFUSALS, ids=[row[2] for row in REFUSALS])
def test_a_refusal_has_the_words_of_fabrics_peer(
    changes: dict[str, Any], act: Act, text: str
) -> None:
    bench = Bench(**changes)
    with pytest.raises(StateCallRefused) as caught:
        act(bench.calls)
    kind, _, cause = text.partition(": ")
    assert str(caught.value) == f"{kind} failed: transaction ID: tx: {cause}"
    results = bench.simulator.results()
    public = rwset_pb2.TxReadWriteSet.FromString(results.public)
    assert results.private is None
    assert not any(kvrwset_pb2.KVRWSet.FromString(e.rwset).writes for e in public.ns_rwset)


def test_members_may_read_and_write_what_only_members_may() -> None:
    bench = Bench(is_member=lambda policy: True)
    assert bench.calls.get_state("k", "both") == b"secret"
    bench.calls.apply_writes(put("k", "both"))
    assert bench.simulator.results().private is not None


def test_anyone_may_write_where_only_reading_is_for_members() -> None:
    bench = Bench()
    bench.calls.apply_writes(put("k", "read"))
    assert bench.simulator.results().private is not None
