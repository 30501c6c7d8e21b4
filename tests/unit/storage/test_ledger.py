"""One ledger in a directory: what is committed is found, and found again after opening anew."""

import random
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.ledger_blocks import NAMESPACE, commit, next_input, revalidate, tx_id
from tongban.node.core.commit_input import CommitInput, Expiry, StateKey
from tongban.node.core.errors import DirectoryInUse
from tongban.node.core.faults import CorruptLedgerError, NewerFormatError
from tongban.node.core.state import Version, VersionedValue, hashed_namespace
from tongban.node.storage.files import RealFiles
from tongban.node.storage.ledger import Backend, Ledger
from tongban.node.storage.snapshot import StateSnapshot
from tongban.protos.errors import MalformedMessage


def never(number: int, block: bytes, before: StateSnapshot) -> CommitInput:
    raise AssertionError(f"block {number} is in the state already")


def contents(ledger: Ledger) -> dict[bytes, bytes]:
    with ledger.snapshot() as snapshot:
        return {key: value.value for key, value in snapshot.scan(NAMESPACE, b"", b"")}


def test_a_new_directory_is_an_empty_ledger(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "c", never)
    assert (ledger.height, ledger.commit_hash, ledger.last_header_hash) == (0, b"", b"")
    assert ledger.config_envelope() is None
    with pytest.raises(KeyError):
        ledger.get_block(0)
    ledger.close()


def test_what_was_committed_is_there_after_opening_anew(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, never)
    commit(ledger)
    first = commit(ledger, {"a": b"1", "b": b"2"}, {"c": b"3"})
    second = commit(ledger, {"a": None, "b": b"22"})
    ledger.close()

    ledger = Ledger.open(tmp_path, never)
    assert ledger.height == 3
    assert ledger.commit_hash == second.commit_hash
    assert ledger.last_header_hash == second.header_hash
    assert ledger.get_block(1) == first.block
    assert ledger.find_block_num(first.header_hash) == 1
    assert ledger.find_block_num(bytes(32)) is None
    assert contents(ledger) == {b"b": b"22", b"c": b"3"}
    with ledger.snapshot() as snapshot:
        assert snapshot.get(NAMESPACE, b"c") == VersionedValue(b"3", Version(1, 1))
        assert snapshot.height == 3
    assert ledger.find_transaction(tx_id(1, 1)) == (1, 1, 0)
    assert ledger.find_transaction("0" * 64) is None
    ledger.close()


def test_a_snapshot_does_not_see_later_blocks(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, never)
    commit(ledger, {"a": b"1"})
    with ledger.snapshot() as before:
        commit(ledger, {"a": b"2", "b": b"3"})
        assert before.height == 1
        assert before.get(NAMESPACE, b"a") == VersionedValue(b"1", Version(0, 0))
        assert [key for key, _ in before.scan(NAMESPACE, b"", b"")] == [b"a"]
        assert not before.has_tx(tx_id(1, 0))
    assert ledger.has_tx(tx_id(1, 0))
    ledger.close()


def test_the_history_is_newest_first_and_holds_deletes(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, never)
    commit(ledger, {"a": b"1", "ab": b"other"}, {"a": b"2"})
    for _ in range(258):
        commit(ledger)
    commit(ledger, {"a": None})
    commit(ledger, {"a": b"3"})
    found = list(ledger.history(NAMESPACE, b"a"))
    assert [(m.value, m.is_delete) for m in found] == [
        (b"3", False),
        (b"", True),
        (b"2", False),
        (b"1", False),
    ]
    assert [m.timestamp.seconds for m in found] == [1260, 1259, 1000, 1000]
    assert found[-1].tx_id == tx_id(0, 0)
    assert list(ledger.history(NAMESPACE, b"never")) == []
    ledger.close()


def test_pages_of_a_range_join_without_gap_or_overlap(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, never)
    commit(ledger, {f"k{n}": b"v" for n in range(7)})
    with ledger.snapshot() as snapshot:
        seen = []
        start = b"k1"
        while start:
            rows, start = snapshot.scan_page(NAMESPACE, start, b"k6", 2)
            seen.append([key for key, _ in rows])
    assert seen == [[b"k1", b"k2"], [b"k3", b"k4"], [b"k5"]]
    ledger.close()


def test_namespaces_do_not_see_each_other(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, never)
    given = next_input(ledger, [{"a": b"1"}])
    for name in ("c", "ccc", hashed_namespace("cc", "x")):
        given.updates.put(name, b"a", VersionedValue(b"other", Version(0, 0), b"meta"))
    ledger.commit(given)
    with ledger.snapshot() as snapshot:
        assert list(snapshot.scan(NAMESPACE, b"", b"")) == [
            (b"a", VersionedValue(b"1", Version(0, 0)))
        ]
        assert snapshot.get("ccc", b"a") == VersionedValue(b"other", Version(0, 0), b"meta")
    ledger.close()


def test_the_first_transaction_with_an_id_answers(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, never)
    first = next_input(ledger, [{"a": b"1"}, {"b": b"1"}])
    ledger.commit(replace(first, tx_ids=["x", "x"], flags=bytes([0, 9])))
    second = next_input(ledger, [{"a": b"1"}, {"b": b"2"}])
    ledger.commit(replace(second, tx_ids=["x", None], flags=bytes([5, 3])))
    assert ledger.find_transaction("x") == (0, 0, 0)
    ledger.close()


