"""A peer with many keys and a long history, killed and started again. ``tests.bench.size`` measures
the full size; this is a smaller one with generous bounds, for every run of the tests."""

from pathlib import Path

import pytest

from tests.bench.size import measure
from tests.support.big_ledger import KEYS_PER_TRANSACTION, REWRITTEN_EVERY
from tests.support.ledgers import read_ledger, verify_ledger
from tests.support.load import CHANNEL, CONTRACT
from tongban.network.layout import NetworkLayout

pytestmark = pytest.mark.slow

KEYS = 20_000
BLOCKS = 400
START_SECONDS_MAX = 20.0
"""On a machine that does other things too; mostly Python's imports."""

MEMORY_MIB_MAX = 300.0


def test_a_large_ledger_starts_soon_and_needs_little_memory(tmp_path: Path) -> None:
    found = measure(tmp_path, KEYS, BLOCKS, load_seconds=5.0)
    print(found)
    assert found.start_seconds < START_SECONDS_MAX
    assert found.started_mib < found.peak_mib < MEMORY_MIB_MAX
    assert found.failures == 0
    assert min(found.transactions, found.queries) > 0
    name = "peer0.org1.example.com"
    ledger = NetworkLayout(tmp_path).node(name) / "data" / "channels" / CHANNEL / "ledger"
    contents = read_ledger(ledger, CONTRACT, ["rewritten"])
    assert contents.height > BLOCKS
    assert len(contents.codes) > KEYS // KEYS_PER_TRANSACTION
    assert len(contents.written["rewritten"]) == KEYS // REWRITTEN_EVERY
    report = verify_ledger(ledger)
    assert report.is_sound, report
