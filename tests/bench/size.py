"""How a peer bears a large ledger: ``python -m tests.bench.size [--keys N] [--minutes M] …``.

Writes the history through validation and commit, starts the network, kills a peer with SIGKILL,
starts it again, and lets clients work for some minutes. Prints JSON: seconds of the start, and the
memory of the peer after it and at its highest under load.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.support.big_ledger import Historian, History, key_of
from tests.support.load import CHANNEL, CONTRACT, SOURCE, connect, counter_of
from tests.support.networks import RunningNetwork, running
from tests.support.processes import descendants, resident_bytes, resident_bytes_max
from tongban.network.health import is_healthy
from tongban.network.readiness import wait_until_healthy
from tongban.network.topology import load_profile
from tongban.sdk import EvaluateError, TransactionError

BOTH = "AND('Org1MSP.peer','Org2MSP.peer')"
KEYS = 1_000_000
BLOCKS = 10_000
CALLERS = 32
START_SECONDS_WANTED = 5.0
MEMORY_MIB_WANTED = 300.0
START_SECONDS_MAX = 120.0
MIB = 1024 * 1024


@dataclass
class Measured:
    """What came out."""

    keys: int
    blocks: int
    fill_seconds: float = 0.0
    ledger_mib: float = 0.0
    start_seconds: float = 0.0
    """From the exec of the killed peer's successor until it says that it is healthy."""
    started_mib: float = 0.0
    peak_mib: float = 0.0
    """Most resident memory of the peer since its start."""
    workers_mib: float = 0.0
    load_seconds: float = 0.0
    transactions: int = 0
    queries: int = 0
    failures: int = 0


def measure(directory: Path, keys: int, blocks: int, load_seconds: float) -> Measured:
    """Everything, on a network of its own in ``directory``."""
    found = Measured(keys, blocks)
    with running(load_profile("two-org"), directory) as network:
        network.deploy(CHANNEL, SOURCE, BOTH)
        network.wait_for_equal_heights(CHANNEL)
        names = [name for name, _ in network.topology.nodes()]
        network.control.stop(*names)
        started = time.monotonic()
        Historian(network, History(CHANNEL, CONTRACT, keys, blocks)).write()
        found.fill_seconds = time.monotonic() - started
        network.control.start(*names)
        wait_until_healthy(network.topology, network.control)
        peer = network.peer_names()[0]
        ledger = network.ledger_directory(peer, CHANNEL)
        files = [file for file in ledger.rglob("*") if file.is_file()]
        found.ledger_mib = sum(file.stat().st_size for file in files) / MIB
        asyncio.run(work(network, keys, 2.0, found))  # so that it is killed while it writes
        found.start_seconds = restart(network, peer)
        pid = network.pid(peer)
        found.started_mib = resident_bytes(pid) / MIB
        found.transactions = found.queries = found.failures = 0
        wait_until_healthy(network.topology, network.control)
        asyncio.run(work(network, keys, load_seconds, found))
        found.load_seconds = load_seconds
        found.peak_mib = resident_bytes_max(pid) / MIB
        found.workers_mib = sum(resident_bytes(child) for child in descendants(pid)) / MIB
    return found


def restart(network: RunningNetwork, peer: str) -> float:
    """Kill the peer; how long its successor takes until it serves."""
    before = network.pid(peer)
    port = dict(network.topology.nodes())[peer].operations_port
    network.control.kill(peer)
    deadline = time.monotonic() + START_SECONDS_MAX
    while not any(
        node.name == peer and node.pid not in (None, before) for node in network.control.status()
    ):
        assert time.monotonic() < deadline, "it was not started again"
    started = time.monotonic()
    while not is_healthy(port):
        assert time.monotonic() < deadline, f"not healthy within {START_SECONDS_MAX} s"
        time.sleep(0.005)
    return time.monotonic() - started


async def work(network: RunningNetwork, keys: int, seconds: float, found: Measured) -> None:
    """Callers that write and read keys of the whole ledger."""
    organization = network.topology.organizations[0]
    end = time.monotonic() + seconds

    async with connect(network, organization, organization.peers[0]) as gateway:
        contract = counter_of(gateway)

        async def call(seed: int) -> None:
            chance = random.Random(seed)
            while time.monotonic() < end:
                key = key_of(chance.randrange(keys))
                try:
                    if seed % 2:
                        await contract.submit("Put", key, f"value-{seed}")
                        found.transactions += 1
                    else:
                        assert await contract.evaluate("Get", key)
                        found.queries += 1
                except (TransactionError, EvaluateError):
                    found.failures += 1

        await asyncio.gather(*(call(seed) for seed in range(CALLERS)))


def bounds_missed(found: Measured) -> list[str]:
    """What is slower or larger than wanted, in words."""
    missed = []
    if found.start_seconds > START_SECONDS_WANTED:
        missed.append(
            f"start: {found.start_seconds:.1f} s, at most {START_SECONDS_WANTED} s wanted"
        )
    if found.peak_mib > MEMORY_MIB_WANTED:
        missed.append(f"memory: {found.peak_mib:.0f} MiB, at most {MEMORY_MIB_WANTED:.0f} wanted")
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.bench.size")
    parser.add_argument("--keys", type=int, default=KEYS)
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    parser.add_argument("--minutes", type=float, default=5.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tongban-size-") as directory:
        found = measure(Path(directory), options.keys, options.blocks, 60 * options.minutes)
    json.dump(asdict(found), sys.stdout, indent=2)
    print()
    missed = bounds_missed(found)
    print("\n".join(missed), file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
