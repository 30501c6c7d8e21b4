"""Private values follow their hashed keys: current ones, those of each block, expiry, purge."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.ledger_blocks import next_input
from tongban.node.core.commit_input import CommitInput, Expiry, PrivateSet, PurgedKey, StateKey
from tongban.node.core.state import Version, VersionedValue, hashed_namespace
from tongban.node.storage.ledger import Ledger
from tongban.node.storage.snapshot import StateSnapshot
from tongban.protos import kvrwset_pb2
from tongban.protos.digest import sha256

HASHED = hashed_namespace("cc", "coll")


def never(number: int, block: bytes, before: StateSnapshot) -> CommitInput:
    raise AssertionError("nothing to recover")


def a_set(
    tx_num: int, writes: Mapping[str, bytes], expires: int | None = None, metadata: str = ""
) -> PrivateSet:
    message = kvrwset_pb2.KVRWSet(
        writes=[
            kvrwset_pb2.KVWrite(key=key, value=value, is_delete=not value)
            for key, value in writes.items()
        ]
    )
    if metadata:
        message.metadata_writes.add(key=metadata)
    return PrivateSet(tx_num, "cc", "coll", message.SerializeToString(), expires)


def commit(
    ledger: Ledger,
    *sets: PrivateSet,
    hashed: Mapping[str, int | None],
    purges: tuple[PurgedKey, ...] = (),
    expired: tuple[str, ...] = (),
) -> None:
    """``hashed`` says which transaction of this block wrote each key last; None if it is gone."""
    given = next_input(ledger, [{}, {}, {}])
    for key, tx_num in hashed.items():
        if tx_num is None:
            given.updates.delete(HASHED, sha256(key.encode()), Version(given.number, 0))
        else:
            value = VersionedValue(sha256(b"v"), Version(given.number, tx_num))
            given.updates.put(HASHED, sha256(key.encode()), value)
    keys = [StateKey(HASHED, sha256(key.encode())) for key in expired]
    expiries = [
        Expiry(added.expires_at_block, HASHED, sha256(key.encode()))
        for added in sets
        if added.expires_at_block
        for key in hashed
    ]
    ledger.commit(replace(given, private_sets=sets, purges=purges, expired=keys, expiries=expiries))


def values(ledger: Ledger) -> dict[bytes, tuple[bytes, Version]]:
    with ledger.snapshot() as snapshot:
        found = dict(snapshot.scan_private("cc", "coll", b"", b""))
        for key, value in found.items():
            assert snapshot.get_private("cc", "coll", key) == value
        return {key: (value.value, value.version) for key, value in found.items()}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "ledger", never)


def on_disk(ledger: Ledger) -> bytes:
    return b"".join(path.read_bytes() for path in (ledger.directory / "state").iterdir())


def test_the_last_valid_write_of_a_block_is_current(ledger: Ledger) -> None:
    commit(
        ledger,
        a_set(0, {"a": b"first", "b": b"kept"}),
        a_set(1, {"a": b"second"}),
        a_set(2, {"a": b"of an invalid transaction"}),
        hashed={"a": 1, "b": 0},
    )
    assert values(ledger) == {
        b"a": (b"second", Version(0, 1)),
        b"b": (b"kept", Version(0, 0)),
    }
    assert [kept.tx_num for kept in ledger.private_sets(0)] == [0, 1, 2]
    assert ledger.private_sets(0)[1] == a_set(1, {"a": b"second"})
    ledger.close()


def test_a_deleted_hash_has_no_value_even_if_nobody_sent_the_private_delete(
    ledger: Ledger,
) -> None:
    commit(ledger, a_set(0, {"a": b"1", "b": b"2"}), hashed={"a": 0, "b": 0})
    commit(ledger, hashed={"a": None})
    assert values(ledger) == {b"b": (b"2", Version(0, 0))}
    commit(ledger, a_set(0, {"b": b"written, then deleted in one block"}), hashed={"b": None})
    assert values(ledger) == {}
    ledger.close()


def test_writing_only_metadata_moves_the_version_of_a_value(ledger: Ledger) -> None:
    commit(ledger, a_set(0, {"a": b"1"}), hashed={"a": 0})
    commit(ledger, a_set(1, {}, metadata="a"), a_set(1, {}, metadata="unknown"), hashed={"a": 1})
    assert values(ledger) == {b"a": (b"1", Version(1, 1))}
    ledger.close()


def test_values_and_sets_are_forgotten_when_they_expire(ledger: Ledger) -> None:
    commit(ledger, a_set(0, {"a": b"1"}, expires=2), a_set(1, {"b": b"1"}), hashed={"a": 0})
    commit(ledger, hashed={})
    assert values(ledger) == {b"a": (b"1", Version(0, 0))}
    commit(ledger, hashed={}, expired=("a",))
    assert values(ledger) == {}
    assert [kept.tx_num for kept in ledger.private_sets(0)] == [1]
    with ledger.snapshot() as snapshot:
        assert snapshot.get(HASHED, sha256(b"a")) is None
    ledger.close()


def test_a_purge_leaves_no_trace_of_the_value_on_disk(ledger: Ledger) -> None:
    commit(ledger, a_set(0, {"a": b"SECRET-1", "c": b"SECRET-1c"}), hashed={"a": 0, "c": 0})
    commit(ledger, a_set(0, {"a": b"SECRET-2", "b": b"public"}), hashed={"a": 0, "b": 0})
    assert on_disk(ledger).count(b"SECRET") > 0
    purges = (
        PurgedKey(1, "cc", "coll", sha256(b"a")),
        PurgedKey(1, "cc", "coll", sha256(b"c")),
    )
    commit(ledger, a_set(0, {"a": b"SECRET-3"}), hashed={"a": None, "c": None}, purges=purges)
    assert values(ledger) == {b"b": (b"public", Version(1, 0))}
    assert ledger.private_sets(1) == [a_set(0, {"b": b"public"})]
    assert b"SECRET" not in on_disk(ledger)
    ledger.close()


def test_a_value_written_after_the_purge_in_the_same_block_stays(ledger: Ledger) -> None:
    commit(ledger, a_set(0, {"a": b"old"}), hashed={"a": 0})
    purge = PurgedKey(0, "cc", "coll", sha256(b"a"))
    commit(ledger, a_set(1, {"a": b"new"}), hashed={"a": 1}, purges=(purge,))
    assert values(ledger) == {b"a": (b"new", Version(1, 1))}
    assert ledger.private_sets(0) == [a_set(0, {})]
    assert ledger.private_sets(1) == [a_set(1, {"a": b"new"})]
    ledger.close()
