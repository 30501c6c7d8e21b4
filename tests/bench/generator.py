"""A load generator in a process of its own: so many callers, one after the other each, for a time.

    python -m tests.bench.generator '{"directory": …, "operation": "create", "way": "stream", …}'

Prints ``ready``, begins when it is sent a line, and prints one JSON object. Every caller waits for
its commit before it begins the next transaction. The generator is lean, since it works on the same
cores as the network that it measures: it speaks the protocols itself and moves each caller on from
the answers as they come. The way ``sdk`` goes through the SDK instead.
"""

import asyncio
import json
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from tests.bench.callers import Calls, Order, Run
from tests.bench.proposals import Proposer
from tests.bench.sdk_load import SdkLoad, prepare
from tests.bench.stream_load import StreamLoad
from tests.bench.unary_load import UnaryLoad
from tongban.network.connections import Connections
from tongban.network.layout import NetworkLayout
from tongban.network.topology import load_topology
from tongban.sdk import SigningIdentity, Tls, aio
from tongban.sdk.channel import channel_options

CONTRACT = "basic"


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the callers enter the network, and as whom."""

    address: str
    identity: SigningIdentity
    tls: Tls
    channel_id: str


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


async def generate(order: Order) -> dict[str, Any]:
    """Do what is ordered and say what came of it."""
    entry, calls = find_entry(order.directory), Calls(order.operation)
    gateway = aio.Gateway.connect(entry.address, entry.identity, tls=entry.tls, stream=True)
    async with gateway:
        contract = gateway.get_network(entry.channel_id).get_contract(CONTRACT)
        await prepare(contract, order, calls)
        if order.way == "sdk":
            return await _timed(SdkLoad(contract, order, calls))
    proposer = Proposer(entry.identity, entry.channel_id, CONTRACT)
    run = Run(proposer, order, calls)
    options = channel_options(entry.tls)
    credentials = entry.tls.credentials()
    async with grpc.aio.secure_channel(entry.address, credentials, options) as channel:
        load = StreamLoad(channel, run) if order.way == "stream" else UnaryLoad(channel, run)
        await load.connect()
        return await _timed(load)


async def _timed(load: StreamLoad | UnaryLoad | SdkLoad) -> dict[str, Any]:
    print("ready", flush=True)
    sys.stdin.readline()
    cpu_s, began = _cpu_s(), time.monotonic()
    await load.work()
    return {
        "seconds": time.monotonic() - began,
        "cpu_s": _cpu_s() - cpu_s,
        "latencies": sorted(load.tally.latencies),
        "failures": load.tally.failures,
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    order = Order(**json.loads(sys.argv[1]))
    print(json.dumps(asyncio.run(generate(order))))


if __name__ == "__main__":
    main()
