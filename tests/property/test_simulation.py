"""Whatever a transaction does in simulation, validation agrees with it.

On the state that was simulated on, the reads are valid; a change of anything that was read makes
them a conflict, and a change of anything else does not. The summary of a long scan is compared with
one that is computed in the plainest way.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from tongban.node.core.memory_state import MemoryState
from tongban.node.core.range_summary import RangeSummary
from tongban.node.core.rwset_reader import parse_tx_rwset
from tongban.node.core.simulation.queries import Pager, Row
from tongban.node.core.simulation.simulator import Simulator
from tongban.node.core.state import UpdateBatch, Version, VersionedValue, private_namespace
from tongban.node.core.transaction import Code
from tongban.node.core.validation.mvcc import validate_reads
from tongban.protos import kvrwset_pb2
from tongban.protos.transaction_pb2 import TxValidationCode

VALID = TxValidationCode.VALID
READ = TxValidationCode.MVCC_READ_CONFLICT
PHANTOM = TxValidationCode.PHANTOM_READ_CONFLICT

KEYS = [f"k{number:02d}" for number in range(24)]
WIDE = [f"w{number:04d}" for number in range(160)]
NAMESPACES = ["cc", "other"]

keys = st.sampled_from(KEYS)
namespaces = st.sampled_from(NAMESPACES)


class State(MemoryState):
    def get_private(self, namespace: str, collection: str, key: bytes) -> VersionedValue | None:
        return self.get(private_namespace(namespace, collection), key)

    def scan_private(
        self, namespace: str, collection: str, start: bytes, end: bytes
    ) -> Iterator[tuple[bytes, VersionedValue]]:
        return self.scan(private_namespace(namespace, collection), start, end)


class Get(NamedTuple):
    namespace: str
    key: str


class Put(NamedTuple):
    namespace: str
    key: str


class Range(NamedTuple):
    namespace: str
    start: str
    end: str
    pages: int


steps = st.one_of(
    st.builds(Get, namespaces, keys),
    st.builds(Put, namespaces, keys),
    st.builds(
        Range,
        namespaces,
        st.sampled_from(["", "k", "k05", "k20", "w", "w0050"]),
        st.sampled_from(["", "k10", "l", "w0100", "x"]),
        st.integers(1, 3),
    ),
)


def a_state(present: Sequence[str], wide_count: int) -> State:
    updates = UpdateBatch()
    for number, key in enumerate([*present, *WIDE[:wide_count]]):
        for namespace in NAMESPACES:
            updates.put(namespace, key.encode(), VersionedValue(b"v", Version(1, number)))
    state = State()
    state.add_block(1, updates, ())
    return state


def simulate(state: State, wanted: Sequence[Get | Put | Range]) -> tuple[bytes, set[Row], set[Get]]:
    """The public set, the rows that range queries saw, and the keys that were read."""
    simulator = Simulator(state, "tx", [])
    seen: set[Row] = set()
    read: set[Get] = set()
    for step in wanted:
        match step:
            case Get(namespace, key):
                simulator.get_state(namespace, key)
                read.add(step)
            case Put(namespace, key):
                simulator.put_state(namespace, key, b"new")
            case Range(namespace, start, end, pages):
                scan = simulator.scan(namespace, start, end)
                pager = Pager(scan, paginated=False, total_limit=100_000)
                for _ in range(pages):
                    batch = pager.next_batch()
                    seen.update(Row(row.key, namespace.encode()) for row in batch.rows)
                    if not batch.has_more:
                        break
    return simulator.results().public, seen, read


def judge(public: bytes, state: State, updates: UpdateBatch | None = None) -> Code:
    return validate_reads(parse_tx_rwset(public), state, updates or UpdateBatch())


present_keys = st.lists(keys, unique=True).map(sorted)
wide_counts = st.sampled_from([0, 49, 51, 102, 160])


@given(present_keys, wide_counts, st.lists(steps, max_size=6))
def test_reads_are_valid_on_the_state_they_were_made_on(
    present: list[str], wide_count: int, wanted: list[Get | Put | Range]
) -> None:
    state = a_state(present, wide_count)
    public, _, _ = simulate(state, wanted)
    assert judge(public, state) == VALID
    again, _, _ = simulate(state, wanted)
    assert again == public, "the same simulation gives the same bytes"


@given(present_keys, wide_counts, st.lists(steps, min_size=1, max_size=6), st.data())
def test_a_change_of_what_was_read_is_a_conflict_and_any_other_is_not(
    present: list[str], wide_count: int, wanted: list[Get | Put | Range], data: st.DataObject
) -> None:
    state = a_state(present, wide_count)
    public, seen, read = simulate(state, wanted)
    namespace = data.draw(namespaces)
    key = data.draw(st.sampled_from(KEYS + WIDE[:wide_count]))
    updates = UpdateBatch()
    if data.draw(st.booleans()):
        updates.put(namespace, key.encode(), VersionedValue(b"x", Version(2, 0)))
    else:
        updates.delete(namespace, key.encode(), Version(2, 0))
    verdict = judge(public, state, updates)
    if Get(namespace, key) in read:
        assert verdict == READ
    elif Row(key, namespace.encode()) in seen:
        assert verdict == PHANTOM
    elif not may_be_in_a_range(wanted, namespace, key):
        assert verdict == VALID


def may_be_in_a_range(wanted: Sequence[Get | Put | Range], namespace: str, key: str) -> bool:
    """Whether a new row could appear among those that a scan has looked at."""
    return any(
        isinstance(step, Range)
        and step.namespace == namespace
        and step.start <= key
        and (not step.end or key < step.end)
        for step in wanted
    )


@given(st.integers(2, 6), st.integers(0, 400))
@settings(max_examples=60)
def test_the_summary_equals_one_computed_level_by_level(degree: int, count: int) -> None:
    rows = [(b"k%05d" % number, Version(number // 7, number % 7)) for number in range(count)]
    summary = RangeSummary(degree)
    for key, version in rows:
        summary.add(key, version)
    found = summary.finish()
    if count <= degree:
        assert found is None and len(summary.pending) == count
        return
    assert found is not None
    assert (found.max_level, list(found.hashes)) == plain_summary(degree, rows)


def plain_summary(degree: int, rows: list[tuple[bytes, Version]]) -> tuple[int, list[bytes]]:
    """Group by degree + 1 as long as a level holds more than degree. A last group of one hash is
    that hash, as Fabric passes it up unchanged."""
    leaves = []
    for start in range(0, len(rows), degree + 1):
        reads = kvrwset_pb2.QueryReads()
        for key, version in rows[start : start + degree + 1]:
            reads.kv_reads.add(
                key=key.decode(),
                version=kvrwset_pb2.Version(block_num=version.block_num, tx_num=version.tx_num),
            )
        leaves.append(hashlib.sha256(reads.SerializeToString()).digest())
    level, hashes = 1, leaves
    while len(hashes) > degree:
        groups = [hashes[start : start + degree + 1] for start in range(0, len(hashes), degree + 1)]
        hashes = [
            group[0] if len(group) == 1 else hashlib.sha256(b"".join(group)).digest()
            for group in groups
        ]
        level += 1
    return level, hashes
