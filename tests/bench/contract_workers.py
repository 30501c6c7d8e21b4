"""What a transaction of one read and one write costs the node and its worker, without a peer.

Run with ``python -m tests.bench.contract_workers`` from the top folder.
"""

import asyncio
import os
import time
from pathlib import Path

from tests.support.contract_workers import StateTwin, a_bench, a_call, a_package
from tongban.node.runtime.workers.host import WorkerHost

SOURCE = """
class Main(Contract):
    @submit
    def put(self, ctx, key: str, value: str) -> str:
        old = ctx.stub.get_state(key)
        ctx.stub.put_state(key, value.encode())
        return old.decode()
"""

ROUNDS = ((1, 3_000), (16, 500), (64, 300), (256, 100))
"""Transactions in flight, and how many each of them does after the other."""


def child_cpu_s() -> float:
    """CPU used by our only child so far, by the kernel's account."""
    pid = int(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()[0])
    return time.clock_gettime((~pid << 3) | 2)


def a_simulation() -> StateTwin:
    return StateTwin({"k": b"v"})


async def repeat(host: WorkerHost, name: str, count: int) -> None:
    call = a_call("put", "k", "value", tx_id=name)
    for _ in range(count):
        await host.execute(call, a_simulation)


async def main() -> None:
    async with a_bench(a_package(SOURCE)) as bench:
        begun = time.perf_counter()
        await bench.run("put", "k", "v")
        print(f"start of a worker: {time.perf_counter() - begun:.2f} s")
        for in_flight, count in ROUNDS:
            before = time.perf_counter(), time.process_time(), child_cpu_s()
            tasks = (repeat(bench.host, f"t{n}", count) for n in range(in_flight))
            await asyncio.gather(*tasks)
            after = time.perf_counter(), time.process_time(), child_cpu_s()
            wall, node, worker = (b - a for a, b in zip(before, after, strict=True))
            total = in_flight * count
            print(
                f"{in_flight:4} in flight: {total / wall:7.0f} tx/s, CPU per transaction: "
                f"node {node / total * 1e6:5.1f} µs, worker {worker / total * 1e6:5.1f} µs"
            )


if __name__ == "__main__":
    asyncio.run(main())
