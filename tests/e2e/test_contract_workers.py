"""Contracts in real worker processes: calls, concurrency, starting, stopping, starting again."""

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from tests.support.contract_workers import Bench, StateTwin, a_bench, a_call, a_package
from tests.support.gateway_ports import until
from tongban.contracts.packaging import build_project
from tongban.node.core.errors import Overloaded, ShuttingDown
from tongban.node.core.package import PythonPackage, parse_python_package
from tongban.node.runtime.contract_host import (
    ContractEvent,
    ContractNotLaunched,
    ContractTimedOut,
    Response,
    SimulationLost,
    StateWrite,
    WriteKind,
)
from tongban.node.runtime.workers import worker as worker_module
from tongban.node.runtime.workers.fences import FENCES, HELD, make_undumpable
from tongban.node.runtime.workers.probe import describe_fences
from tongban.node.runtime.workers.settings import WorkerSettings
from tongban.protos.errors import TongbanError

SOURCE = """
import decimal
import logging
real = logging.__builtins__["__import__"]

class Main(Contract):
    @submit
    def put(self, ctx, key: str, value: str) -> str:
        old = ctx.stub.get_state(key)
        ctx.stub.put_state(key, value.encode())
        ctx.stub.set_event("put", key.encode())
        print("put 键", key)
        logging.getLogger("main").warning("line one\\nline two")
        return old.decode()

    @submit
    def refuse(self, ctx) -> str:
        ctx.stub.put_state("k", b"lost")
        raise ValueError("坏了")

    @submit
    def read_refused(self, ctx) -> str:
        ctx.stub.put_state("k", b"lost")
        return ctx.stub.get_state("refused").decode()

    @evaluate
    def precision(self, ctx, new: int) -> int:
        old = decimal.getcontext().prec
        decimal.getcontext().prec = new
        return old

    @submit
    def surrogate(self, ctx) -> str:
        ctx.stub.get_state("\\ud800")
        return "read"

    @evaluate
    def count(self, ctx, start: str, end: str) -> int:
        return sum(1 for _ in ctx.stub.get_state_by_range(start, end))

    @evaluate
    def secret(self, ctx) -> str:
        return ctx.stub.transient["secret"].hex() + ctx.stub.signed_proposal.decode()

    @submit
    def call(self, ctx, name: str, argument: str) -> str:
        ctx.stub.put_state("before", b"1")
        response = ctx.stub.invoke_chaincode(name, ["put", argument, "inner"])
        ctx.stub.put_state("after", b"2")
        return f"{response.status} {response.payload.decode()}"

    @submit
    def wait(self, ctx) -> str:
        ctx.stub.invoke_chaincode("other", ["put"])
        return "waited"

    @submit
    def leave(self, ctx) -> str:
        real("os")._exit(3)
        return "alive"

    @submit
    def compute(self, ctx, seconds: float) -> str:
        until = real("time").monotonic() + seconds
        while real("time").monotonic() < until:
            pass
        return "computed"
"""

PACKAGE = a_package(SOURCE)
slow = pytest.mark.slow
Scenario = Callable[[Bench], Awaitable[None]]


def run(
    scenario: Scenario, settings: WorkerSettings | None = None, package: PythonPackage = PACKAGE
) -> None:
    async def main() -> None:
        async with a_bench(package, settings) as bench, asyncio.timeout(20):
            await scenario(bench)

    asyncio.run(main())


def worker_pid(bench: Bench) -> int:
    """Of the only worker, found as an operator would: among our children."""
    assert len(children()) == bench.host.status()[0].starts == 1
    return children()[0]


def all_children() -> set[int]:
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return {int(word) for word in text.split()}


OTHERS: set[int] = set()
"""Children of this process that were there before the test, such as those of a shared network."""


@pytest.fixture(autouse=True)
def tell_others_apart() -> None:
    OTHERS.clear()
    OTHERS.update(all_children())


def children() -> list[int]:
    """Those that the test has started."""
    return sorted(all_children() - OTHERS)


