"""A sound ledger passes; whatever is changed in it is found, named, and left as it is."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.support.recorded_ledger import Revalidator, fill, recorded_block
from tongban.node.core.commit_input import PrivateSet
from tongban.node.ledger.rebuild import compare_records
from tongban.node.ledger.verify import main
from tongban.node.storage import layout
from tongban.node.storage.blockstore import START, BlockStore
from tongban.node.storage.files import RealFiles
from tongban.node.storage.kvstore import Change
from tongban.node.storage.ledger import Ledger
from tongban.node.storage.leveldb import LevelDBStore
from tongban.node.storage.memory import MemoryStore
from tongban.protos.kvrwset_pb2 import KVRWSet, KVWrite

BLOCKS = 16
"""Of the recorded channel, enough for records of most kinds; one test takes all."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sound") / "goldchan"
    fill(directory, BLOCKS)
    return directory


@pytest.fixture
def ledger(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "goldchan"))


def verify(directory: Path, *options: str) -> Result:
    return CliRunner().invoke(main, [str(directory), *options])


def records(directory: Path) -> list[tuple[bytes, bytes]]:
    store = LevelDBStore(directory / "state")
    try:
        return list(store.iterate(b"", b""))
    finally:
        store.close()


def change(directory: Path, *changes: Change) -> None:
    store = LevelDBStore(directory / "state")
    store.write(changes, sync=True)
    store.close()


def first_of_kind(directory: Path, kind: bytes) -> tuple[bytes, bytes]:
    return next(record for record in records(directory) if record[0].startswith(kind))


def test_a_sound_ledger_passes_and_is_not_changed(ledger: Path) -> None:
    before = records(ledger)
    segments = {path: path.read_bytes() for path in (ledger / "blocks").iterdir()}
    result = verify(ledger)
    assert result.exit_code == 0, result.output
    assert f"{BLOCKS} blocks" in result.output
    assert result.output.endswith("the ledger is sound\n")
    assert records(ledger) == before
    assert {path: path.read_bytes() for path in (ledger / "blocks").iterdir()} == segments


def test_the_report_is_json_on_request(ledger: Path) -> None:
    report = json.loads(verify(ledger, "--json").output)
    assert report["blocks"] == BLOCKS
    assert report["records"] == len(records(ledger))
    assert (report["record_mismatches"], report["broken"]) == (0, "")


def test_one_changed_record_of_any_kind_is_found(ledger: Path) -> None:
    changes: dict[bytes, bytes] = {}
    for kind in (b"dcc", b"d\x00CHANNEL", b"hcc", b"t", b"g", b"b", b"s"):
        key, value = first_of_kind(ledger, kind)
        place = 40 if kind == b"s" else len(value) - 1
        flipped = value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :] if value else b"x"
        changes[key] = flipped
    change(ledger, *changes.items())
    result = verify(ledger)
    assert result.exit_code == 1
    assert f"records that differ, of {len(records(ledger))}: 7, first: place of a block" in (
        result.output
    )
    assert "NOT sound" in result.output
    assert changes.items() <= dict(records(ledger)).items()


def test_a_difference_names_the_record_and_both_values() -> None:
    rebuilt, stored = MemoryStore(), MemoryStore()
    rebuilt.write([(b"da\x00k", b"1"), (b"ha", b""), (b"s", b"1"), (b"tx", b"1")], False)
    stored.write([(b"Pprivate", b"1"), (b"da\x00k", b"2"), (b"s", b"1"), (b"zz", b"1")], False)
    assert list(compare_records(rebuilt, stored)) == [
        ("state", "state b'a\\x00k': expected 31, found 32"),
        ("history", "history b'a' is missing"),
        ("savepoint", ""),
        ("transaction id", "transaction id b'x' is missing"),
        ("unknown record", "unknown record b'z' does not follow from the blocks"),
    ]


def test_a_missing_and_an_added_record_are_found(ledger: Path) -> None:
    key, value = first_of_kind(ledger, b"hcc")
    change(ledger, (key, None), (key + b"\x01", value))
    report = json.loads(verify(ledger, "--json").output)
    assert report["record_mismatches"] == 2
    assert report["first_record_mismatch"] == f"history {key[1:]!r} is missing"
    change(ledger, (key, value))
    result = verify(ledger)
    assert result.exit_code == 1
    assert "does not follow from the blocks" in result.output


