"""Validation of random blocks against an oracle that knows nothing of batches, caches or merges.

The oracle keeps the whole state as one dictionary and changes it transaction by transaction. What a
transaction of the block may see of it is written out again from Fabric's rules: endorsement by the
state before the block, reads by the state now and by a list of keys touched in the block.
"""

from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.builders import (
    BOTH,
    EITHER,
    TestChannel,
    TxBuilder,
    a_block,
    a_channel,
    a_collection,
    a_tx,
    code_names,
    hashed,
    key_metadata,
    organizations,
)
from tongban.node.core.state import Version, VersionedValue
from tongban.protos.digest import sha256

KEYS = ["a", "b", "c"]
POLICIES = {"none": "", "either": EITHER, "both": BOTH}
DEFAULT = "either"
LIFE = 1

Place = tuple[str, str]
"""Collection, empty for public, and plain key."""


@dataclass
class Entry:
    value: str
    version: tuple[int, int]
    policy: str


@dataclass
class Op:
    kind: str
    place: Place
    value: str = ""
    """Of a write; the policy's name of a policy; what was read of a read or scan."""
    seen: object = None


@dataclass
class Plan:
    """A transaction in the oracle's words."""

    ops: list[Op] = field(default_factory=list)
    endorsers: int = 1


places = st.tuples(st.sampled_from(["", "", "short"]), st.sampled_from(KEYS))
versions = st.sampled_from(["now"] * 6 + ["stale", "absent"])
operations = st.one_of(
    st.builds(Op, st.just("read"), places, versions),
    st.builds(Op, st.just("put"), places, st.sampled_from(["x", "y"])),
    st.builds(Op, st.just("delete"), places),
    st.builds(Op, st.just("policy"), places, st.sampled_from(sorted(POLICIES))),
    st.builds(Op, st.just("scan"), st.tuples(st.just(""), st.sampled_from(KEYS)), versions),
)
plans = st.builds(
    Plan,
    st.lists(operations, min_size=1, max_size=4, unique_by=lambda op: (op.kind, op.place)),
    st.sampled_from([2, 2, 2, 2, 1, 1, 0]),
)
FIRST = Plan(
    [
        op
        for place, policy in [
            (("", "a"), "both"),
            (("", "b"), "either"),
            (("short", "a"), "either"),
            (("short", "b"), "none"),
        ]
        for op in (Op("put", place, "x"), Op("policy", place, policy))
    ],
    endorsers=2,
)
"""Every chain begins with these keys, so that there is something to meet."""

chains = st.lists(st.lists(plans, min_size=2, max_size=5), min_size=2, max_size=4)


