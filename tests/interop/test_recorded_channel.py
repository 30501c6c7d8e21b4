"""A channel recorded from real Fabric peers must come out the same here, block by block."""

import json
import random
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tongban.node.core.block import BlockRefused
from tongban.node.core.validation.audit import ChannelAuditor, Examination
from tongban.node.ledger.audit import audit, find_blocks, main
from tongban.protos.common_pb2 import Block

CHANNEL = Path(__file__).parents[1] / "vectors" / "fabric-channel"
SEED = 20_250_731

# The library that reads certificates warns of oddities that it accepts all the same.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Parsed a serial number"),
    pytest.mark.filterwarnings("ignore:Attribute's length"),
]


@cache
def recorded() -> list[dict[str, Any]]:  # Any: a JSON document
    document = json.loads((CHANNEL / "expected.json").read_text(encoding="utf-8"))
    return list(document["blocks"])


def read_block(number: int) -> bytes:
    return (CHANNEL / f"{number}.block").read_bytes()


def replay() -> Iterator[tuple[dict[str, Any], ChannelAuditor, Examination]]:
    """Each block as recorded, the auditor before it, and what the auditor says of it."""
    auditor = ChannelAuditor()
    for expected in recorded():
        examination = auditor.examine(read_block(expected["number"]))
        yield expected, auditor, examination
        auditor.accept(examination)


def test_every_recorded_block_gets_the_recorded_flags_and_hashes() -> None:
    blocks = transactions = 0
    for expected, _, found in replay():
        number = expected["number"]
        assert found.is_clean, (number, found.flag_mismatches, found.commit_hash_mismatch)
        assert found.block.header_hash.hex() == expected["header_hash"], number
        assert found.block.data_hash.hex() == expected["data_hash"], number
        assert found.block.previous_hash.hex() == expected["previous_hash"], number
        assert found.commit_hash.hex() == (expected["commit_hash"] or ""), number
        for tx_num, expected_tx in enumerate(expected["txs"]):
            case = (number, tx_num, expected_tx["case"])
            assert found.verdict.flags[tx_num] == expected_tx["code"], case
            if expected_tx["tx_id"]:
                assert found.verdict.tx_ids[tx_num] == expected_tx["tx_id"], case
        blocks += 1
        transactions += len(found.verdict.flags)
    assert (blocks, transactions) == (91, 829)


