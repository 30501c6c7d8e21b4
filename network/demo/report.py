"""What is told at the end: a table, one case in full, and a file for programs."""

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tongban.network.demo.evidence import PeerTip
from tongban.network.demo.journey import Journey, Step
from tongban.network.language import text


@dataclass(frozen=True, slots=True)
class Ending:
    """One case: what its file expects and what came."""

    journey: Journey
    problem: str = ""
    """Why it could not be driven to its end; empty if it was."""

    @property
    def kind(self) -> str:
        outcome = self.journey.outcome
        return "failed" if self.problem or outcome is None else outcome.kind

    @property
    def is_as_expected(self) -> bool:
        expected, found = self.journey.case.expect, self.journey.outcome
        return (
            not self.problem
            and found is not None
            and (found.kind, found.registration, found.electricity)
            == (expected.outcome, expected.registration, expected.electricity)
        )

    def explain(self) -> str:
        """What was expected and what was found."""
        case, found = self.journey.case, self.journey.outcome
        expected = f"{case.expect.outcome} ({case.expect.registration}, {case.expect.electricity})"
        if self.problem or found is None:
            return f"{case.id}: expected {expected}, {self.problem or 'found nothing'}"
        shown = f"{found.kind} ({found.registration}, {found.electricity})"
        return f"{case.id}: expected {expected}, found {shown}"


@dataclass(frozen=True, slots=True)
class Report:
    """The whole run."""

    endings: Sequence[Ending]
    triggered: int
    peers: Sequence[PeerTip]
    seconds: float

    @property
    def wrong(self) -> list[Ending]:
        return [ending for ending in self.endings if not ending.is_as_expected]

    @property
    def are_peers_equal(self) -> bool:
        return len({(tip.height, tip.commit_hash) for tip in self.peers}) == 1

    def latency_ms(self) -> dict[str, float]:
        """How long citizens waited at all desks together, by case."""
        return quantiles([ending.journey.milliseconds for ending in self.endings])

    def to_json(self) -> dict[str, Any]:
        return {
            "cases": len(self.endings),
            "outcomes": dict(sorted(Counter(one.kind for one in self.endings).items())),
            "triggered_in_same_transaction": self.triggered,
            "peers": [asdict(tip) for tip in self.peers],
            "seconds": round(self.seconds, 3),
            "latency_ms": self.latency_ms(),
        }

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_json(), ensure_ascii=False, indent=2) + "\n", "utf-8")

    def rows(self) -> list[tuple[object, ...]]:
        """One row a kind: number, and the waiting times in seconds."""
        found: list[tuple[object, ...]] = []
        kinds = Counter(ending.kind for ending in self.endings)
        for kind, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0])):
            of_kind = [one.journey for one in self.endings if one.kind == kind]
            failures = sorted({one.case.failure for one in of_kind if one.case.failure})
            waits = quantiles([one.milliseconds for one in of_kind])
            at_window = [w for one in of_kind if (w := one.window_milliseconds) is not None]
            window = f"{quantiles(at_window)['p50'] / 1000:.2f}" if at_window else ""
            found.append(
                (
                    kind,
                    count,
                    f"{waits['p50'] / 1000:.2f}",
                    f"{waits['p95'] / 1000:.2f}",
                    window,
                    " ".join(failures),
                )
            )
        return found

    def story(self) -> Journey | None:
        """The case to tell in full: one that went well all the way."""
        good = [one.journey for one in self.endings if one.is_as_expected]
        plain = [one for one in good if one.outcome is not None]
        for wanted in ("transferred", "transferred-deferred", "registered-only"):
            for journey in plain:
                if journey.outcome is not None and journey.outcome.kind == wanted:
                    return journey
        return plain[0] if plain else None


def columns() -> tuple[str, ...]:
    return (
        text("outcome", "结果"),
        text("cases", "件数"),
        text("wait p50 s", "等待 p50 秒"),
        text("wait p95 s", "等待 p95 秒"),
        text("window s", "用电窗口 秒"),
        text("failures shown", "所示失败"),
    )


def tell(step: Step) -> str:
    """One step of a story as a line."""
    what = text(step.english, step.chinese)
    if step.refusal:
        return f"{what}: {text('refused', '被拒')} {step.refusal} ({step.desk})"
    later = text("; the supplier follows later", "；供电侧暂缓") if step.was_deferred else ""
    block = text(f"block {step.block_number}", f"区块 {step.block_number}")
    return (
        f"{what} ({step.desk}) {step.milliseconds:.0f} ms, {block}, "
        f"{text('transaction', '交易')} {step.transaction_id}{later}"
    )


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile, in the values' unit; zeros if there are none."""
    if not values:
        return {"p50": 0.0, "p95": 0.0}
    if len(values) == 1:
        return {"p50": round(values[0], 1), "p95": round(values[0], 1)}
    p95 = statistics.quantiles(values, n=20, method="inclusive")[-1]
    return {"p50": round(statistics.median(values), 1), "p95": round(p95, 1)}
