"""``make bench``: prints what the network does on this machine, as a table and as JSON."""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench import size
from tests.bench.machine import hardware
from tests.bench.size import BLOCKS, KEYS
from tests.bench.throughput import Result, cases, measure_median, memory, to_json
from tests.support.networks import RunningNetwork, on_free_ports
from tongban.network.layout import NetworkLayout
from tongban.network.start import StartOptions, bring_up
from tongban.network.topology import Topology, load_profile

BOTH = "AND('Org1MSP.peer','Org2MSP.peer')"


@dataclass(frozen=True, slots=True)
class Floor:
    """What must be reached: operation, way, callers, and transactions a second."""

    operation: str
    way: str
    callers: int
    per_second: float


FLOORS = (
    Floor("create", "stream", 256, 1_000),
    Floor("create", "unary", 256, 400),
    Floor("query", "stream", 256, 3_000),
    Floor("query", "unary", 256, 1_500),
)
LATENCY_MS_MAX = 25.0
"""Median of one caller's create."""

REFERENCE_CHECK_US = 44.0
"""One signature check on the two cores for which these were set."""


def start(topology: Topology, layout: NetworkLayout) -> tuple[RunningNetwork, float]:
    began = time.monotonic()
    bring_up(topology, layout, StartOptions(), lambda step: None)
    return RunningNetwork(topology, layout), time.monotonic() - began


def show(console: Console, results: list[Result]) -> None:
    table = Table(
        *("call", "way", "callers", "per s", "p50 ms", "p95 ms", "CPU ms", "lag p99 ms"),
        *("check µs", "failed"),
    )
    for result in results:
        cells: list[object] = [
            result.operation,
            result.way,
            result.callers,
            f"{result.per_second:.0f}",
            result.p50_ms,
            result.p95_ms,
            f"{result.cpu_ms_total:.2f}",
            max(result.lag_p99_ms.values()),
            result.check_us,
            sum(result.failures.values()),
        ]
        table.add_row(*map(str, cells))
    console.print(table)
    costs = Table("CPU ms a call", *sorted(results[0].cpu_ms))
    for result in results:
        label = f"{result.operation} {result.way} {result.callers}"
        costs.add_row(label, *(f"{result.cpu_ms[name]:.3f}" for name in sorted(result.cpu_ms)))
    console.print(costs)


def floors_missed(results: list[Result]) -> list[str]:
    missed = []
    found = {(r.operation, r.way, r.callers): r for r in results}
    for floor in FLOORS:
        result = found.get((floor.operation, floor.way, floor.callers))
        if result is not None and result.per_second < floor.per_second:
            missed.append(
                f"{floor.operation} {floor.way} at {floor.callers}: {result.per_second:.0f}/s, "
                f"at least {floor.per_second:.0f}/s are wanted "
                f"(set where a signature check takes {REFERENCE_CHECK_US:.0f} µs; "
                f"here it took {result.check_us:.0f})"
            )
    alone = found.get(("create", "stream", 1))
    if alone is not None and alone.p50_ms > LATENCY_MS_MAX:
        missed.append(f"one caller: {alone.p50_ms} ms, at most {LATENCY_MS_MAX} ms are wanted")
    return missed


def run(options: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything that is asked for."""
    report: dict[str, Any] = {"hardware": hardware(), "seconds": options.seconds}
    say(report["hardware"])
    with tempfile.TemporaryDirectory(prefix="tongban-bench-") as directory:
        layout = NetworkLayout(Path(directory) / "network")
        topology = on_free_ports(load_profile("two-org"))
        network, report["up_from_nothing_s"] = start(topology, layout)
        network.control.down()
        network, report["up_with_material_s"] = start(topology, layout)
        try:
            network.deploy("mychannel", "samples/asset_transfer", BOTH)
            results = []
            for case in cases(tuple(options.callers)):
                if options.only and options.only not in case.operation:
                    continue
                result = measure_median(network, case, options.seconds, options.rounds)
                results.append(result)
                say(f"{result.operation} {result.way} {result.callers}: {result.per_second}/s")
            report["memory_mib"] = memory(network)
        finally:
            network.control.down()
    report["results"] = [to_json(result) for result in results]
    report["floors_missed"] = floors_missed(results)
    show(Console(width=160), results)
    if options.minutes and not options.only:
        report["size"] = measure_size(options.minutes, say)
        report["floors_missed"] += report["size"]["missed"]
    return report


def measure_size(minutes: float, say: Callable[[str], None]) -> dict[str, Any]:
    """A peer with a million keys, killed, started again, and under load for so long."""
    say(f"{KEYS} keys in {BLOCKS} blocks, then {minutes} minutes of load")
    with tempfile.TemporaryDirectory(prefix="tongban-size-") as directory:
        found = size.measure(Path(directory), KEYS, BLOCKS, 60 * minutes)
    say(f"start {found.start_seconds:.1f} s, at most {found.peak_mib:.0f} MiB")
    return asdict(found) | {"missed": size.bounds_missed(found)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run")
    parser.add_argument("--rounds", type=int, default=1, help="runs; the median counts")
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--only", help="create, transfer or query")
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="of load on a peer with a million keys; 0: none"
    )
    options = parser.parse_args()
    report = run(options, lambda line: print(line, flush=True))
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
