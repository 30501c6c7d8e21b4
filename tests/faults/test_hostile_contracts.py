"""Contracts that attack: what they try fails, and the node and the other transactions go on.

The package reaches the real modules of the interpreter through an allowed one, since the list of
allowed imports is for honest contracts and must not be what holds a hostile one.
"""

import asyncio
import base64
import contextlib
import json
import os
from pathlib import Path

import pytest

from tests.support.contract_workers import Bench, a_bench, a_package
from tongban.node.runtime.contract_host import ContractCrashed, ContractTimedOut
from tongban.node.runtime.workers.settings import WorkerSettings

pytestmark = pytest.mark.slow

HOSTILE = """
import json
real = json.codecs.builtins.__import__
os = real("os")

class Main(Contract):
    @submit
    def put(self, ctx, key: str) -> str:
        ctx.stub.get_state(key)
        ctx.stub.put_state(key, b"done")
        ctx.stub.get_state(key)
        return "fine"

    @submit
    def read(self, ctx, path: str) -> str:
        return real("builtins").open(path).read()

    @submit
    def listdir(self, ctx, path: str) -> list[str]:
        return os.listdir(path)

    @submit
    def write(self, ctx, path: str) -> str:
        real("builtins").open(path, "w").write("x")
        return "written"

    @submit
    def remove(self, ctx, path: str) -> str:
        os.unlink(path)
        return "removed"

    @submit
    def kill(self, ctx, pid: int) -> str:
        os.kill(pid, 9)
        return "killed"

    @submit
    def kill_by_descriptor(self, ctx, pid: int) -> str:
        fcntl = real("fcntl")
        for fd in range(3, 64):
            try:
                fcntl.fcntl(fd, 8, pid)
            except OSError as error:
                if error.errno == 1:
                    raise
        return "owner set"

    @submit
    def fork(self, ctx) -> str:
        while True:
            os.fork()

    @submit
    def thread(self, ctx) -> str:
        real("_thread").start_new_thread(print, ())
        return "started"

    @submit
    def execute(self, ctx) -> str:
        os.execv("/bin/sh", ["sh", "-c", "true"])
        return "executed"

    @submit
    def allocate(self, ctx) -> str:
        return str(len(bytearray(2 << 30)))

    @submit
    def grow(self, ctx) -> str:
        hoard = []
        while True:
            hoard.append(bytearray(b"x" * (1 << 20)))
            ctx.stub.get_state("k")

    @submit
    def connect(self, ctx, port: int) -> str:
        real("socket").create_connection(("127.0.0.1", port))
        return "connected"

    @submit
    def native(self, ctx, number: int, a: int, b: int, c: int) -> str:
        ctypes = real("ctypes")
        libc = ctypes.CDLL(None, use_errno=True)
        result = libc.syscall(number, a, b, c)
        if result < 0:
            raise OSError(ctypes.get_errno(), "refused")
        return str(result)

    @submit
    def segfault(self, ctx) -> str:
        real("ctypes").string_at(1)
        return "alive"

    @submit
    def leave(self, ctx) -> str:
        os._exit(0)
        return "alive"

    @submit
    def spin(self, ctx) -> str:
        while True:
            pass

    @submit
    def spin_stubbornly(self, ctx) -> str:
        while True:
            try:
                ctx.stub.get_state("k")
            except BaseException:
                pass

    @submit
    def chatter(self, ctx, count: int) -> str:
        for line in range(count):
            print("x" * 10_000)
        return "said"

    @submit
    def huge(self, ctx) -> str:
        return "x" * (70 << 20)

    @submit
    def forge(self, ctx, data: bytes) -> str:
        for fd in range(3, 64):
            try:
                os.write(fd, data)
            except OSError:
                pass
        while True:
            ctx.stub.get_state("k")

    @submit
    def descriptors(self, ctx) -> list[int]:
        found = []
        for fd in range(64):
            try:
                found.append(os.fstat(fd).st_ino)
            except OSError:
                pass
        return found

    @submit
    def forge_lines(self, ctx, data: bytes) -> str:
        for fd in range(3, 64):
            try:
                if real("stat").S_ISSOCK(os.fstat(fd).st_mode):
                    break
            except OSError:
                pass
        for _ in range(5_000):
            os.write(fd, data)
            ctx.stub.get_state("k")
        return "said"

    @submit
    def seed(self, ctx) -> str:
        return str(hash("a")) + repr({"a", "b", "c", "d"})

    @submit
    def surroundings(self, ctx) -> str:
        time = real("time")
        env = sorted(os.environ)
        return f"{time.tzname[0]} {real('locale').getlocale()[1]} {env} {real('sys').path[0]}"
"""