def test_a_contract_reads_writes_tells_and_fails(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def scenario(bench: Bench) -> None:
        bench.committed = {"k": b"old"} | {f"r{n:03}": b"v" for n in range(250)}
        result = await bench.run("put", "k", "new")
        assert result.response == Response(200, "", b"old")
        assert result.event == ContractEvent("put", b"k")
        assert bench.last().writes == [StateWrite(WriteKind.PUT, "k", b"new")]

        failed = await bench.run("refuse", tx_id="failed")
        assert (failed.response.status, failed.event) == (500, None)
        assert "坏了" in failed.response.message
        refused = await bench.run("read_refused", tx_id="refused")
        assert refused.response.status == 500
        assert "not for you" in refused.response.message
        assert bench.last("failed").writes == bench.last("refused").writes == []
        assert (await bench.run("surrogate")).response.status == 500

        for _ in range(2):  # nothing of a transaction is left for the next one
            assert (await bench.run("precision", "5")).response.payload == b"28"
        assert (await bench.run("count", "r", "s")).response.payload == b"250"
        secret = (await bench.run("secret")).response.payload
        assert secret == b"00ffsigned proposal"
        assert bench.host.status()[0].starts == 1

    run(scenario)
    lines = [record.getMessage() for record in caplog.records if record.name == "tongban.contract"]
    assert lines[:3] == ["main [tx] put 键 k", "main [tx] line one", "main [tx] line two"]


def test_the_sample_runs_as_it_is_packaged() -> None:
    sample = Path(__file__).parents[2] / "contracts/samples/asset_transfer"
    package = parse_python_package(build_project(sample).content)

    async def scenario(bench: Bench) -> None:
        assert (await bench.run("InitLedger", tx_id="init")).response.status == 200
        bench.committed = bench.last("init").values()
        assets = json.loads((await bench.run("GetAllAssets")).response.payload)
        assert sorted(asset["ID"] for asset in assets) == sorted(bench.committed)
        missing = await bench.run("ReadAsset", "none")
        assert missing.response.status == 500
        assert "none" in missing.response.message

    run(scenario, package=package)


@slow
def test_many_transactions_wait_side_by_side_in_one_worker() -> None:
    async def scenario(bench: Bench) -> None:
        gate = asyncio.Event()
        inside = 0

        async def invoke(name: str, channel: str, args: Sequence[bytes]) -> Response:
            nonlocal inside
            inside += 1
            if inside == 50:
                gate.set()
            await gate.wait()
            return Response(200)

        bench.invoke = invoke
        results = await asyncio.gather(*(bench.run("wait", tx_id=f"t{n}") for n in range(50)))
        assert {result.response.payload for result in results} == {b"waited"}
        assert bench.host.status()[0].starts == 1

    run(scenario)


def test_writes_before_an_inner_call_are_applied_before_it() -> None:
    async def scenario(bench: Bench) -> None:
        seen: list[list[str]] = []

        async def invoke(name: str, channel: str, args: Sequence[bytes]) -> Response:
            twin = bench.last("outer")
            seen.append([write.key for write in twin.writes])
            call = a_call(*args, tx_id="outer")
            return (await bench.host.execute(call, lambda: twin)).response

        bench.invoke = invoke
        result = await bench.run("call", "main", "k", tx_id="outer")
        assert result.response.payload == b"200 "
        assert seen == [["before"]]
        assert [write.key for write in bench.last("outer").writes] == ["before", "k", "after"]

    # The inner call does not wait for the place that the outer one has.
    run(scenario, WorkerSettings(in_flight_max=1))


@slow
def test_an_inner_call_that_lost_its_worker_begins_the_outer_one_again() -> None:
    async def scenario(bench: Bench) -> None:
        attempts = 0

        async def invoke(name: str, channel: str, args: Sequence[bytes]) -> Response:
            nonlocal attempts
            attempts += 1
            if attempts == 1:
                raise SimulationLost
            return Response(200, "", b"inner")

        bench.invoke = invoke
        result = await bench.run("call", "other", "k", tx_id="outer")
        assert result.response.payload == b"200 inner"
        _, second = bench.simulations["outer"]
        assert [write.key for write in second.writes] == ["before", "after"]
        assert bench.host.status()[0].starts == 1

    run(scenario)


@slow
def test_a_fault_below_the_contract_reaches_the_caller() -> None:
    class Broken(StateTwin):
        def get_state(self, key: str, collection: str = "") -> bytes | None:
            raise AssertionError("the disk lies")

    async def scenario(bench: Bench) -> None:
        with pytest.raises(AssertionError, match="the disk lies"):
            await bench.host.execute(a_call("put", "k", "v"), lambda: Broken({}))
        assert (await bench.run("put", "k", "v")).response.status == 200

    run(scenario)


@slow
def test_a_call_that_is_cancelled_leaves_its_place_and_the_worker() -> None:
    async def scenario(bench: Bench) -> None:
        entered, ended = asyncio.Event(), asyncio.Event()

        async def invoke(name: str, channel: str, args: Sequence[bytes]) -> Response:
            entered.set()
            try:
                await asyncio.sleep(60)
            finally:
                ended.set()
            raise AssertionError

        bench.invoke = invoke
        task = asyncio.create_task(bench.run("wait", tx_id="cancelled"))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await ended.wait()
        status = bench.host.status()[0]
        assert (status.in_flight, status.waiting) == (0, 0)
        assert (await bench.run("put", "k", "v")).response.status == 200
        assert bench.host.status()[0].starts == 1

    run(scenario, WorkerSettings(in_flight_max=1))


@slow
def test_a_transaction_that_waits_too_long_fails_and_the_worker_stays() -> None:
    async def scenario(bench: Bench) -> None:
        async def invoke(name: str, channel: str, args: Sequence[bytes]) -> Response:
            await asyncio.sleep(60)
            raise AssertionError

        bench.invoke = invoke
        with pytest.raises(ContractTimedOut, match="timeout expired while executing transaction"):
            await bench.run("wait")
        assert (await bench.run("put", "k", "v")).response.status == 200
        assert bench.host.status()[0].starts == 1

    run(scenario, WorkerSettings(execute_timeout_s=0.6, hold_max_s=0.1))


@slow
def test_calls_beyond_the_queue_are_refused_and_the_others_served() -> None:
    async def scenario(bench: Bench) -> None:
        tasks = [asyncio.create_task(bench.run("put", "k", "v", tx_id=f"t{n}")) for n in range(6)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        refused = [result for result in results if isinstance(result, Overloaded)]
        assert len(refused) == 2
        assert sum(not isinstance(result, BaseException) for result in results) == 4
        assert len(bench.simulations) == 4

    run(scenario, WorkerSettings(in_flight_max=2, waiting_max=2))


@slow
def test_who_has_given_up_waiting_takes_no_room_in_the_queue() -> None:
    async def scenario(bench: Bench) -> None:
        inside, again = asyncio.Event(), asyncio.Event()

        async def invoke(name: str, channel: str, args: Sequence[bytes]) -> Response:
            inside.set()
            await again.wait()
            return Response(200)

        bench.invoke = invoke
        first = asyncio.create_task(bench.run("wait", tx_id="first"))
        await inside.wait()
        for number in range(3):
            waiting = asyncio.create_task(bench.run("put", "k", "v", tx_id=f"t{number}"))
            await until(lambda: bench.host.status()[0].waiting == 1)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert bench.host.status()[0].waiting == 0
        last = asyncio.create_task(bench.run("put", "k", "v", tx_id="last"))
        await until(lambda: bench.host.status()[0].waiting == 1)
        again.set()
        results = await asyncio.gather(first, last)
        assert [result.response.status for result in results] == [200, 200]
        assert bench.host.status()[0].in_flight == 0

    run(scenario, WorkerSettings(in_flight_max=1, waiting_max=1))


@slow
def test_a_worker_killed_from_outside_is_started_again_and_nobody_notices() -> None:
    async def scenario(bench: Bench) -> None:
        inside = 0
        all_inside, again = asyncio.Event(), asyncio.Event()

        async def invoke(name: str, channel: str, args: Sequence[bytes]) -> Response:
            nonlocal inside
            inside += 1
            if inside == 30:
                all_inside.set()
            await again.wait()
            return Response(200)

        bench.invoke = invoke
        calls = asyncio.gather(*(bench.run("wait", tx_id=f"t{n}") for n in range(30)))
        await all_inside.wait()
        os.kill(worker_pid(bench), signal.SIGKILL)
        again.set()
        assert {result.response.payload for result in await calls} == {b"waited"}
        assert bench.host.status()[0].starts == 2
        assert all(len(bench.simulations[f"t{n}"]) == 2 for n in range(30))

    run(scenario)


@slow
def test_who_computes_long_gets_its_answer_and_the_others_do_not_wait() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.run("put", "k", "v")
        long = asyncio.create_task(bench.run("compute", "3", tx_id="long"))
        await asyncio.sleep(0.05)
        assert (await bench.run("put", "k", "v", tx_id="short")).response.status == 200
        assert not long.done()
        assert (await long).response.payload == b"computed"
        assert len(bench.simulations["long"]) == 1
        assert bench.host.status()[0].starts == 2

    run(scenario, WorkerSettings(hold_max_s=0.2))


@slow
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("class Main(Contract:", "SyntaxError"),
        ("import socket", "may not import 'socket': a contract has no network"),
        ("x = 1", "expected a class derived from Contract"),
        ("raise ValueError('at import')", "at import"),
        ("while True: pass", "did not load within"),
    ],
)
def test_a_package_that_cannot_be_loaded_says_why(source: str, reason: str) -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(ContractNotLaunched, match=reason):
            await bench.run("put", "k", "v")
        with pytest.raises(ContractNotLaunched, match=reason):
            await bench.run("put", "k", "v")
        assert bench.host.status()[0].starts == 1, "not tried again at once"
        assert bench.simulations == {}

    run(scenario, WorkerSettings(start_timeout_s=1.5), a_package(source))


