"""A state for contracts to run on, and packages made from a few lines of source."""

import asyncio
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from tongban.node.core.package import PythonPackage, parse_python_package
from tongban.node.runtime.contract_host import (
    ContractCall,
    ContractResult,
    HistoryPage,
    HistoryRow,
    Response,
    StateCallRefused,
    StatePage,
    StateRow,
    StateWrite,
    Timestamp,
    WriteKind,
)
from tongban.node.runtime.workers.host import WorkerHost
from tongban.node.runtime.workers.settings import WorkerSettings
from tongban.protos.package_format import build_package

PROLOGUE = """
from tongban.contracts import Contract, evaluate, submit
"""

Invoke = Callable[[str, str, Sequence[bytes]], Awaitable[Response]]


class StateTwin:
    """One simulation on a dictionary: reads see what was committed, writes are collected."""

    def __init__(self, committed: Mapping[str, bytes], invoke: Invoke | None = None) -> None:
        self.committed = committed
        self.writes: list[StateWrite] = []
        self.calls: list[str] = []
        self._invoke = invoke
        self._rest: dict[str, list[StateRow]] = {}

    def get_state(self, key: str, collection: str = "") -> bytes | None:
        self.calls.append(f"get {key}")
        if key == "refused":
            raise StateCallRefused("GET_STATE failed: transaction ID: tx: not for you")
        return self.committed.get(key)

    def get_states(self, keys: Sequence[str], collection: str = "") -> list[bytes | None]:
        return [self.committed.get(key) for key in keys]

    def get_metadata(self, key: str, collection: str = "") -> Mapping[str, bytes]:
        return {"VALIDATION_PARAMETER": b"policy of " + key.encode()}

    def get_private_data_hash(self, key: str, collection: str) -> bytes | None:
        return b"\x01" * 32

    def range(
        self, start: str, end: str, page_size: int = 0, bookmark: str = "", collection: str = ""
    ) -> StatePage:
        keys = [key for key in sorted(self.committed) if start <= key and (not end or key < end)]
        rows = [StateRow("ns", key, self.committed[key]) for key in keys]
        if page_size:
            rows = [row for row in rows if row.key >= bookmark]
            rest = rows[page_size:]
            page = tuple(rows[:page_size])
            return StatePage(page, "p", False, len(page), rest[0].key if rest else "")
        self._rest["q"] = rows
        return self.next_state_page("q")

    def query(
        self, query: str, page_size: int = 0, bookmark: str = "", collection: str = ""
    ) -> StatePage:
        raise StateCallRefused("ExecuteQuery not supported for leveldb")

    def history(self, key: str) -> HistoryPage:
        return HistoryPage((HistoryRow("tx1", b"old", Timestamp(7, 5), False),), "h", True)

    def next_state_page(self, query_id: str) -> StatePage:
        rows = self._rest[query_id]
        self._rest[query_id] = rows[100:]
        return StatePage(tuple(rows[:100]), query_id, len(rows) > 100)

    def next_history_page(self, query_id: str) -> HistoryPage:
        return HistoryPage((HistoryRow("tx0", b"", Timestamp(6, 0), True),), query_id, False)

    def close_query(self, query_id: str) -> None:
        self.calls.append(f"close {query_id}")

    def apply_writes(self, writes: Sequence[StateWrite]) -> None:
        self.writes += writes

    async def invoke_chaincode(self, name: str, channel: str, args: Sequence[bytes]) -> Response:
        if self._invoke is None:
            raise StateCallRefused(f"INVOKE_CHAINCODE failed: no chaincode {name}")
        return await self._invoke(name, channel, args)

    def values(self) -> dict[str, bytes]:
        """What was put into public state."""
        return {write.key: write.value for write in self.writes if write.kind is WriteKind.PUT}


def a_package(source: str, **more: str) -> PythonPackage:
    """A package of a module ``main`` with this source, and of others by name."""
    files = {"main.py": (PROLOGUE + textwrap.dedent(source)).encode()}
    for name, text in more.items():
        files[f"{name}.py"] = textwrap.dedent(text).encode()
    metadata = {
        "label": "main_1",
        "type": "tongban-python",
        "path": "",
        "api": 1,
        "python": ">=3.11",
        "modules": ["main"],
    }
    return parse_python_package(build_package(metadata, files))


def a_call(*args: str | bytes, tx_id: str = "tx", package_id: str = "main_1:00") -> ContractCall:
    return ContractCall(
        package_id,
        "main",
        "mychannel",
        tx_id,
        tuple(arg.encode() if isinstance(arg, str) else arg for arg in args),
        False,
        b"creator",
        b"nonce",
        Timestamp(1_700_000_000, 5),
        b"signed proposal",
        {"secret": b"\x00\xff"},
    )


class Bench:
    """A host with one package, and what its simulations left."""

    def __init__(self, host: WorkerHost) -> None:
        self.host = host
        self.committed: dict[str, bytes] = {}
        self.invoke: Invoke | None = None
        self.simulations: dict[str, list[StateTwin]] = {}

    async def run(self, *args: str | bytes, tx_id: str = "tx") -> ContractResult:
        def begin() -> StateTwin:
            twin = StateTwin(self.committed, self.invoke)
            self.simulations.setdefault(tx_id, []).append(twin)
            return twin

        return await self.host.execute(a_call(*args, tx_id=tx_id), begin)

    def last(self, tx_id: str = "tx") -> StateTwin:
        return self.simulations[tx_id][-1]


@asynccontextmanager
async def a_bench(
    package: PythonPackage, settings: WorkerSettings | None = None
) -> AsyncIterator[Bench]:
    host = WorkerHost(lambda _: package, settings)
    try:
        yield Bench(host)
    finally:
        async with asyncio.timeout(10):
            await host.close()