def test_one_altered_byte_of_a_block_is_found_and_named(ledger: Path) -> None:
    place = layout.decode_location(dict(records(ledger))[layout.block_key(11)])
    path = ledger / "blocks" / "000000.seg"
    data = bytearray(path.read_bytes())
    data[place.offset + place.size // 2] ^= 0x10
    path.write_bytes(data)
    result = verify(ledger)
    assert result.exit_code == 1
    assert f"{path} at byte {place.offset} (block 11)" in result.output
    assert path.read_bytes() == data


def test_a_block_altered_with_its_checksum_is_found_too(ledger: Path) -> None:
    """Whoever can write a checksum still cannot sign, or make a commit hash that fits."""
    source = BlockStore(RealFiles(), ledger / "blocks")
    blocks = [block.payload for block in source.scan()]
    shutil.rmtree(ledger / "blocks")
    (ledger / "blocks").mkdir()
    forged = BlockStore(RealFiles(), ledger / "blocks")
    assert list(forged.recover(START, 0)) == []
    for number, block in enumerate(blocks):
        place = block.rfind(b"\x0b") if number == 12 else -1  # one MVCC_READ_CONFLICT is pardoned
        payload = block[:place] + b"\x00" + block[place + 1 :] if place >= 0 else block
        forged.append(number, payload)
    forged.close()
    result = verify(ledger)
    assert result.exit_code == 1
    assert "block 12" in result.output


def test_a_private_value_that_is_not_what_the_state_says_is_found(ledger: Path) -> None:
    change(ledger, (b"Pccor\x00collRef\x00nobody", b"\x00\x00\x00secret"))
    report = json.loads(verify(ledger, "--json").output)
    assert (report["private_values"], report["private_mismatches"]) == (1, 1)
    assert report["first_private_mismatch"].startswith("ccor collRef b'nobody'")
    assert report["record_mismatches"] == 0


def test_a_block_that_the_state_does_not_have_yet_is_no_fault(ledger: Path) -> None:
    store = BlockStore(RealFiles(), ledger / "blocks")
    for _ in store.recover(START, 0):
        pass
    store.append(BLOCKS, recorded_block(BLOCKS))
    store.close()
    report = json.loads(verify(ledger, "--json").output)
    assert (report["blocks"], report["unapplied_blocks"], report["broken"]) == (BLOCKS, 1, "")


def test_missing_blocks_are_found(ledger: Path) -> None:
    place = layout.decode_location(dict(records(ledger))[layout.block_key(BLOCKS - 1)])
    path = ledger / "blocks" / "000000.seg"
    path.write_bytes(path.read_bytes()[: place.offset])
    result = verify(ledger)
    assert result.exit_code == 1
    assert f"block {BLOCKS - 1} is missing, the state has {BLOCKS} blocks" in result.output


def test_a_ledger_in_use_is_refused_with_the_reason(ledger: Path) -> None:
    running = Ledger.open(ledger, Revalidator())
    result = verify(ledger)
    running.close()
    assert result.exit_code == 1
    assert "in use by another process" in result.output


def test_a_newer_format_is_refused(ledger: Path) -> None:
    (ledger / "FORMAT").write_text("tongban ledger 9\n")
    result = verify(ledger)
    assert result.exit_code == 1
    assert "format 9, this release reads up to 1" in result.output


def test_a_directory_that_is_no_ledger_is_a_usage_error(tmp_path: Path) -> None:
    result = verify(tmp_path)
    assert result.exit_code == 2
    assert "expected the ledger of one channel" in result.output
    assert list(tmp_path.iterdir()) == []


def test_the_ledgers_below_a_directory_are_named(ledger: Path) -> None:
    result = verify(ledger.parent)
    assert result.exit_code == 2
    assert str(ledger) in result.output.replace("\n", "").replace("│", "").replace(" ", "")


@pytest.fixture
def with_private(ledger: Path) -> Path:
    """The recorded ledger and one more block, with a private set that the peer holds."""
    revalidate = Revalidator()
    opened = Ledger.open(ledger, revalidate)
    with opened.snapshot() as before:
        given = revalidate(BLOCKS, recorded_block(BLOCKS), before)
    rwset = KVRWSet(writes=[KVWrite(key="k", value=b"v")]).SerializeToString()
    opened.commit(replace(given, private_sets=[PrivateSet(0, "ccor", "collRef", rwset)]))
    opened.close()
    return ledger


def test_private_sets_are_no_part_of_what_follows_from_the_blocks(with_private: Path) -> None:
    report = json.loads(verify(with_private, "--json").output)
    assert (report["blocks"], report["record_mismatches"]) == (BLOCKS + 1, 0)


def test_the_whole_recorded_channel_is_sound_before_and_after_it_is_rebuilt(tmp_path: Path) -> None:
    directory = tmp_path / "goldchan"
    fill(directory, 91)
    before = records(directory)
    assert verify(directory).exit_code == 0
    shutil.rmtree(directory / "state")
    ledger = Ledger.open(directory, Revalidator())
    assert [ledger.get_block(number) for number in range(91)] == [
        recorded_block(number) for number in range(91)
    ]
    ledger.close()
    assert records(directory) == before