@slow
def test_what_a_worker_cannot_honour_is_refused_with_the_remedy() -> None:
    newer_api = PythonPackage("main_1", 99, (3, 11), PACKAGE.modules, PACKAGE.sources)
    newer_python = PythonPackage("main_1", 1, (3, 99), PACKAGE.modules, PACKAGE.sources)

    async def scenario(bench: Bench) -> None:
        with pytest.raises(ContractNotLaunched, match=r"needs (contract API 99|Python 3\.99)"):
            await bench.run("put", "k", "v")

    run(scenario, package=newer_api)
    run(scenario, package=newer_python)


@slow
def test_a_package_that_is_not_installed_is_refused() -> None:
    def find(package_id: str) -> PythonPackage:
        raise TongbanError(f"no package {package_id}")

    async def scenario(bench: Bench) -> None:
        bench.host._find_package = find
        with pytest.raises(ContractNotLaunched, match="no package main_1:00"):
            await bench.run("put", "k", "v")

    run(scenario)


def test_every_fence_holds_here_or_says_why_not() -> None:
    fences = describe_fences()
    assert tuple(fences) == FENCES
    assert all(fences.values())

    async def scenario(bench: Bench) -> None:
        await bench.run("put", "k", "v")
        assert bench.host.status()[0].fences == fences

    run(scenario)


