"""A real writer process, killed at random moments or given a full disk. Real LevelDB and files."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.ledger_blocks import NAMESPACE
from tests.support.ledger_writer import block_writes, open_ledger
from tongban.node.storage.ledger import Ledger
from tongban.protos import common_pb2
from tongban.protos.digest import compute_header_hash

ROOT = Path(__file__).parents[2]
WRITER = ROOT / "tests" / "support" / "ledger_writer.py"


def start_writer(directory: Path, *args: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-P", str(WRITER), str(directory), *map(str, args)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


def check(ledger: Ledger) -> None:
    """The ledger holds exactly what its blocks up to its height must have left."""
    expected: dict[bytes, bytes] = {}
    previous = b""
    for number in range(ledger.height):
        block = common_pb2.Block.FromString(ledger.get_block(number))
        assert block.header.number == number
        assert block.header.previous_hash == previous
        header = block.header
        previous = compute_header_hash(header.number, header.previous_hash, header.data_hash)
        for writes in block_writes(number):
            for key, value in writes.items():
                expected.pop(key.encode(), None)
                if value is not None:
                    expected[key.encode()] = value
    assert ledger.last_header_hash == previous
    with ledger.snapshot() as snapshot:
        found = {key: value.value for key, value in snapshot.scan(NAMESPACE, b"", b"")}
    assert found == expected
    assert sum(1 for _ in ledger.history(NAMESPACE, b"shared")) == ledger.height


@pytest.mark.slow
def test_a_killed_writer_lost_nothing_that_it_had_said(tmp_path: Path) -> None:
    chance = random.Random(20_260_701)
    directory = tmp_path / "c"
    committed = 0
    for _ in range(25):
        lines_left = chance.randrange(60)
        with start_writer(directory, 10_000) as writer:
            assert writer.stdout is not None
            for line in writer.stdout:
                word, number = line.split()
                assert word in ("start", "committed")
                assert committed <= int(number) <= committed + 1
                committed = int(number)
                if lines_left == 0:
                    writer.kill()
                lines_left -= 1
        assert writer.returncode == -9
        if chance.random() < 0.2:
            shutil.rmtree(directory / "state")
    ledger = open_ledger(directory)
    assert ledger.height in (committed, committed + 1)
    assert ledger.height > 200
    check(ledger)
    ledger.close()


@pytest.mark.parametrize("file_bytes_max", [19_000, 21_000, 60_000])
def test_on_a_full_disk_the_writer_stops_and_says_nothing_false(
    tmp_path: Path, file_bytes_max: int
) -> None:
    """The smallest limit stops the segment files, the largest LevelDB's log."""
    with start_writer(tmp_path / "c", 10_000, file_bytes_max) as writer:
        output, _ = writer.communicate(timeout=60)
    *lines, last = output.splitlines()
    assert writer.returncode == 3
    assert last.startswith("fault ")
    assert "File too large" in last
    committed = int(lines[-1].split()[1])
    ledger = open_ledger(tmp_path / "c")
    assert ledger.height in (committed, committed + 1)
    check(ledger)
    ledger.close()