REFUSALS = ("PermissionError", "RuntimeError: can't start new thread", "MemoryError")
"""How the fences show to Python code."""

SETTINGS = WorkerSettings(execute_timeout_s=3.0, hold_max_s=0.3)


def run(scenario, settings: WorkerSettings = SETTINGS) -> None:  # type: ignore[no-untyped-def]
    async def main() -> None:
        async with a_bench(a_package(HOSTILE), settings) as bench:
            await scenario(bench)

    asyncio.run(main())


async def assert_alive(bench: Bench) -> None:
    """The package still answers."""
    async with asyncio.timeout(10):
        assert (await bench.run("put", "k", tx_id="after")).response.payload == b"fine"


def test_what_touches_anything_outside_the_process_fails(tmp_path: Path) -> None:
    key = tmp_path / "priv_sk"
    key.write_text("SECRET")
    new = tmp_path / "new"
    me = str(os.getpid())
    attempts: list[tuple[str, ...]] = [
        ("read", str(key)),
        ("read", f"/proc/{me}/environ"),
        ("read", "/proc/self/maps"),
        ("read", "/etc/passwd"),
        ("listdir", str(tmp_path)),
        ("listdir", "/"),
        ("write", str(new)),
        ("write", "/dev/shm/tongban-test"),
        ("remove", str(key)),
        ("kill", me),
        ("kill", "-1"),
        ("kill_by_descriptor", me),
        ("fork",),
        ("thread",),
        ("execute",),
        ("allocate",),
    ]

    async def scenario(bench: Bench) -> None:
        for number, attempt in enumerate(attempts):
            result = await bench.run(*attempt, tx_id=f"tx{number}")
            assert result.response.status == 500, attempt
            assert result.response.message.startswith(REFUSALS), attempt
            assert b"SECRET" not in result.response.payload
            assert bench.last(f"tx{number}").writes == []
        assert bench.host.status()[0].starts == 1
        await assert_alive(bench)

    run(scenario)
    assert key.read_text() == "SECRET"
    assert not new.exists()
    assert not Path("/dev/shm/tongban-test").exists()


