"""Throughput, latency and cost of transactions and queries on a two-organization network."""

import itertools
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.callers import Operation, Way
from tests.bench.machine import (
    children,
    disk_bytes,
    grown,
    metric,
    quantile,
    usage,
    verification_us,
)
from tests.support.networks import RunningNetwork

GENERATOR_SECONDS_MAX = 120.0
"""Beyond the ordered duration: preparing, and answers that come late."""


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    operation: Operation
    way: Way
    callers: int


@dataclass(frozen=True, slots=True)
class Result:
    """What one row measured; CPU in milliseconds a transaction by the kernel's accounting."""

    operation: str
    way: str
    callers: int
    per_second: float
    p50_ms: float
    p95_ms: float
    cpu_ms: dict[str, float]
    failures: dict[str, int]
    disk_bytes_per_tx: float
    lag_p99_ms: dict[str, float]
    """Of each node's event loop, during this run."""

    check_us: float
    """One signature check, alone on the machine: the mean of before and after this run."""

    @property
    def cpu_ms_total(self) -> float:
        return sum(self.cpu_ms.values())


def cases(callers: tuple[int, ...]) -> Iterator[Case]:
    """Every operation in both ways; and at the most callers, what it is through the SDK."""
    operations: tuple[Operation, ...] = ("create", "transfer", "query")
    ways: tuple[Way, ...] = ("stream", "unary")
    for operation, way, count in itertools.product(operations, ways, callers):
        yield Case(operation, way, count)
        if operation == "create" and way == "stream" and count == max(callers):
            yield Case(operation, "sdk", count)


class Meter:
    """CPU of every process of the network between two readings."""

    def __init__(self, network: RunningNetwork) -> None:
        self._network = network
        self._before = self._read()

    def _read(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for node in self._network.control.status():
            if node.pid is None:
                continue
            found[node.name] = usage(node.pid).cpu_s
            for worker in children(node.pid):
                found[f"worker of {node.name}"] = usage(worker).cpu_s
        return found

    def milliseconds_each(self, count: int) -> dict[str, float]:
        after = self._read()
        return {
            name: round(1000 * (cpu - self._before.get(name, 0.0)) / max(count, 1), 4)
            for name, cpu in after.items()
        }


class Lag:
    """How late the event loops of all nodes were between two readings."""

    def __init__(self, network: RunningNetwork) -> None:
        self._network = network
        self._before = self._read()

    def _read(self) -> dict[str, dict[str, float]]:
        return {
            name: metric(node.operations_port, "tongban_loop_lag_seconds_bucket")
            for name, node in self._network.topology.nodes()
        }

    def p99_ms(self) -> dict[str, float]:
        return {
            name: round(1000 * quantile(grown(self._before[name], after), 0.99), 1)
            for name, after in self._read().items()
        }


def measure(network: RunningNetwork, case: Case, seconds: float) -> Result:
    """Run one case once."""
    order = {
        "directory": str(network.layout.root),
        "operation": case.operation,
        "way": case.way,
        "callers": case.callers,
        "seconds": seconds,
    }
    data = network.layout.node(network.peer_names()[0]) / "data"
    check_before_us = verification_us()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.generator", json.dumps(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as generator:
        assert generator.stdout is not None and generator.stdin is not None
        assert generator.stdout.readline() == "ready\n", "the generator did not start"
        network.wait_for_equal_heights(network.topology.channels[0].id)
        meter, lag, disk_before = Meter(network), Lag(network), disk_bytes(data)
        output, _ = generator.communicate("go\n", timeout=seconds + GENERATOR_SECONDS_MAX)
    found: dict[str, Any] = json.loads(output)
    latencies = found["latencies"]
    count = len(latencies)
    cpu = meter.milliseconds_each(count)
    cpu["client"] = round(1000 * found["cpu_s"] / max(count, 1), 4)
    written = disk_bytes(data) - disk_before
    return Result(
        operation=case.operation,
        way=case.way,
        callers=case.callers,
        per_second=round(count / found["seconds"], 1),
        p50_ms=_at(latencies, 0.50),
        p95_ms=_at(latencies, 0.95),
        cpu_ms=cpu,
        failures=found["failures"],
        disk_bytes_per_tx=round(written / max(count, 1), 1),
        lag_p99_ms=lag.p99_ms(),
        check_us=round((check_before_us + verification_us()) / 2, 1),
    )


def measure_median(network: RunningNetwork, case: Case, seconds: float, rounds: int) -> Result:
    """The run with the median throughput of so many."""
    results = [measure(network, case, seconds) for _ in range(rounds)]
    middle = statistics.median_low([result.per_second for result in results])
    return next(result for result in results if result.per_second == middle)


def to_json(result: Result) -> dict[str, Any]:
    return {**asdict(result), "cpu_ms_total": round(result.cpu_ms_total, 4)}


def memory(network: RunningNetwork) -> dict[str, float]:
    """Resident MiB of every node and worker."""
    found: dict[str, float] = {}
    for node in network.control.status():
        if node.pid is not None:
            found[node.name] = round(usage(node.pid).rss_mib, 1)
            for worker in children(node.pid):
                found[f"worker of {node.name}"] = round(usage(worker).rss_mib, 1)
    return found


def _at(latencies: list[float], share: float) -> float:
    if not latencies:
        return 0.0
    return round(1000 * latencies[min(len(latencies) - 1, int(share * len(latencies)))], 2)