def test_a_required_sandbox_with_a_missing_fence_runs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "missing_fences", lambda _: {"files": "no Landlock"})

    async def scenario(bench: Bench) -> None:
        with pytest.raises(
            ContractNotLaunched, match=r"sandbox is required .* files \(no Landlock"
        ):
            await bench.run("put", "k", "v")
        assert bench.simulations == {}

    run(scenario, WorkerSettings(sandbox="required"))


@slow
@pytest.mark.parametrize("is_running", [True, False])
def test_a_closed_host_has_no_children_and_takes_no_calls(is_running: bool) -> None:
    async def main() -> None:
        async with a_bench(PACKAGE) as bench:
            entered = asyncio.Event()

            async def invoke(name: str, channel: str, args: Sequence[bytes]) -> Response:
                entered.set()
                never: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
                return await never

            bench.invoke = invoke
            call = asyncio.create_task(bench.run("wait", tx_id="a"))
            if is_running:
                await entered.wait()
            else:
                await asyncio.sleep(0)
            await bench.host.close()
            with pytest.raises(ShuttingDown):
                await call
            with pytest.raises(ShuttingDown):
                await bench.run("put", "k", "v")
        assert children() == []

    asyncio.run(main())


@slow
def test_workers_end_with_their_node_even_while_they_spin() -> None:
    script = """
    import asyncio, pathlib, os
    from tests.support.contract_workers import a_bench
    from tests.e2e.test_contract_workers import PACKAGE
    async def main():
        async with a_bench(PACKAGE) as bench:
            await bench.run("put", "k", "v")
            task = asyncio.create_task(bench.run("compute", "60"))
            await asyncio.sleep(0.3)
            print(pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text(), flush=True)
            await task
    asyncio.run(main())
    """
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=root, stdout=subprocess.PIPE, text=True
    ) as node:
        assert node.stdout is not None
        child = int(node.stdout.readline())
        descriptor = os.pidfd_open(child)
        node.kill()
        node.wait()
    try:
        # Readable when the process has ended.
        assert asyncio.run(_readable(descriptor))
    finally:
        os.close(descriptor)


async def _readable(descriptor: int) -> bool:
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_reader(descriptor, event.set)
    try:
        async with asyncio.timeout(5):
            await event.wait()
    finally:
        loop.remove_reader(descriptor)
    return True


@slow
def test_an_undumpable_node_hides_its_memory_from_its_user() -> None:
    script = f"""
    from {make_undumpable.__module__} import make_undumpable
    import ctypes, resource
    make_undumpable()
    print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE)[0])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["0", "0"]
    assert HELD == "held"
