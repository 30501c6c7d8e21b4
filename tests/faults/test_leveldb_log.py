"""LevelDB's own log, torn or damaged: a torn end is recovered from the blocks, a hole is named."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.ledger_blocks import NAMESPACE, commit, revalidate
from tongban.node.core.faults import CorruptLedgerError
from tongban.node.storage.ledger import Ledger
from tongban.node.storage.leveldb import LevelDBStore

BLOCKS = 6


def log_file(directory: Path) -> Path:
    (found,) = (directory / "state").glob("*.log")
    return found


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, list[int], list[bytes]]:
    """A ledger, how long LevelDB's log was after each block, and the blocks."""
    ledger = Ledger.open(tmp_path / "c", revalidate)
    sizes, blocks = [], []
    for number in range(BLOCKS):
        given = commit(ledger, {"a": b"%d" % number, f"k{number}": b"v" * 50})
        blocks.append(given.block)
        sizes.append(log_file(tmp_path / "c").stat().st_size)
    # Copied while it is open: closing or opening it would move the log into a sorted file.
    found = Path(shutil.copytree(tmp_path / "c", tmp_path / "found"))
    ledger.close()
    return found, sizes, blocks


def check_whole(directory: Path, blocks: list[bytes]) -> None:
    ledger = Ledger.open(directory, revalidate)
    assert [ledger.get_block(number) for number in range(ledger.height)] == blocks
    with ledger.snapshot() as snapshot:
        found = snapshot.get(NAMESPACE, b"a")
    assert found is not None
    assert found.value == b"%d" % (BLOCKS - 1)
    assert len(list(ledger.history(NAMESPACE, b"a"))) == BLOCKS
    ledger.close()


@pytest.mark.parametrize(
    "tear",
    [
        lambda tail: b"",
        lambda tail: tail[: len(tail) // 2],
        lambda tail: tail[:-1],
        lambda tail: tail[:3],
        lambda tail: bytes(len(tail)),
        lambda tail: tail[: len(tail) // 2] + bytes(len(tail) - len(tail) // 2),
        lambda tail: bytes(20) + tail[20:],
        lambda tail: tail[:9] + bytes([tail[9] ^ 1]) + tail[10:],
    ],
)
def test_a_torn_last_batch_is_made_again_from_its_block(
    written: tuple[Path, list[int], list[bytes]], tear: Callable[[bytes], bytes]
) -> None:
    directory, sizes, blocks = written
    log = log_file(directory)
    data = log.read_bytes()
    log.write_bytes(data[: sizes[-2]] + tear(data[sizes[-2] :]))
    check_whole(directory, blocks)


def test_damage_takes_the_batches_behind_it_along_and_all_are_made_again(
    written: tuple[Path, list[int], list[bytes]],
) -> None:
    """LevelDB drops the rest of a damaged log block, so nothing is missing in between."""
    directory, sizes, blocks = written
    flip(log_file(directory), sizes[2] + 30)
    check_whole(directory, blocks)


def test_a_hole_in_the_state_is_named_and_its_remedy_works(tmp_path: Path) -> None:
    """Damage in an earlier block of the log (32 KiB): later batches survive it."""
    ledger = Ledger.open(tmp_path / "c", revalidate)
    blocks, sizes = [], []
    for number in range(BLOCKS):
        given = commit(ledger, {"a": b"%d" % number, "large": bytes(20_000)})
        blocks.append(given.block)
        sizes.append(log_file(tmp_path / "c").stat().st_size)
    directory = Path(shutil.copytree(tmp_path / "c", tmp_path / "found"))
    ledger.close()
    flip(log_file(directory), sizes[0] + 30)
    with pytest.raises(
        CorruptLedgerError, match=r"block is missing.*move this directory"
    ) as caught:
        Ledger.open(directory, revalidate)
    assert (caught.value.path, caught.value.block_num) == (str(directory / "state"), 1)
    shutil.move(directory / "state", directory.with_name("moved away"))
    check_whole(directory, blocks)


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_a_damaged_sorted_file_is_found_when_it_is_read(tmp_path: Path) -> None:
    store = LevelDBStore(tmp_path / "db")
    store.write([(b"k%04d" % number, b"%d" % number * 20) for number in range(2000)], True)
    store.erase_deleted(b"", b"")  # moves everything into sorted files
    store.close()
    path = max((tmp_path / "db").glob("*.ldb"), key=lambda path: path.stat().st_size)
    flip(path, 1000)
    store = LevelDBStore(tmp_path / "db")
    with pytest.raises(CorruptLedgerError, match="move this directory away"):
        list(store.iterate(b"", b""))
    with pytest.raises(CorruptLedgerError):
        for number in range(2000):
            assert store.get(b"k%04d" % number) == b"%d" % number * 20
    store.close()
