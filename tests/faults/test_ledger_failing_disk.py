"""A disk that fails at any write or sync: nothing more is acknowledged, and a start repairs it."""

from pathlib import Path

import pytest

from tests.support.failing_files import FailingFiles
from tests.support.ledger_blocks import NAMESPACE, commit, next_input, revalidate
from tests.support.logged_store import LoggedStore
from tongban.node.core.faults import StorageFailure
from tongban.node.storage.files import RealAppendFile
from tongban.node.storage.ledger import Backend, Ledger


def open_ledger(directory: Path, files: FailingFiles) -> Ledger:
    backend = Backend(files, lambda path: LoggedStore(files, path), segment_bytes_max=400)
    return Ledger.open(directory, revalidate, backend)


@pytest.mark.parametrize("changes", range(8))
def test_a_failing_commit_is_a_fault_and_nothing_follows_it(tmp_path: Path, changes: int) -> None:
    disk = FailingFiles()
    ledger = open_ledger(tmp_path / "c", disk)
    commit(ledger, {"a": b"0"})
    committed = commit(ledger, {"a": b"1"})
    given = next_input(ledger, [{"a": b"2"}])
    disk.changes_left = changes
    try:
        ledger.commit(given)
    except StorageFailure:
        assert ledger.height == 2
        assert ledger.commit_hash == committed.commit_hash
        with ledger.snapshot() as snapshot:
            found = snapshot.get(NAMESPACE, b"a")
        assert found is not None
        assert found.value == b"1"
        disk.changes_left = None  # the disk recovers, but what is on it is not known any more
        with pytest.raises(StorageFailure, match="an earlier commit did not finish"):
            ledger.commit(given)
        ledger.close()
        ledger = open_ledger(tmp_path / "c", FailingFiles())
        assert ledger.height in (2, 3)
        assert ledger.get_block(1) == committed.block
        if ledger.height == 2:
            ledger.commit(given)
    else:
        assert changes == 7, "a commit that begins a segment makes seven changes"
    assert ledger.commit_hash == given.commit_hash
    ledger.close()


def test_a_full_device_is_a_storage_failure() -> None:
    file = RealAppendFile(Path("/dev/full"))
    with pytest.raises(StorageFailure, match=r"/dev/full: write failed: No space left on device"):
        file.write(b"x")
    file.close()