def test_the_configuration_is_state_and_its_block_is_remembered(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, never)
    ledger.commit(replace(next_input(ledger, []), config=b"config 0"))
    commit(ledger, {"a": b"1"})
    ledger.commit(replace(next_input(ledger, []), config=b"config 2"))
    commit(ledger, {"a": b"2"})
    ledger.close()
    ledger = Ledger.open(tmp_path, never)
    assert ledger.config_envelope() == b"config 2"
    assert ledger.config_block_num == 2
    with ledger.snapshot() as snapshot:
        found = snapshot.get("", b"CHANNEL_CONFIG_ENV_BYTES")
    assert found == VersionedValue(b"config 2", Version(2, 0))
    ledger.close()


def test_a_scheduled_key_expires_unless_it_was_written_again(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, never)
    hashed = hashed_namespace("cc", "coll")
    given = next_input(ledger, [{}])
    for key in (b"h1", b"h2"):
        given.updates.put(hashed, key, VersionedValue(b"v", Version(0, 0)))
    ledger.commit(replace(given, expiries=[Expiry(2, hashed, b"h1"), Expiry(2, hashed, b"h2")]))
    given = next_input(ledger, [{}])
    given.updates.put(hashed, b"h2", VersionedValue(b"w", Version(1, 0)))
    ledger.commit(given)
    with ledger.snapshot() as snapshot:
        assert snapshot.find_expired(1) == []
        assert snapshot.find_expired(2) == [StateKey(hashed, b"h1")]
    ledger.commit(replace(next_input(ledger, []), expired=[StateKey(hashed, b"h1")]))
    with ledger.snapshot() as snapshot:
        assert [key for key, _ in snapshot.scan(hashed, b"", b"")] == [b"h2"]
        assert snapshot.find_expired(2) == []
    ledger.close()


def test_without_its_state_a_ledger_is_rebuilt_from_the_blocks(tmp_path: Path) -> None:
    backend = Backend(RealFiles(), segment_bytes_max=600)
    ledger = Ledger.open(tmp_path, never, backend)
    for number in range(8):
        last = commit(ledger, {"a": b"%d" % number, f"k{number}": b"v"})
    before = contents(ledger)
    ledger.close()
    assert len(list((tmp_path / "blocks").iterdir())) > 2
    shutil.rmtree(tmp_path / "state")

    ledger = Ledger.open(tmp_path, revalidate, backend)
    assert (ledger.height, ledger.commit_hash) == (8, last.commit_hash)
    assert contents(ledger) == before
    assert len(list(ledger.history(NAMESPACE, b"a"))) == 8
    commit(ledger, {"a": b"more"})
    ledger.close()


def test_blocks_that_validate_otherwise_than_they_did_are_a_fault(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, never)
    commit(ledger, {"a": b"1"})
    commit(ledger, {"a": b"2"})
    ledger.close()
    shutil.rmtree(tmp_path / "state")

    def other(number: int, block: bytes, before: StateSnapshot) -> CommitInput:
        given = revalidate(number, block, before)
        return replace(given, flags=b"\x0b") if number == 1 else given

    with pytest.raises(CorruptLedgerError, match=r"block 1.*flags 0b, but 00 were committed"):
        Ledger.open(tmp_path, other)
    ledger = Ledger.open(tmp_path, revalidate)
    assert ledger.height == 2
    ledger.close()


def test_a_committed_block_that_is_refused_now_is_a_fault(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, never)
    commit(ledger, {"a": b"1"})
    ledger.close()
    shutil.rmtree(tmp_path / "state")

    def refuse(number: int, block: bytes, before: StateSnapshot) -> CommitInput:
        raise MalformedMessage("block", "not one")

    with pytest.raises(CorruptLedgerError, match=r"block 0.*is refused: block: not one.*release"):
        Ledger.open(tmp_path, refuse)


def test_many_threads_read_while_one_commits(tmp_path: Path) -> None:
    """More segments than are held open, so that readers keep what others drop."""
    backend = Backend(RealFiles(), segment_bytes_max=1)
    ledger = Ledger.open(tmp_path, never, backend)
    blocks = [commit(ledger, {"a": b"%d" % number}).block for number in range(80)]
    stop = threading.Event()

    def read(seed: int) -> int:
        chance = random.Random(seed)
        count = 0
        while not stop.is_set():
            number = chance.randrange(80)
            assert ledger.get_block(number) == blocks[number]
            with ledger.snapshot() as snapshot:
                height = snapshot.height
                found = snapshot.get(NAMESPACE, b"a")
                assert found is not None
                assert found.value == b"%d" % (height - 1)
                assert next(snapshot.history(NAMESPACE, b"a")).value == found.value
            count += 1
        return count

    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read, seed) for seed in range(4)]
        for number in range(80, 110):
            commit(ledger, {"a": b"%d" % number})
        stop.set()
        assert all(reader.result(30) > 0 for reader in readers)
    ledger.close()


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, never)
    commit(ledger, {"a": b"1"})
    ledger.close()
    (tmp_path / "FORMAT").write_text("tongban ledger 2\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(NewerFormatError, match=r"format 2, this release reads up to 1"):
        Ledger.open(tmp_path, never)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_directory_that_is_no_ledger_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(CorruptLedgerError, match=r"missing, but the directory holds photo.jpg"):
        Ledger.open(tmp_path, never)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_two_processes_cannot_have_the_same_ledger(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, never)
    with pytest.raises(DirectoryInUse):
        Ledger.open(tmp_path, never)
    commit(ledger, {"a": b"1"})
    ledger.close()


def test_only_its_owner_can_look_into_the_state(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, never)
    for number in range(8):
        commit(ledger, {"a": bytes(300_000) + b"%d" % number})
    ledger.close()
    state = tmp_path / "state"
    assert state.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in state.iterdir()} == {0o600}
