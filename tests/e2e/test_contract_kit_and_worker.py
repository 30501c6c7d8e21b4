"""The same calls in the test kit and in a real worker process give the same answers and writes."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.contract_workers import StateTwin, a_bench, a_call, a_package
from tongban.contracts import samples
from tongban.contracts.dispatch import ContractSet, RawContractSet, load_package
from tongban.contracts.packaging import build_project
from tongban.contracts.testing import DeployedContract, Ledger
from tongban.node.core.package import PythonPackage, parse_python_package
from tongban.node.runtime.contract_host import ContractResult

Calls = Sequence[tuple[str | bytes, ...]]

TYPED = '''
from dataclasses import dataclass
from datetime import datetime
from tongban.contracts import Context, ContractError, KeyEndorsement, Role, from_json, to_json
from tongban.contracts.types import RealEstateUnitCode, ResidentId

@dataclass(frozen=True)
class Booking:
    unit: RealEstateUnitCode
    mspid: str
    at: datetime
    note: str | None = None

class Registry(Contract):
    """Who holds which unit."""

    @submit
    def book(self, ctx: Context, unit: RealEstateUnitCode, note: str | None = None) -> Booking:
        booking = Booking(unit, ctx.client.mspid, ctx.timestamp, note)
        key = ctx.stub.create_composite_key("unit", [str(unit)])
        if ctx.stub.get_state(key):
            raise ContractError("BOOKED", f"{unit} 已登记", {"unit": str(unit)}, status=409)
        ctx.stub.put_state(key, to_json(booking))
        policy = KeyEndorsement().add(Role.PEER, "Org1MSP").policy()
        ctx.stub.set_state_validation_parameter(key, policy)
        ctx.stub.set_event("booked", to_json(booking))
        return booking

    @evaluate
    def list(self, ctx: Context) -> list[Booking]:
        rows = ctx.stub.get_state_by_partial_composite_key("unit")
        return [from_json(Booking, row.value) for row in rows]

    @evaluate
    def check(self, ctx: Context, number: ResidentId) -> str:
        return number.mask()
'''


def _sample(name: str) -> PythonPackage:
    folder = Path(samples.__path__[0]) / name
    return parse_python_package(build_project(folder).content)


async def _compare(
    package: PythonPackage, loaded: ContractSet | RawContractSet, calls: Calls
) -> list[ContractResult]:
    ledger = Ledger("mychannel")
    deployed = ledger.deploy_package(loaded, "main")
    results = []
    async with a_bench(package) as bench, asyncio.timeout(20):
        for call in calls:
            results.append(await _compare_one(bench, ledger, deployed, call))
    return results


async def _compare_one(
    bench: Any, ledger: Ledger, deployed: DeployedContract, call: tuple[str | bytes, ...]
) -> ContractResult:
    twin = StateTwin(ledger.values("main"))
    moment = ledger.timestamp
    proposed = a_call(*call)._replace(
        creator=ledger.client.creator,
        timestamp=a_call().timestamp._replace(seconds=int(moment.timestamp()), nanos=0),
        transient={},
    )
    real: ContractResult = await bench.host.execute(proposed, lambda: twin)
    events = len(ledger.events)
    emulated = deployed.respond(str(call[0]), *call[1:])
    assert tuple(real.response) == tuple(emulated)
    if emulated.status < 400:
        assert [(int(one.kind), one.key, one.value) for one in twin.writes] == [
            (int(one.kind), one.key, one.value) for _, one in ledger.last_writes
        ]
        emitted = [(one.name, one.payload) for one in ledger.events[events:]]
        assert ([tuple(real.event)] if real.event else []) == emitted
    return real


def test_the_asset_transfer_sample() -> None:
    calls: Calls = [
        ("InitLedger",),
        ("GetAllAssets",),
        ("CreateAsset", "asset7", "黄", "5", "Tom", "1300"),
        ("CreateAsset", "asset7", "黄", "5", "Tom", "1300"),
        ("TransferAsset", "asset7", "Saptha"),
        ("ReadAsset", "asset7"),
        ("UpdateAsset", "asset70", "blue", "5", "Tomoko", "300"),
        ("AssetExists", "asset7"),
        ("DeleteAsset", "asset7"),
        ("AssetExists", "asset7"),
        ("NoSuch",),
        ("CreateAsset", "a", "b", "c", "d", "e"),
    ]
    loaded = load_package(["tongban.contracts.samples.asset_transfer.asset_transfer"])
    results = asyncio.run(_compare(_sample("asset_transfer"), loaded, calls))
    assert [result.response.status for result in results] == [200] * 3 + [500] + [200] * 2 + [
        500
    ] + [200] * 3 + [500] * 2


def test_the_program_sample() -> None:
    def program(*operations: dict[str, Any]) -> tuple[str, str]:
        return "run", json.dumps({"ops": operations})

    calls: Calls = [
        program({"op": "fill", "fmt": "k%04d", "from": 0, "to": 230, "v": "x"}, {"op": "ts"}),
        program({"op": "range", "s": "", "e": "", "n": 0}, {"op": "opencloserange"}),
        program({"op": "range", "s": "", "e": "", "n": 120}, {"op": "mget", "ks": ["k0001", "n"]}),
        program({"op": "page", "s": "k", "e": "", "n": 3, "mark": "k0007"}),
        program({"op": "put", "k": "a", "v": "1"}, {"op": "return", "st": 201, "msg": "m"}),
        program({"op": "put", "k": "", "v": "1"}),
        program({"op": "event", "name": "e", "v": "中"}, {"op": "del", "k": "a"}),
        ("walk",),
    ]
    loaded = load_package(["tongban.contracts.samples.program.program"])
    results = asyncio.run(_compare(_sample("program"), loaded, calls))
    assert [result.response.status for result in results] == [
        200,
        200,
        200,
        200,
        201,
        500,
        200,
        500,
    ]


def test_a_contract_with_value_types(tmp_path: Path, monkeypatch: Any) -> None:
    source = "from tongban.contracts import Contract, evaluate, submit\n" + TYPED
    (tmp_path / "typed_registry.py").write_text(source, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    unit = "110108001002GB00015F00010203"
    calls: Calls = [
        ("book", unit),
        ("book", unit, "again"),
        ("Registry:book", '"110108001002GB00015F00010204"', "给亲属"),
        ("list",),
        ("check", "11010519491231002X"),
        ("check", "110105194912310021"),
        ("book", "110108001002GA00015F00010203"),
        ("Other:book", unit),
    ]
    results = asyncio.run(_compare(a_package(TYPED), load_package(["typed_registry"]), calls))
    statuses = [result.response.status for result in results]
    assert statuses == [200, 409, 200, 200, 200, 500, 500, 500]
    assert results[4].response.payload == b"110***********002X"
    assert results[1].response.message == f"BOOKED: {unit} 已登记"
