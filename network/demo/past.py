"""What was there before: keys, units in the register, accounts of the supplier, mortgages."""

import asyncio
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tongban.contracts.personal import KEY_BYTES, commitment
from tongban.network.connections import Connections
from tongban.network.demo.cases import DemoCase, Human
from tongban.network.demo.offices import (
    ADMIN,
    CLERK,
    LENDER,
    REGISTRAR,
    Action,
    Offices,
    write_keys,
)

T = TypeVar("T")

BATCH = 40
"""Units or accounts in one transaction."""

KEYED_CONTRACTS = ("auth", "consent", "property:Register", "electricity:Accounts")


def make_keys(connections: Connections, keys: Path) -> bytes:
    """A fresh key for the entitled departments of this network."""
    key = os.urandom(KEY_BYTES)
    write_keys(keys, connections.topology.organizations, key)
    return key


async def commit_keys(offices: Offices, key: bytes) -> None:
    """Every contract that compares people knows the commitment to the key."""
    calls = [Action(name, "commit_subject_key", (commitment(key),)) for name in KEYED_CONTRACTS]
    await asyncio.gather(*(offices.submit(ADMIN, call) for call in calls))


async def enter_past(offices: Offices, cases: Sequence[DemoCase]) -> None:
    """Register and accounts are as the cases begin with."""
    units = [offices.submit(REGISTRAR, _units(batch)) for batch in _batches(cases)]
    accounts = [offices.submit(CLERK, _accounts(batch)) for batch in _batches(cases)]
    await asyncio.gather(*units, *accounts)
    mortgages = [
        offices.submit(LENDER, Action("property:Authorities", "mortgage", (case.unit, "DY-1")))
        for case in cases
        if case.is_mortgaged
    ]
    await asyncio.gather(*mortgages)


def to_person(human: Human) -> dict[str, str]:
    """A person as the contracts read them from transient data."""
    return {"name": human.name, "number": human.number, "phone": human.phone}


def _units(cases: Sequence[DemoCase]) -> Action:
    units = [
        {
            "code": case.unit,
            "certificate": f"京(2019)海不动产权第{case.unit[-4:].rjust(7, '0')}号",
            "usage": "住宅",
        }
        for case in cases
    ]
    owners = {case.unit: [to_person(owner) for owner in case.owners] for case in cases}
    addresses = {case.unit: case.address for case in cases}
    transient = {"owners": owners, "addresses": addresses}
    return Action("property:Register", "take_over", (units,), transient, is_keyed=True)


def _accounts(cases: Sequence[DemoCase]) -> Action:
    new: list[dict[str, Any]] = []
    numbers, addresses, holders = {}, {}, {}
    for index, (case, meter) in enumerate((c, m) for c in cases for m in c.meters):
        label = f"a{index}"
        new.append(
            {
                "label": label,
                "category": "居民",
                "capacity_va": 8_000,
                "has_arrears": meter.has_arrears,
                "is_shared": meter.is_shared,
                "has_identity": meter.has_identity,
            }
        )
        numbers[label] = meter.number
        addresses[label] = meter.address or case.address
        holders[label] = to_person(meter.holder or case.owners[0])
    transient = {"numbers": numbers, "addresses": addresses, "holders": holders}
    return Action("electricity:Accounts", "take_over", (new,), transient, is_keyed=True)


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, BATCH)):
        yield batch