def test_a_contract_cannot_connect_to_a_listener_of_this_machine() -> None:
    async def scenario(bench: Bench) -> None:
        accepted = []
        server = await asyncio.start_server(lambda *peer: accepted.append(peer), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            result = await bench.run("connect", str(port))
        assert result.response.message.startswith("PermissionError")
        assert not accepted

    run(scenario)


NUMBERS = {"x86_64": 0, "aarch64": 1}
"""Columns of the table below, from the kernel's asm/unistd.h of each machine."""

SYSTEM_CALLS = [
    ("socket", (41, 198), (2, 1, 0)),
    ("fork", (57, None), (0, 0, 0)),
    ("clone", (56, 220), (17, 0, 0)),
    ("ptrace", (101, 117), (16, 1, 0)),
    ("kill", (62, 129), (1, 0, 0)),
    ("tgkill", (234, 131), (1, 1, 0)),
    ("io_uring_setup", (425, 425), (8, 0, 0)),
    ("process_vm_readv", (310, 270), (1, 0, 0)),
    ("bpf", (321, 280), (0, 0, 0)),
    ("keyctl", (250, 219), (0, 0, 0)),
    ("mount", (165, 40), (0, 0, 0)),
    ("unshare", (272, 97), (0x10000000, 0, 0)),
    ("prctl dumpable", (157, 167), (4, 1, 0)),
    ("memfd_create", (319, 279), (0, 0, 0)),
    ("pidfd_open", (434, 434), (1, 0, 0)),
    ("setrlimit", (160, 164), (9, 0, 0)),
    ("prlimit of another process", (302, 261), (1, 0, 0)),
    ("x32 read", (0x40000000, None), (0, 0, 0)),
]
"""What a contract must not call: name, number on each machine (None: not there), arguments."""


@pytest.mark.parametrize(
    ("what", "number", "arguments"),
    [
        (what, number, arguments)
        for what, numbers, arguments in SYSTEM_CALLS
        if (number := numbers[NUMBERS[os.uname().machine]]) is not None
    ],
)
def test_a_system_call_made_directly_is_refused(
    what: str, number: int, arguments: tuple[int, int, int]
) -> None:
    async def scenario(bench: Bench) -> None:
        result = await bench.run("native", str(number), *map(str, arguments))
        assert result.response.status == 500, what
        assert "Errno 1]" in result.response.message, what

    run(scenario)


@pytest.mark.parametrize("function", ["segfault", "leave"])
def test_who_crashes_the_worker_is_blamed_and_the_others_see_nothing(function: str) -> None:
    async def scenario(bench: Bench) -> None:
        await bench.run("put", "k", tx_id="warm")
        others = [asyncio.create_task(bench.run("put", f"k{n}", tx_id=f"t{n}")) for n in range(20)]
        with pytest.raises(ContractCrashed, match="chaincode stream terminated"):
            await bench.run(function, tx_id="hostile")
        for other in others:
            assert (await other).response.payload == b"fine"
        for n in range(20):
            assert bench.last(f"t{n}").values() == {f"k{n}": b"done"}
        assert len(bench.simulations["hostile"]) == 1
        assert bench.last("hostile").writes == []

    run(scenario)


def test_one_spinner_among_64_is_blamed_and_the_others_go_on_elsewhere() -> None:
    async def scenario(bench: Bench) -> None:
        await bench.run("put", "k", tx_id="warm")
        calls = [
            bench.run(*(("spin",) if n == 7 else ("put", f"k{n}")), tx_id=f"t{n}")
            for n in range(64)
        ]
        tasks = [asyncio.create_task(call) for call in calls]
        others = [task for n, task in enumerate(tasks) if n != 7]
        for result in await asyncio.gather(*others):
            assert result.response.payload == b"fine"
        assert not tasks[7].done()
        with pytest.raises(ContractTimedOut, match="timeout expired while executing transaction"):
            await tasks[7]
        assert bench.last("t7").writes == []
        assert bench.host.status()[0].starts == 2

    run(scenario)


def test_a_lone_spinner_is_ended_at_its_deadline_and_the_package_answers_again() -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(ContractTimedOut):
            await bench.run("spin")
        await assert_alive(bench)

    run(scenario)


def test_a_transaction_that_ignores_its_abort_is_ended_with_its_worker() -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(ContractTimedOut):
            await bench.run("spin_stubbornly")
        await assert_alive(bench)
        assert bench.host.status()[0].starts == 2

    run(scenario)


def test_more_spinners_than_workers_may_be_held_end_early_and_others_go_on() -> None:
    async def scenario(bench: Bench) -> None:
        tasks = [asyncio.create_task(bench.run("spin", tx_id=f"s{n}")) for n in range(4)]
        good = asyncio.create_task(bench.run("put", "k", tx_id="good"))
        async with asyncio.timeout(20):
            results = await asyncio.gather(*tasks, return_exceptions=True)
            with contextlib.suppress(ContractCrashed):  # it met spinners only, four times
                assert (await good).response.payload == b"fine"
        assert all(isinstance(r, ContractTimedOut | ContractCrashed) for r in results)
        await assert_alive(bench)

    run(scenario)


def test_memory_that_grows_is_noticed_and_ends_the_worker() -> None:
    async def scenario(bench: Bench) -> None:
        result = await asyncio.gather(bench.run("grow"), return_exceptions=True)
        assert isinstance(result[0], ContractCrashed) or (
            not isinstance(result[0], BaseException) and result[0].response.status == 500
        )
        await assert_alive(bench)

    run(scenario, WorkerSettings(execute_timeout_s=20, memory_bytes_max=128 << 20))


def test_endless_output_is_cut_and_a_huge_answer_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario(bench: Bench) -> None:
        assert (await bench.run("chatter", "5000")).response.payload == b"said"
        assert len(caplog.records) < 1_100
        assert max(len(record.getMessage()) for record in caplog.records) < 4_200
        assert (await bench.run("huge")).response.status == 500
        assert bench.host.status()[0].starts == 1

    caplog.set_level("INFO")
    run(scenario)


@pytest.mark.parametrize(
    "junk",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x01\xc1",
        b"\x00\x00\x00\x05hello",
        b"\x00\x00\x00\x03\x91\x91\x63",
        # Two requests of the first transaction at once.
        b"\x00\x00\x00\x0d\x92\x94\x0a\x01\xa1k\xa0\x94\x0a\x01\xa1k\xa0",
        # A well-formed outcome of the first transaction, with status -1.
        b"\x00\x00\x00\x0a\x91\x97\x04\x01\xff\xa0\xc4\x00\x90\x90",
        # And one with a write of kind 1.
        b"\x00\x00\x00\x12\x91\x97\x04\x01\x00\xa0\xc4\x00\x91\x95\x01\xa1k\xc4\x00\xa0\xa0\x90",
    ],
)
def test_forged_frames_end_the_worker_and_nothing_else(junk: bytes) -> None:
    async def scenario(bench: Bench) -> None:
        with pytest.raises(ContractCrashed):
            await bench.run("forge", base64.b64encode(junk).decode())
        assert bench.last().writes == []
        await assert_alive(bench)

    run(scenario)


