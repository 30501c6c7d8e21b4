"""A power loss after any write or sync: what was acknowledged is there, and the ledger goes on."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.ledger_blocks import NAMESPACE, commit, revalidate
from tests.support.logged_store import LoggedStore
from tests.support.recording_files import LOSSES, Entry, Loss, RecordingFiles, rebuild
from tongban.node.storage.files import Files
from tongban.node.storage.ledger import Backend, Ledger

BLOCKS = 9


def backend(files: Files) -> Backend:
    """Small segments, so that several begin during a run."""
    return Backend(files, lambda path: LoggedStore(files, path), segment_bytes_max=500)


def state_of(ledger: Ledger) -> dict[bytes, bytes]:
    with ledger.snapshot() as snapshot:
        return {key: value.value for key, value in snapshot.scan(NAMESPACE, b"", b"")}


@dataclass(frozen=True, slots=True)
class Life:
    """One run of a ledger: what it wrote, and what had been acknowledged when."""

    journal: list[Entry]
    acknowledged: list[int]
    """For each length of the journal, the height that was acknowledged by then."""
    blocks: list[bytes]
    commit_hashes: list[bytes]
    states: list[dict[bytes, bytes]]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    root = tmp_path_factory.mktemp("life")
    files = RecordingFiles(root)
    ledger = Ledger.open(root / "c", revalidate, backend(files))
    acknowledged: list[int] = []
    life = Life(files.journal, acknowledged, [], [], [state_of(ledger)])
    for number in range(BLOCKS):
        writes = {"a": b"%d" % number, f"k{number % 5}": None if number % 4 == 3 else b"v" * 40}
        given = commit(ledger, writes, {f"n{number}": b"x"})
        acknowledged.extend([number] * (len(files.journal) - len(acknowledged)))
        life.blocks.append(given.block)
        life.commit_hashes.append(given.commit_hash)
        life.states.append(state_of(ledger))
    acknowledged.append(BLOCKS)
    ledger.close()
    return life


def check(life: Life, directory: Path, acknowledged: int) -> None:
    files = RecordingFiles(directory.parent)  # does not wait for the disk
    ledger = Ledger.open(directory, revalidate, backend(files))
    height = ledger.height
    assert acknowledged <= height <= acknowledged + 1
    assert [ledger.get_block(number) for number in range(height)] == life.blocks[:height]
    assert ledger.commit_hash == (life.commit_hashes[height - 1] if height else b"")
    assert state_of(ledger) == life.states[height]
    assert len(list(ledger.history(NAMESPACE, b"a"))) == height
    last = commit(ledger, {"after": b"the loss"})
    ledger.close()
    shutil.rmtree(directory / "state")
    ledger = Ledger.open(directory, revalidate, backend(files))
    assert (ledger.height, ledger.commit_hash) == (height + 1, last.commit_hash)
    ledger.close()


@pytest.mark.parametrize("loss", LOSSES, ids=[loss.name for loss in LOSSES])
def test_nothing_acknowledged_is_lost_at_any_crash_point(
    life: Life, loss: Loss, tmp_path: Path
) -> None:
    assert len(life.journal) > 5 * BLOCKS
    assert sum(entry.path.endswith(".seg") for entry in life.journal if entry.kind == "create") > 2
    for count in range(len(life.journal) + 1):
        found = tmp_path / str(count)
        found.mkdir()
        rebuild(life.journal, count, loss, found)
        check(life, found / "c", life.acknowledged[min(count, len(life.acknowledged) - 1)])


def test_a_second_loss_during_recovery_loses_nothing_either(life: Life, tmp_path: Path) -> None:
    loss = LOSSES[3]
    for count in range(len(life.journal) - 16, len(life.journal)):
        once = tmp_path / f"{count}"
        once.mkdir()
        rebuild(life.journal, count, loss, once)
        files = RecordingFiles(once)
        start = _as_journal(once)
        Ledger.open(once / "c", revalidate, backend(files)).close()
        for again in range(len(files.journal) + 1):
            twice = tmp_path / f"{count}-{again}"
            twice.mkdir()
            journal = start + files.journal
            rebuild(journal, len(start) + again, loss, twice)
            check(life, twice / "c", life.acknowledged[count])


def _as_journal(root: Path) -> list[Entry]:
    """A journal that makes the directory as it is, all of it synced."""
    journal = []
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_dir():
            journal.append(Entry("mkdir", name))
        else:
            journal.append(Entry("create", name))
            journal.append(Entry("write", name, data=path.read_bytes()))
            journal.append(Entry("sync", name))
            journal.append(Entry("sync_dir", str(path.relative_to(root).parent)))
    return journal