def test_the_audit_command_reports_a_clean_channel_as_json() -> None:
    result = CliRunner().invoke(main, [str(CHANNEL), "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["blocks"] == 91
    assert report["transactions"] == 829
    assert report["flag_mismatches"] == 0
    assert report["commit_hash_mismatches"] == 0
    assert not report["broken"]


def alter(data: bytes, position: int, chance: random.Random) -> bytes:
    changed = bytearray(data)
    changed[position] ^= chance.randrange(1, 256)
    return bytes(changed)


def check_that_it_is_found(auditor: ChannelAuditor, number: int, data: bytes, place: str) -> None:
    try:
        found = auditor.examine(data)
    except BlockRefused as refused:
        assert refused.number == number, place
        return
    assert found.number == number, place
    assert not found.is_clean, f"{place} was not found"


def check_altered_copies(everywhere: int, in_metadata: int) -> None:
    chance = random.Random(SEED)
    for expected, auditor, original in replay():
        number = expected["number"]
        data = read_block(number)
        metadata_bytes = sum(len(slot) + 3 for slot in original.block.metadata)
        positions = [chance.randrange(len(data)) for _ in range(everywhere)]
        positions += [
            len(data) - 1 - chance.randrange(min(metadata_bytes, len(data)))
            for _ in range(in_metadata)
        ]
        for position in positions:
            place = f"block {number}, byte {position} of {len(data)}"
            check_that_it_is_found(auditor, number, alter(data, position, chance), place)
        again = auditor.examine(data)
        assert again.commit_hash == original.commit_hash, "a refused copy left something behind"
        assert again.verdict.flags == original.verdict.flags


def test_an_altered_byte_is_found_in_its_block() -> None:
    check_altered_copies(everywhere=2, in_metadata=1)


@pytest.mark.slow
def test_many_altered_bytes_are_found_in_their_blocks() -> None:
    check_altered_copies(everywhere=60, in_metadata=40)


@pytest.mark.slow
def test_every_byte_of_small_blocks_is_accounted_for() -> None:
    chance = random.Random(SEED)
    small = {0, 1, 14, 68, 69, 86, 90}
    for expected, auditor, _ in replay():
        number = expected["number"]
        if number not in small:
            continue
        data = read_block(number)
        for position in range(0, len(data), 1 if len(data) < 10_000 else 7):
            place = f"block {number}, byte {position} of {len(data)}"
            check_that_it_is_found(auditor, number, alter(data, position, chance), place)


@pytest.mark.parametrize(("number", "entry"), [(42, "flags"), (42, "commit hash")])
def test_the_audit_names_the_first_place_of_a_mismatch(
    number: int, entry: str, tmp_path: Path
) -> None:
    copy_blocks(tmp_path, 45)
    path = tmp_path / f"{number}.block"
    data = path.read_bytes()
    recorded_hash = bytes.fromhex(recorded()[number]["commit_hash"])
    hash_at = data.rindex(recorded_hash)
    flags = bytes(recorded()[number]["flags"])
    position = hash_at + 5 if entry == "commit hash" else data.rindex(flags, 0, hash_at) + 1
    path.write_bytes(alter(data, position, random.Random(SEED)))
    report = audit(find_blocks(tmp_path))
    assert not report.is_clean
    assert report.blocks == 45, "a mismatch does not end the audit"
    assert report.flag_mismatches == (1 if entry == "flags" else 0)
    assert report.commit_hash_mismatches == (1 if entry == "commit hash" else 0)
    first = report.first_flag_mismatch + report.first_commit_hash_mismatch
    assert first.startswith(f"block {number}")


def test_a_missing_block_is_named_and_ends_the_audit(tmp_path: Path) -> None:
    copy_blocks(tmp_path, 12)
    (tmp_path / "7.block").unlink()
    result = CliRunner().invoke(main, [str(tmp_path)])
    assert result.exit_code == 1
    assert "7 blocks, " in result.output
    assert "block 7: 7.block is missing" in result.output


def test_a_broken_chain_is_named_and_ends_the_audit(tmp_path: Path) -> None:
    copy_blocks(tmp_path, 12)
    shutil.copy(CHANNEL / "20.block", tmp_path / "9.block")
    result = CliRunner().invoke(main, [str(tmp_path), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout)["broken"].startswith("block 9: expected number 9, found 20")


def test_a_folder_without_blocks_is_a_usage_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, [str(tmp_path)])
    assert result.exit_code == 2


def test_blocks_fetched_from_an_orderer_record_no_codes(tmp_path: Path) -> None:
    copy_blocks(tmp_path, 12)
    for path in tmp_path.glob("*.block"):
        block = Block.FromString(path.read_bytes())
        block.metadata.metadata[2] = block.metadata.metadata[4] = b""
        path.write_bytes(block.SerializeToString())
    report = audit(find_blocks(tmp_path))
    assert report.is_clean
    assert (report.blocks, report.flags_recorded) == (12, False)
    shutil.copy(CHANNEL / "11.block", tmp_path)
    assert not audit(find_blocks(tmp_path)).flag_mismatches
    shutil.copy(CHANNEL / "1.block", tmp_path)
    mixed = audit(find_blocks(tmp_path))
    assert mixed.flags_recorded
    assert mixed.flag_mismatches > 0
    assert mixed.commit_hash_mismatches > 0


def copy_blocks(target: Path, count: int) -> None:
    for number in range(count):
        shutil.copy(CHANNEL / f"{number}.block", target)
