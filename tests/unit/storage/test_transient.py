"""Private sets wait for their transaction, through a restart, and not for ever."""

from pathlib import Path

from tongban.node.storage.transient import KEPT_BLOCKS_MAX, TransientSet, TransientStore


def test_sets_are_found_by_transaction_after_opening_anew(tmp_path: Path) -> None:
    store = TransientStore.open(tmp_path / "t")
    store.put("tx1", 7, b"one")
    store.put("tx1", 7, b"one")
    store.put("tx1", 8, b"two")
    store.put("tx12", 9, b"other")
    store.close()
    store = TransientStore.open(tmp_path / "t")
    assert sorted(store.find("tx1")) == [TransientSet(7, b"one"), TransientSet(8, b"two")]
    assert store.find("tx") == []
    store.close()


def test_a_purge_forgets_these_transactions_only(tmp_path: Path) -> None:
    store = TransientStore.open(tmp_path)
    for name in ("a", "b", "c"):
        store.put(name, 1, name.encode())
    store.purge(["a", "c", "unknown"])
    assert [bool(store.find(name)) for name in ("a", "b", "c")] == [False, True, False]
    store.purge_below(2)
    assert store.find("b") == []
    store.close()


def test_what_waited_too_long_is_forgotten(tmp_path: Path) -> None:
    store = TransientStore.open(tmp_path)
    store.put("old", 4, b"x")
    store.put("young", 5, b"x")
    store.purge_old(KEPT_BLOCKS_MAX)
    assert store.find("old")
    store.purge_old(5 + KEPT_BLOCKS_MAX)
    assert not store.find("old")
    assert store.find("young")
    store.close()


def test_only_its_owner_can_look_into_it(tmp_path: Path) -> None:
    store = TransientStore.open(tmp_path / "t")
    store.put("a", 1, b"secret")
    folder = tmp_path / "t" / "sets"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    store.close()
