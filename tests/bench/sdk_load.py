"""Load as an application makes it, through the SDK's gateway: shows what the SDK costs."""

import asyncio
import time

from tests.bench.callers import Calls, Order, Tally
from tongban.sdk import TransactionError, aio
from tongban.sdk.errors import EvaluateError


async def prepare(contract: aio.Contract, order: Order, calls: Calls) -> None:
    """Create the assets that transfers and queries need, one a caller; and at least one, so that
    the contract has been loaded everywhere."""
    count = 1 if order.operation == "create" else order.callers
    pending = (calls.preparation(caller) for caller in range(count))
    async for outcome in contract.submit_many(pending):
        outcome.get()


class SdkLoad:
    """Every caller is a task."""

    def __init__(self, contract: aio.Contract, order: Order, calls: Calls) -> None:
        self._contract = contract
        self._order = order
        self._calls = calls
        self.tally = Tally()

    async def work(self) -> None:
        """Return when every caller's time is up and its last call has been answered."""
        until = time.monotonic() + self._order.seconds
        callers = range(self._order.callers)
        await asyncio.gather(*(self._call_until(caller, until) for caller in callers))

    async def _call_until(self, caller: int, until: float) -> None:
        contract = self._contract
        call = contract.evaluate if self._order.operation == "query" else contract.submit
        number = 0
        while (began := time.monotonic()) < until:
            try:
                await call(*self._calls.next(caller, number))
                self.tally.latencies.append(time.monotonic() - began)
            except (TransactionError, EvaluateError) as error:
                self.tally.fail(str(error))
            number += 1