class Oracle:
    """One transaction after the other, nothing else."""

    def __init__(self, height: int) -> None:
        self.state: dict[Place, Entry] = {}
        self.height = height

    def snapshot(self, plans: list[Plan]) -> None:
        """Fix what the transactions of a block read, as they would have been simulated."""
        for plan in plans:
            for op in plan.ops:
                if op.kind == "read":
                    op.seen = self._seen(op.place, op.value)
                elif op.kind == "scan":
                    rows = [(key, entry.version) for key, entry in self._rows(op.place[1])]
                    op.seen = rows if op.value == "now" else rows[1:] if rows else [("a", (0, 0))]

    def _seen(self, place: Place, how: str) -> tuple[int, int] | None:
        entry = self.state.get(place)
        if how == "absent" or (how == "now" and entry is None):
            return None
        if how == "stale" or entry is None:
            return (0, 7)
        return entry.version

    def _rows(self, start: str) -> list[tuple[str, Entry]]:
        return sorted(
            (
                (key, entry)
                for (coll, key), entry in self.state.items()
                if not coll and key >= start
            ),
            key=lambda row: row[0],
        )

    def run(self, plans: list[Plan]) -> list[str]:
        endorsed = self._endorse(plans)
        touched: set[Place] = set()
        codes = []
        for tx_num, (plan, is_endorsed) in enumerate(zip(plans, endorsed, strict=True)):
            code = "ENDORSEMENT_POLICY_FAILURE" if not is_endorsed else self._reads(plan, touched)
            codes.append(code)
            if code == "VALID":
                self._apply(plan, (self.height, tx_num), touched)
        self._expire(touched)
        self.height += 1
        return codes

    def _endorse(self, plans: list[Plan]) -> list[bool]:
        changed: set[Place] = set()
        results = []
        for plan in plans:
            written = [op.place for op in plan.ops if op.kind in ("put", "delete", "policy")]
            needed = [self._policy(place) for place in written] or [DEFAULT]
            good = all(plan.endorsers >= (2 if policy == "both" else 1) for policy in needed)
            good = good and not changed & set(written)
            if good:
                changed |= {op.place for op in plan.ops if op.kind == "policy"}
            results.append(good)
        return results

    def _policy(self, place: Place) -> str:
        entry = self.state.get(place)
        return entry.policy if entry is not None and entry.policy != "none" else DEFAULT

    def _reads(self, plan: Plan, touched: set[Place]) -> str:
        def current(op: Op) -> bool:
            entry = self.state.get(op.place)
            version = None if entry is None else entry.version
            return op.place not in touched and version == op.seen

        public = [op for op in plan.ops if op.kind == "read" and not op.place[0]]
        if not all(current(op) for op in public):
            return "MVCC_READ_CONFLICT"
        for op in plan.ops:
            rows = [(key, entry.version) for key, entry in self._rows(op.place[1])]
            if op.kind == "scan" and rows != op.seen:
                return "PHANTOM_READ_CONFLICT"
        private = [op for op in plan.ops if op.kind == "read" and op.place[0]]
        return "VALID" if all(current(op) for op in private) else "MVCC_READ_CONFLICT"

    def _apply(self, plan: Plan, version: tuple[int, int], touched: set[Place]) -> None:
        puts = {op.place: op.value for op in plan.ops if op.kind == "put"}
        deletes = {op.place for op in plan.ops if op.kind == "delete"}
        policies = {op.place: op.value for op in plan.ops if op.kind == "policy"}
        for place in set(puts) | deletes | set(policies):
            old = self.state.get(place)
            if place in deletes:
                self.state.pop(place, None)
            elif place in puts:
                kept = old.policy if old is not None else "none"
                self.state[place] = Entry(puts[place], version, policies.get(place, kept))
            elif old is not None:
                self.state[place] = Entry(old.value, version, policies[place])
            else:
                continue
            touched.add(place)

    def _expire(self, touched: set[Place]) -> None:
        for place, entry in list(self.state.items()):
            due = entry.version[0] + LIFE + 1
            if place[0] and due == self.height and place not in touched:
                del self.state[place]


def build(channel: TestChannel, plan: Plan) -> TxBuilder:
    org1, org2, _ = organizations()
    peers = (org1.peers[0], org2.peers[0])[: plan.endorsers]
    tx = a_tx(channel, endorsers=peers)
    for op in plan.ops:
        collection, key = op.place
        if op.kind == "read":
            version = None if op.seen is None else Version(*op.seen)  # type: ignore[misc]
            tx = (
                tx.reading_hash(collection, key, version)
                if collection
                else tx.reading(key, version)
            )
        elif op.kind == "scan":
            rows = [(name, Version(*seen)) for name, seen in op.seen]  # type: ignore[attr-defined]
            tx.scanning(key, "", rows)
        elif op.kind == "policy":
            policy = POLICIES[op.value]
            if collection:
                tx.with_private_policy(collection, key, policy)
            else:
                tx.with_policy(key, policy)
        else:
            value = op.value.encode() if op.kind == "put" else None
            if collection:
                tx.writing_private(collection, key, value)
            else:
                tx.writing(key, value)
    return tx


def expected_values(oracle: Oracle) -> dict[tuple[str, bytes], VersionedValue]:
    found = {}
    for (collection, key), entry in oracle.state.items():
        raw, value = key.encode(), entry.value.encode()
        place = (hashed(collection), sha256(raw)) if collection else ("cc", raw)
        stored = sha256(value) if collection else value
        metadata = key_metadata(POLICIES[entry.policy])
        found[place] = VersionedValue(stored, Version(*entry.version), metadata)
    return found


def fresh_channel() -> TestChannel:
    channel = a_channel()
    channel.define("cc", EITHER, [a_collection("short", block_to_live=LIFE)])
    return channel


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(chains)
def test_a_chain_of_blocks_ends_as_the_oracle_says(chain: list[list[Plan]]) -> None:
    channel = fresh_channel()
    oracle = Oracle(channel.height)
    for block in [[FIRST], *chain]:
        oracle.snapshot(block)
        built = a_block(channel).with_tx(*[build(channel, plan) for plan in block])
        assert code_names(channel.commit(built)) == oracle.run(block)
        expected = expected_values(oracle)
        for namespace in ("cc", hashed("short")):
            stored = {
                (namespace, key): value for key, value in channel.state.scan(namespace, b"", b"")
            }
            assert stored == {place: v for place, v in expected.items() if place[0] == namespace}
