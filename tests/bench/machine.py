"""What the machine is, and what its processes used, as the kernel accounts it."""

import math
import os
import platform
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from tongban.network.interpreter import is_optimized_here
from tongban.protos.signing import sign, verify_signature

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def hardware() -> str:
    """One line: processor, cores, memory, kernel, Python, and how fast it is at what costs most.

    Machines of one name differ; a signature check is nearly all arithmetic, so results of two
    machines can be set in relation by it.
    """
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    gib = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES / 2**30
    load = os.getloadavg()[0]
    return (
        f"{model}, {os.cpu_count()} cores, {gib:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {build_kind()}, load before {load:.1f}, "
        f"one signature check {verification_us():.0f} µs"
    )


def build_kind() -> str:
    """How Python was built; it makes up to a fifth of a difference in a transaction."""
    return "optimized build" if is_optimized_here() else "not optimized (no PGO)"


def verification_us() -> float:
    """CPU time of checking one ECDSA P-256 signature, in microseconds; the best of ten tries."""
    key = ec.generate_private_key(ec.SECP256R1())
    public_key, signature = key.public_key(), sign(key, b"message")
    best = float("inf")
    for _ in range(10):
        began = time.process_time()
        for _ in range(100):
            verify_signature(public_key, b"message", signature)
        best = min(best, time.process_time() - began)
    return best / 100 * 1_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds and resident MiB of one process and of its children."""

    cpu_s: float
    rss_mib: float


def usage(pid: int) -> Usage:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu_s = (int(fields[11]) + int(fields[12])) / TICKS
    return Usage(cpu_s, int(fields[21]) * PAGE_BYTES / 2**20)


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        text = (task / "children").read_text()
        found.extend(int(one) for one in text.split())
    return found


def disk_bytes(directory: Path) -> int:
    """What the files below take on disk."""
    total = 0
    for path in directory.rglob("*"):
        if path.is_file():
            total += path.stat().st_blocks * 512
    return total


def metric(operations_port: int, name: str) -> dict[str, float]:
    """The samples of a metric by their labels, from a node's /metrics."""
    url = f"http://127.0.0.1:{operations_port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    found = {}
    for line in lines:
        if line.startswith(name):
            labels, _, value = line.rpartition(" ")
            found[labels[len(name) :]] = float(value)
    return found


def grown(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What the samples of a counter or histogram have grown by between two readings."""
    return {label: count - before.get(label, 0.0) for label, count in after.items()}


def quantile(buckets: dict[str, float], share: float) -> float:
    """The value below which this share lies, in the histogram's unit; between the bounds of its
    bucket in a straight line, and the highest bound there is if it lies beyond."""
    counts = sorted(
        (float(label.partition('le="')[2].partition('"')[0]), count)
        for label, count in buckets.items()
    )
    wanted = share * counts[-1][1] if counts else 0.0
    if not wanted:
        return 0.0
    low, below = 0.0, 0.0
    for bound, count in counts:
        if count >= wanted:
            return (
                low
                if math.isinf(bound)
                else low + (bound - low) * (wanted - below) / (count - below)
            )
        low, below = bound, count
    raise AssertionError("the last bucket of a histogram holds everything")