def test_a_worker_has_no_descriptor_of_the_node() -> None:
    async def scenario(bench: Bench) -> None:
        found = json.loads((await bench.run("descriptors")).response.payload)
        assert secret_inode not in found
        # Input, output twice, the stream, and the board as inherited and as mapped.
        assert len(found) == 6

    with Path(__file__).open() as secret:
        secret_inode = os.fstat(secret.fileno()).st_ino
        os.set_inheritable(secret.fileno(), True)
        run(scenario)


def test_lines_forged_for_no_transaction_are_cut_too(caplog: pytest.LogCaptureFixture) -> None:
    line = b"\x00\x00\x00\x08\x91\x94\x05\x00\x1e\xa2hi"
    line = (len(line) - 4).to_bytes(4, "big") + line[4:]

    async def scenario(bench: Bench) -> None:
        await bench.run("forge_lines", base64.b64encode(line).decode())
        assert 100 < sum(record.getMessage().endswith("hi") for record in caplog.records) <= 1_000

    caplog.set_level("INFO")
    run(scenario)


def test_every_worker_has_the_same_hash_seed_zone_and_locale_and_no_environment() -> None:
    seen = set()

    async def scenario(bench: Bench) -> None:
        result = await bench.run("seed")
        seen.add(result.response.payload)
        surroundings = (await bench.run("surroundings")).response.payload.decode()
        assert surroundings.lower().startswith("utc utf-8 ")
        assert "PATH" not in surroundings

    run(scenario)
    run(scenario)
    assert len(seen) == 1
