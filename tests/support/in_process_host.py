"""A contract host that runs functions of this process, for tests of the endorser."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from tongban.node.runtime.contract_host import (
    ContractCall,
    ContractNotLaunched,
    ContractResult,
    StateCalls,
)

Contract = Callable[[ContractCall, StateCalls], Awaitable[ContractResult]]


class InProcessHost:
    """Runs one function per package id. ``""`` stands for every other package."""

    def __init__(self, contracts: Mapping[str, Contract]) -> None:
        self.contracts = dict(contracts)
        self.calls: list[ContractCall] = []
        self.lost_attempts = 0
        """So many times a call is run to its end, and then once more as if its worker had been
        lost."""

    async def execute(self, call: ContractCall, begin: Callable[[], StateCalls]) -> ContractResult:
        self.calls.append(call)
        contract = self.contracts.get(call.package_id) or self.contracts.get("")
        if contract is None:
            raise ContractNotLaunched(call.package_id, "no such package in this test")
        while self.lost_attempts:
            self.lost_attempts -= 1
            await contract(call, begin())
        await asyncio.sleep(0)
        return await contract(call, begin())

    async def close(self) -> None:
        pass
