"""A load generator in a process of its own: so many callers, one after the other each, for a time.

    python -m tests.bench.generator '{"directory": …, "operation": "create", "way": "stream", …}'

Prints ``ready``, begins when it is sent a line, and prints one JSON object. Every caller waits for
its commit before it begins the next transaction. The generator is lean, since it works on the same
cores as the network that it measures: it speaks the protocols itself and moves each caller on from
the answers as they come. The way ``sdk`` goes through the SDK instead.
"""

import asyncio
import gc
import json
import resource
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.callers import Calls, Order, Run, Tally
from tests.bench.http2 import Connection
from tests.bench.proposals import Proposer
from tests.bench.sdk_load import SdkLoad, prepare
from tests.bench.stream_load import StreamLoad
from tests.bench.unary_load import UnaryLoad
from tongban.network.connections import Connections
from tongban.network.layout import NetworkLayout
from tongban.network.topology import load_topology
from tongban.sdk import SigningIdentity, Tls, aio

CONTRACT = "basic"

GARBAGE_OBJECTS = 50_000
"""New objects before the collector looks for cycles, of which the lean clients make none."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the callers enter the network, and as whom."""

    address: str
    identity: SigningIdentity
    tls: Tls
    channel_id: str

    def gateway(self) -> aio.Gateway:
        return aio.Gateway.connect(self.address, self.identity, tls=self.tls, stream=True)


def find_entry(directory: str) -> Entry:
    """The first organization's peer and its first user, on the first channel."""
    layout = NetworkLayout(Path(directory))
    connections = Connections(load_topology(layout.topology), layout)
    organization = connections.topology.organizations[0]
    host, peer = connections.entry_peer(organization)
    return Entry(
        f"127.0.0.1:{peer.port}",
        connections.identity(organization, "User1"),
        connections.tls(host, peer),
        connections.topology.channels[0].id,
    )


def generate(order: Order) -> dict[str, Any]:
    """Do what is ordered and say what came of it."""
    entry, calls = find_entry(order.directory), Calls(order.operation)
    if order.way == "sdk":
        return asyncio.run(_generate_through_sdk(entry, order, calls))
    asyncio.run(_prepare(entry, order, calls))
    run = Run(Proposer(entry.identity, entry.channel_id, CONTRACT), order, calls)
    with closing(Connection(entry.address, entry.tls)) as connection:
        kind = StreamLoad if order.way == "stream" else UnaryLoad
        load = kind(connection, run)
        gc.freeze()
        gc.set_threshold(GARBAGE_OBJECTS)
        stopwatch = Stopwatch()
        load.work()
        return stopwatch.report(load.tally)


async def _generate_through_sdk(entry: Entry, order: Order, calls: Calls) -> dict[str, Any]:
    async with entry.gateway() as gateway:
        contract = gateway.get_network(entry.channel_id).get_contract(CONTRACT)
        await prepare(contract, order, calls)
        load = SdkLoad(contract, order, calls)
        stopwatch = Stopwatch()
        await load.work()
        return stopwatch.report(load.tally)


async def _prepare(entry: Entry, order: Order, calls: Calls) -> None:
    async with entry.gateway() as gateway:
        contract = gateway.get_network(entry.channel_id).get_contract(CONTRACT)
        await prepare(contract, order, calls)


class Stopwatch:
    """Says that everything is ready, and runs from the moment that it is told to."""

    def __init__(self) -> None:
        print("ready", flush=True)
        sys.stdin.readline()
        self._cpu_s, self._began = _cpu_s(), time.monotonic()

    def report(self, tally: Tally) -> dict[str, Any]:
        """What happened since then."""
        return {
            "seconds": time.monotonic() - self._began,
            "cpu_s": _cpu_s() - self._cpu_s,
            "latencies": sorted(tally.latencies),
            "failures": tally.failures,
        }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    order = Order(**json.loads(sys.argv[1]))
    print(json.dumps(generate(order)))


if __name__ == "__main__":
    main()
