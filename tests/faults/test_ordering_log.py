"""An orderer's log after a power loss at any write or sync, and on a disk that fails."""

import asyncio
import shutil
from functools import partial
from pathlib import Path

import pytest

from tests.support.failing_files import FailingFiles
from tests.support.logged_store import LoggedStore
from tests.support.ordering import small_network
from tests.support.recording_files import LOSSES, Loss, RecordingFiles, rebuild
from tongban.node.core.blockcutter import BatchLimits
from tongban.node.core.faults import CorruptLedgerError, NewerFormatError, StorageFailure
from tongban.node.ordering.batcher import Batcher, WaitingEnvelope
from tongban.node.ordering.block_log import IndexedBlockLog
from tongban.node.ordering.channel import join
from tongban.node.ordering.solo import SoloEngine
from tongban.node.storage.files import Files, RealFiles
from tongban.node.storage.leveldb import SMALL_OPTIONS, LevelDBStore
from tongban.node.storage.memory import MemoryStore
from tongban.protos.common_pb2 import Block
from tongban.protos.digest import compute_data_hash, compute_header_hash

BLOCKS = 6


def open_log(files: Files, root: Path) -> IndexedBlockLog:
    directory = root / "c"
    files.make_dirs(directory)
    files.make_dirs(directory / "blocks")
    files.sync_dir(directory)
    files.sync_dir(root)
    log = IndexedBlockLog(files, directory / "blocks", LoggedStore(files, directory / "index"))
    join(log, small_network().genesis_bytes)
    return log


def order(log: IndexedBlockLog, *names: bytes) -> None:
    """Each name in a block of its own, each answered before the next is sent."""

    async def work() -> None:
        engine = SoloEngine(log, small_network().orderer.signer, lambda number, block: None)
        for name in names:
            await engine.append([name])
        await engine.close()

    asyncio.run(work())


def _answer(answered: list[bytes], name: bytes, position: int) -> None:
    answered.append(name)


def names(log: IndexedBlockLog) -> list[bytes]:
    """The contents, after checking how the blocks are linked."""
    found: list[bytes] = []
    previous = b""
    for number in range(log.height):
        block = Block.FromString(log.get_block(number))
        header = block.header
        assert (header.number, header.previous_hash) == (number, previous)
        assert header.data_hash == compute_data_hash(block.data.data)
        previous = compute_header_hash(number, previous, header.data_hash)
        if number:
            found.extend(block.data.data)
    return found


@pytest.mark.parametrize("loss", LOSSES, ids=[loss.name for loss in LOSSES])
def test_nothing_acknowledged_is_lost_at_any_crash_point(loss: Loss, tmp_path: Path) -> None:
    live = tmp_path / "live"
    live.mkdir()
    files = RecordingFiles(live)
    log = open_log(files, live)
    acknowledged = [(len(files.journal), 0)]
    for number in range(BLOCKS):
        order(log, b"%d" % number)
        acknowledged.append((len(files.journal), number + 1))
    log.close()

    for count in range(len(files.journal) + 1):
        found = tmp_path / str(count)
        found.mkdir()
        rebuild(files.journal, count, loss, found)
        answered = max((height for place, height in acknowledged if place <= count), default=0)
        again = open_log(RealFiles(), found)
        kept = names(again)
        assert kept == [b"%d" % number for number in range(len(kept))]
        assert answered <= len(kept) <= answered + 1
        order(again, b"after")
        assert names(again) == [*kept, b"after"]
        again.close()
        shutil.rmtree(found)


def test_a_disk_that_fails_acknowledges_nothing_more_and_a_restart_goes_on(tmp_path: Path) -> None:
    for changes in range(8):
        root = tmp_path / str(changes)
        root.mkdir()
        files = FailingFiles()
        log = open_log(files, root)
        order(log, b"before")
        answered: list[bytes] = []

        async def work(log: IndexedBlockLog = log, answered: list[bytes] = answered) -> None:
            engine = SoloEngine(log, small_network().orderer.signer, lambda number, block: None)
            queue = Batcher(engine, BatchLimits(1, 1_000, 2_000))
            for name in (b"a", b"b", b"c", b"d", b"e"):
                queue.submit(WaitingEnvelope(name, 1, partial(_answer, answered, name)))
            await queue.run()

        files.changes_left = changes
        with pytest.raises(StorageFailure):
            asyncio.run(work())
        again = open_log(RealFiles(), root)
        kept = names(again)
        assert kept[: 1 + len(answered)] == [b"before", *answered]
        assert len(kept) <= 2 + len(answered)
        order(again, b"after")
        assert names(again) == [*kept, b"after"]
        again.close()


def test_a_lost_index_is_made_again_from_the_blocks(tmp_path: Path) -> None:
    log = open_log(RealFiles(), tmp_path)
    order(log, b"a", b"b")
    log.close()
    shutil.rmtree(tmp_path / "c" / "index")
    again = open_log(RealFiles(), tmp_path)
    assert names(again) == [b"a", b"b"]
    again.close()


def test_a_damaged_block_in_the_middle_stops_the_orderer_with_the_place(tmp_path: Path) -> None:
    log = open_log(RealFiles(), tmp_path)
    order(log, b"a" * 100, b"b" * 100)
    log.close()
    segment = tmp_path / "c" / "blocks" / "000000.seg"
    data = bytearray(segment.read_bytes())
    data[data.index(b"a" * 100)] ^= 1
    segment.write_bytes(bytes(data))
    again = open_log(RealFiles(), tmp_path)
    with pytest.raises(CorruptLedgerError, match=r"block 1"):
        again.get_block(1)
    again.close()


def test_leveldb_as_index_keeps_what_it_was_told(tmp_path: Path) -> None:
    (tmp_path / "blocks").mkdir()
    for expected in range(3):
        index = LevelDBStore(tmp_path / "index", SMALL_OPTIONS)
        log = IndexedBlockLog(RealFiles(), tmp_path / "blocks", index)
        join(log, small_network().genesis_bytes)
        assert log.height == expected + 1
        order(log, b"x")
        log.close()


def test_a_newer_index_is_refused_and_left_alone(tmp_path: Path) -> None:
    index = MemoryStore()
    index.write([(b"format", b"2")], sync=True)
    with pytest.raises(NewerFormatError, match="reads up to 1"):
        IndexedBlockLog(RealFiles(), tmp_path, index)
    assert index.get(b"format") == b"2"
    assert list(tmp_path.iterdir()) == []
