"""The main job: a few cases of every kind, its report, and its exit status."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.demo_run import DemoRun, write_cases

pytestmark = pytest.mark.slow


def test_every_case_ends_as_its_file_says(demo: DemoRun) -> None:
    assert demo.done.status == 0, demo.done.out + demo.done.err
    expected = Counter(case.expect.outcome for case in demo.cases)
    assert demo.report["outcomes"] == expected
    assert demo.report["cases"] == sum(expected.values()) == len(demo.cases)


def test_the_report_has_these_entries_and_no_other(demo: DemoRun) -> None:
    report = demo.report
    assert set(report) == {
        "cases",
        "outcomes",
        "triggered_in_same_transaction",
        "peers",
        "seconds",
        "latency_ms",
    }
    assert set(report["latency_ms"]) == {"p50", "p95"}
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p95"]
    assert report["seconds"] > 0
    assert len(report["peers"]) == 4
    assert all(set(peer) == {"name", "height", "commit_hash"} for peer in report["peers"])


def test_all_peers_end_equal(demo: DemoRun) -> None:
    peers = demo.report["peers"]
    assert len({(peer["height"], peer["commit_hash"]) for peer in peers}) == 1
    assert len(peers[0]["commit_hash"]) == 64


def test_rules_fired_in_the_transactions_of_the_register(demo: DemoRun) -> None:
    at_once = sum(
        case.expect.outcome in ("transferred", "transferred-after-hold", "reversed")
        for case in demo.cases
    )
    assert demo.report["triggered_in_same_transaction"] >= at_once


def test_one_case_is_told_step_by_step(demo: DemoRun) -> None:
    assert "One case in full: normal-001" in demo.done.out
    assert "register the transfer (Registry/registrar)" in demo.done.out
    assert "block " in demo.done.out and "transaction " in demo.done.out


def test_every_peers_ledger_passes_verification(demo: DemoRun) -> None:
    ledgers = sorted((demo.root / "nodes").glob("peer*/data/channels/*/ledger"))
    assert len(ledgers) == 4
    for ledger in ledgers:
        done = subprocess.run(
            [sys.executable, "-m", "tongban.node.ledger.verify", str(ledger)],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_court_record_needs_the_court_and_all_three_witnesses(demo: DemoRun) -> None:
    two = demo.probes["two witnesses"]
    assert two.status == 1 and "ENDORSEMENT_POLICY_FAILURE" in two.err, two
    registry = demo.probes["the registry"]
    assert registry.status == 1 and "ACCESS_DENIED" in registry.err, registry
    court = demo.probes["the court"]
    assert court.status == 0, court
    assert court.out.count("CF-7") == 1, "what was refused before had left nothing"


def test_a_case_that_ends_otherwise_is_exit_status_one(tmp_path: Path) -> None:
    changed = {"outcome": "registered-only", "registration": "办结"}
    cases = ["normal-001", "declined-001"]
    file = write_cases(tmp_path / "cases.jsonl", cases, normal_001=changed)
    done = Command(tmp_path)("demo", "--cases", str(file), "--dir", str(tmp_path / "demo"))
    assert done.status == 1
    wrong = [line for line in done.out.splitlines() if line.startswith("not as expected")]
    assert len(wrong) == 1
    assert "normal-001" in wrong[0] and "transferred" in wrong[0]
    assert (tmp_path / "demo" / "report.json").exists()
    again = Command(tmp_path)("network", "status", "--dir", str(tmp_path / "demo"))
    assert again.status == 1, "the network was stopped at the end"
