"""A load generator in a process of its own: so many callers, one after the other each, for a time.

    python -m tests.bench.generator '{"directory": …, "callers": 64, "seconds": 5, …}'

Prints one JSON object. Every caller waits for its commit before it begins the next transaction.
"""

import asyncio
import json
import resource
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tongban.network.connections import Connections
from tongban.network.layout import NetworkLayout
from tongban.network.topology import load_topology
from tongban.sdk import TransactionError, aio
from tongban.sdk.errors import EvaluateError

OWNERS = ("Li Na", "Tomoko")


@dataclass
class Tally:
    """What happened."""

    latencies: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)

    def fail(self, text: str) -> None:
        self.failures[text] = self.failures.get(text, 0) + 1


class Load:
    """One run of one kind of call."""

    def __init__(self, contract: aio.Contract, order: dict[str, Any]) -> None:
        self._contract = contract
        self._order = order
        self._tag = f"{time.time_ns():x}"
        self.tally = Tally()

    async def prepare(self) -> None:
        """Assets that transfers and queries need, one a caller."""
        if self._order["operation"] == "create":
            return
        callers = range(self._order["callers"])
        await asyncio.gather(*(self._create(f"{self._tag}-{caller}") for caller in callers))

    async def run(self) -> float:
        """Seconds from the first call to the last answer."""
        started = time.monotonic()
        until = started + self._order["seconds"]
        callers = range(self._order["callers"])
        await asyncio.gather(*(self._call_until(caller, until) for caller in callers))
        return time.monotonic() - started

    async def _call_until(self, caller: int, until: float) -> None:
        number = 0
        while (began := time.monotonic()) < until:
            try:
                await self._call(caller, number)
                self.tally.latencies.append(time.monotonic() - began)
            except (TransactionError, EvaluateError) as error:
                self.tally.fail(str(error)[:200])
            number += 1

    async def _call(self, caller: int, number: int) -> None:
        operation = self._order["operation"]
        if operation == "create":
            await self._create(f"{self._tag}-{caller}-{number}")
        elif operation == "transfer":
            asset = f"{self._tag}-{caller}"
            await self._contract.submit("TransferAsset", asset, OWNERS[number % 2])
        else:
            await self._contract.evaluate("ReadAsset", f"{self._tag}-{caller}")

    async def _create(self, asset: str) -> None:
        await self._contract.submit("CreateAsset", asset, "blue", "5", "Li Na", "300")


async def generate(order: dict[str, Any]) -> dict[str, Any]:
    """Run what is ordered and say what came of it."""
    layout = NetworkLayout(Path(order["directory"]))
    connections = Connections(load_topology(layout.topology), layout)
    organization = connections.topology.organizations[0]
    host, peer = connections.entry_peer(organization)
    gateway = aio.Gateway.connect(
        f"127.0.0.1:{peer.port}",
        connections.identity(organization, "User1"),
        tls=connections.tls(host, peer),
        stream=order["stream"],
    )
    async with gateway:
        channel = connections.topology.channels[0].id
        load = Load(gateway.get_network(channel).get_contract("basic"), order)
        await load.prepare()
        print("ready", flush=True)
        sys.stdin.readline()
        before = _cpu_s()
        seconds = await load.run()
        return {
            "seconds": seconds,
            "cpu_s": _cpu_s() - before,
            "latencies": sorted(load.tally.latencies),
            "failures": load.tally.failures,
        }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    print(json.dumps(asyncio.run(generate(json.loads(sys.argv[1])))))


if __name__ == "__main__":
    main()
