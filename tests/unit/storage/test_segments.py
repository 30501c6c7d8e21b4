"""Segment files: what is stored is read back, a torn end is cut, and any other damage is named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tongban.node.core.faults import CorruptLedgerError, NewerFormatError
from tongban.node.storage.blockstore import START, BlockStore, StoredBlock
from tongban.node.storage.files import RealFiles
from tongban.node.storage.layout import Location
from tongban.node.storage.segments import RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES

BLOCKS = [b"genesis", b"", b"REC\n" * 30, bytes(100), b"last block"]
STARTS = [SEGMENT_HEADER_BYTES]
for _block in BLOCKS:
    STARTS.append(STARTS[-1] + RECORD_HEADER_BYTES + len(_block))


def filled(directory: Path, segment_bytes_max: int = 10**6) -> list[Location]:
    store = BlockStore(RealFiles(), directory, segment_bytes_max)
    assert list(store.recover(START, 0)) == []
    locations = [store.append(number, block) for number, block in enumerate(BLOCKS)]
    store.close()
    return locations


def recovered(directory: Path) -> list[StoredBlock]:
    store = BlockStore(RealFiles(), directory)
    found = list(store.recover(START, 0))
    store.close()
    return found


def test_blocks_are_read_back_by_place_and_by_scan(tmp_path: Path) -> None:
    locations = filled(tmp_path)
    assert [place.offset for place in locations] == STARTS[:-1]
    store = BlockStore(RealFiles(), tmp_path)
    assert [block.payload for block in store.recover(START, 0)] == BLOCKS
    assert [store.read(number, place) for number, place in enumerate(locations)] == BLOCKS
    assert list(store.recover(store.end, 5)) == []
    store.close()


def test_segments_follow_one_another(tmp_path: Path) -> None:
    locations = filled(tmp_path, segment_bytes_max=100)
    assert [place.segment for place in locations] == [0, 0, 0, 1, 2]
    assert [block.location for block in recovered(tmp_path)] == locations


@pytest.mark.parametrize("cut", range(STARTS[4] + 1, STARTS[5]))
def test_a_torn_end_is_cut_wherever_it_is_torn(tmp_path: Path, cut: int) -> None:
    filled(tmp_path)
    path = tmp_path / "000000.seg"
    path.write_bytes(path.read_bytes()[:cut])
    assert [block.payload for block in recovered(tmp_path)] == BLOCKS[:4]
    assert path.stat().st_size == STARTS[4]


@pytest.mark.parametrize(
    "tear",
    [
        lambda record: bytes(len(record)),
        lambda record: record[:30] + bytes(len(record) - 30),
        lambda record: bytes(20) + record[20:],
        lambda record: bytes(4096),
    ],
)
def test_a_last_record_whose_pages_were_lost_is_cut(
    tmp_path: Path, tear: Callable[[bytes], bytes]
) -> None:
    filled(tmp_path)
    path = tmp_path / "000000.seg"
    data = path.read_bytes()
    path.write_bytes(data[: STARTS[4]] + tear(data[STARTS[4] :]))
    assert [block.number for block in recovered(tmp_path)] == [0, 1, 2, 3]
    assert path.stat().st_size == STARTS[4]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("within", [0, 4, 9, 17, 22])
def test_damage_before_the_last_record_names_file_offset_and_block(
    tmp_path: Path, number: int, within: int
) -> None:
    filled(tmp_path)
    path = tmp_path / "000000.seg"
    data = bytearray(path.read_bytes())
    data[STARTS[number] + within] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptLedgerError) as caught:
        recovered(tmp_path)
    assert caught.value.path == str(path)
    assert caught.value.offset == STARTS[number]
    assert caught.value.block_num == number
    assert "restore a backup" in str(caught.value)
    assert path.read_bytes() == data


def test_damage_is_found_by_reading_too(tmp_path: Path) -> None:
    locations = filled(tmp_path)
    path = tmp_path / "000000.seg"
    data = bytearray(path.read_bytes())
    data[STARTS[3] + RECORD_HEADER_BYTES + 50] ^= 0x80
    path.write_bytes(data)
    store = BlockStore(RealFiles(), tmp_path)
    with pytest.raises(CorruptLedgerError, match=r"\(block 3\): checksum of the block"):
        store.read(3, locations[3])
    assert store.read(2, locations[2]) == BLOCKS[2]
    with pytest.raises(CorruptLedgerError, match=r"record of block 2, expected 1"):
        store.read(1, locations[2])
    with pytest.raises(CorruptLedgerError, match="no record header here"):
        store.read(1, locations[1]._replace(offset=locations[1].offset + 1))


def test_a_missing_segment_is_corruption(tmp_path: Path) -> None:
    filled(tmp_path, segment_bytes_max=100)
    (tmp_path / "000001.seg").unlink()
    with pytest.raises(CorruptLedgerError, match=r"000001.seg: missing, but 000002.seg is there"):
        recovered(tmp_path)


def test_a_segment_in_the_place_of_another_is_corruption(tmp_path: Path) -> None:
    filled(tmp_path, segment_bytes_max=100)
    (tmp_path / "000001.seg").write_bytes((tmp_path / "000002.seg").read_bytes())
    with pytest.raises(CorruptLedgerError, match=r"header of segment 2, expected 1"):
        recovered(tmp_path)


def test_blocks_that_the_state_already_holds_must_be_there(tmp_path: Path) -> None:
    filled(tmp_path)
    store = BlockStore(RealFiles(), tmp_path)
    assert len(list(store.recover(START, 0))) == 5
    end = store.end
    store.close()
    path = tmp_path / "000000.seg"
    path.write_bytes(path.read_bytes()[: STARTS[4]])
    with pytest.raises(CorruptLedgerError, match=r"but blocks up to byte \d+ are in use"):
        list(BlockStore(RealFiles(), tmp_path).recover(end, 5))
    path.unlink()
    with pytest.raises(CorruptLedgerError, match="the segment file is missing"):
        list(BlockStore(RealFiles(), tmp_path).recover(end, 5))


def test_a_segment_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    filled(tmp_path)
    path = tmp_path / "000000.seg"
    data = bytearray(path.read_bytes())
    data[11] = 2
    path.write_bytes(data)
    with pytest.raises(NewerFormatError, match="format 2, this release reads up to 1"):
        recovered(tmp_path)
    assert path.read_bytes() == data


def test_a_record_planted_inside_a_block_does_not_pass_for_one(tmp_path: Path) -> None:
    """Whoever puts the bytes of a record, seen in another ledger, into a transaction cannot make a
    torn end look like damage in the middle: the salt differs."""
    other = tmp_path / "other"
    other.mkdir()
    filled(other)
    planted = (other / "000000.seg").read_bytes()[STARTS[3] : STARTS[4]]
    mine = tmp_path / "mine"
    mine.mkdir()
    store = BlockStore(RealFiles(), mine)
    assert list(store.recover(START, 0)) == []
    store.append(0, b"genesis")
    last = store.append(1, bytes(50) + planted)
    store.close()
    path = mine / "000000.seg"
    data = bytearray(path.read_bytes())
    data[last.offset : last.offset + RECORD_HEADER_BYTES] = bytes(RECORD_HEADER_BYTES)
    path.write_bytes(data)
    assert [block.number for block in recovered(mine)] == [0]
