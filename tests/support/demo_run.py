"""One run of the main job with a few cases of every kind, kept up until it was looked at."""

import json
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.command import Command, Done
from tongban.network.demo.cases import SHIPPED, DemoCase, load_cases
from tongban.network.topology import load_topology

ONE_OF_EACH = (
    "normal-001",
    "joint-001",
    "declined-001",
    "C1-identity-001",
    "C6-drafted-twice-001",
    "E1-settled-1",
    "E2-open-1",
    "E3-namesake-1",
    "E4-chosen-1",
    "E5-capacity-1",
    "E6-while-booking-001",
    "E6-lifted-001",
    "E7-unreleased-001",
    "E7-carried-001",
    "E8-revoked-001",
    "E9-revoked-001",
    "C2-expired-001",
    "E10-withdrawn-001",
    "E11-corrected-001",
    "E12-offline-001",
    "E12-offline-002",
    "E13-replay-001",
    "E17-right-1",
)
"""Of the shipped cases: every failure, and some that go well."""

PATHS = ("/metrics", "/healthz", "/version", "/logspec")


@dataclass(frozen=True)
class DemoRun:
    """A run that has ended."""

    done: Done
    root: Path
    cases: list[DemoCase]
    operations: dict[str, bytes]
    """What the nodes told of themselves while they were up, by node and path."""
    probes: dict[str, Done]
    """What came of trying to get around the rules, after the report was written."""

    @property
    def report(self) -> Any:
        return json.loads((self.root / "report.json").read_bytes())


def write_cases(path: Path, ids: Sequence[str], **changed: dict[str, Any]) -> Path:
    """Shipped cases in a file of their own; ``changed`` expectations by id."""
    lines = []
    for line in SHIPPED.read_text("utf-8").splitlines():
        case = json.loads(line)
        if case["id"] in ids:
            case["expect"] |= changed.get(case["id"].replace("-", "_"), {})
            lines.append(json.dumps(case, ensure_ascii=False))
    assert len(lines) == len(ids)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@contextmanager
def run_demo(folder: Path, ids: Sequence[str] = ONE_OF_EACH) -> Iterator[DemoRun]:
    """The demo has run these cases; its network is down again."""
    file = write_cases(folder / "cases.jsonl", ids)
    root = folder / "demo"
    command = Command(folder)
    done = command("demo", "--cases", str(file), "--dir", str(root), "--keep")
    assert (root / "report.json").exists(), done.out + done.err
    try:
        operations = _ask_nodes(root)
        probes = _probe(command, root, load_cases(file))
    finally:
        command("network", "down", "--dir", str(root))
    yield DemoRun(done, root, load_cases(file), operations, probes)


def _probe(command: Command, root: Path, cases: list[DemoCase]) -> dict[str, Done]:
    """Court records with fewer witnesses than their keys ask for, and by others than the court."""
    unit = next(case.unit for case in cases if case.id == "declined-001")
    order = (unit, "CF-7", "11110108HDT00008XE", "2099-01-01T00:00:00Z")

    def seize(who: str, *endorsers: str) -> Done:
        named = [word for msp_id in endorsers for word in ("--endorse", msp_id)]
        function = "Authorities:seize"
        call = ("submit", "haidian", "property", function, *order, "--as", who, *named)
        return command(*call, "--dir", str(root))

    return {
        "two witnesses": seize("Court/judge", "RegistryMSP", "BureauMSP"),
        "the registry": seize("Registry/registrar"),
        "the court": seize("Court/judge"),
    }


def _ask_nodes(root: Path) -> dict[str, bytes]:
    found = {}
    for name, node in load_topology(root / "topology.yaml").nodes():
        for path in PATHS:
            url = f"http://127.0.0.1:{node.operations_port}{path}"
            with urllib.request.urlopen(url, timeout=5) as answer:
                found[f"{name}{path}"] = answer.read()
    return found
