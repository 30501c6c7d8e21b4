"""Runs all cases: most of them at once, and those that lose the supplier's peer around its absence.

The absence is real: the node is stopped, the registry goes on, the reactions wait on the ledger,
and the supplier's worker runs them when the node is back.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tongban.contracts.types import CaseNumber, ImplementationCode
from tongban.network.connections import Connections
from tongban.network.control import Control
from tongban.network.demo.cases import DemoCase, Happening
from tongban.network.demo.journey import SUPPLIER, Journey, Unexpected
from tongban.network.demo.offices import Offices, Refused
from tongban.network.demo.past import commit_keys, enter_past, make_keys
from tongban.network.demo.report import Ending
from tongban.network.layout import full_name
from tongban.network.reactions import Attempt, ReactionWorker, Result, WorkerOptions
from tongban.network.readiness import wait_until_healthy
from tongban.network.topology import Channel
from tongban.protos.errors import TongbanError
from tongban.sdk import Timeouts

ITEM: Final = ImplementationCode("12110108HDT000012G4000120042000")
"""The registry's item; case numbers are built on it."""

AT_ONCE: Final = 24
"""Cases under way: what two cores serve without making anybody wait long."""

WORKER_SECONDS_MAX: Final = 60.0
"""For the supplier's worker to run what waits, after its peer is back."""

WORKER_TIMEOUTS: Final = Timeouts(evaluate_s=10, endorse_s=30, submit_s=10, commit_status_s=60)

Say = Callable[[str, str], None]
"""Told in English and Chinese what begins."""

Advance = Callable[[], None]
"""Called when a case has ended."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the cases run."""

    connections: Connections
    channel: Channel
    keys: Path
    """Folder of the departments' own copies of the key."""
    checkpoints: Path

    @property
    def supplier_peers(self) -> list[str]:
        supplier = self.connections.find_organization(SUPPLIER)
        return [full_name(peer, supplier.domain) for peer in supplier.peers]


async def run_cases(
    place: Place, cases: Sequence[DemoCase], say: Say, advance: Advance
) -> list[Ending]:
    """All cases, in the order of the file, with how each ended."""
    key = make_keys(place.connections, place.keys)
    async with Offices(place.connections, place.keys, place.channel.id) as offices:
        say("keys, units and accounts", "密钥、登记簿与用电户")
        await commit_keys(offices, key)
        await enter_past(offices, cases)
        today = datetime.now(UTC).date()
        runs = [
            _Run(Journey(offices, case, CaseNumber.build(ITEM, today, serial), serial))
            for serial, case in enumerate(cases, 1)
        ]
        await _run_all(place, offices, runs, say, advance)
    return [Ending(run.journey, run.problem) for run in runs]


class _Run:
    """A journey, and why it stopped if it did."""

    def __init__(self, journey: Journey) -> None:
        self.journey = journey
        self.problem = ""

    @property
    def needs_absence(self) -> bool:
        return self.journey.happens(Happening.SUPPLIER_OFFLINE)

    async def take(self, *legs: Callable[[], Awaitable[None]]) -> None:
        """Go on with these legs, unless it has stopped."""
        try:
            for leg in legs:
                if not self.problem:
                    await leg()
        except (Refused, Unexpected, TongbanError) as error:
            self.problem = f"{type(error).__name__}: {error}"


async def _run_all(
    place: Place, offices: Offices, runs: Sequence[_Run], say: Say, advance: Advance
) -> None:
    limit = asyncio.Semaphore(AT_ONCE)

    async def whole(run: _Run) -> None:
        journey = run.journey
        async with limit:
            await run.take(journey.reach_decision, journey.book, journey.finish)
        advance()

    async def beginning(run: _Run) -> None:
        async with limit:
            await run.take(run.journey.reach_decision)

    async def ending(run: _Run) -> None:
        async with limit:
            await run.take(run.journey.finish)
        advance()

    absent = [run for run in runs if run.needs_absence]
    ordinary = [run for run in runs if not run.needs_absence]
    say("transfers", "办理转移登记与用电过户")
    await asyncio.gather(*map(whole, ordinary), *map(beginning, absent))
    if not absent:
        return
    with _worker(place) as told:
        await _book_in_absence(place, offices, absent, say)
        waiting = sum(map(_waits, absent))
        say(
            f"{waiting} electricity transfers wait on the ledger",
            f"{waiting} 件用电过户暂缓，记于账本",
        )
        tries = await _until_followed(told, waiting)
        say(
            f"the supplier's worker has run them ({tries} tries)",
            f"供电公司恢复后已补办（尝试 {tries} 次）",
        )
    await asyncio.gather(*map(ending, absent))


async def _book_in_absence(
    place: Place, offices: Offices, absent: Sequence[_Run], say: Say
) -> None:
    peers = place.supplier_peers
    control = Control(place.connections.layout)
    say(f"{', '.join(peers)} is stopped", f"{'、'.join(peers)} 停机")
    await asyncio.to_thread(control.stop, *peers)
    offices.away = frozenset({SUPPLIER})
    try:
        await asyncio.gather(*(run.take(run.journey.book) for run in absent))
    finally:
        say(f"{', '.join(peers)} is started again", f"{'、'.join(peers)} 恢复")
        await asyncio.to_thread(control.start, *peers)
        await asyncio.to_thread(wait_until_healthy, place.connections.topology, control)
        offices.away = frozenset()


def _waits(run: _Run) -> bool:
    booked = run.journey.booked
    return booked is not None and booked.was_deferred


@contextmanager
def _worker(place: Place) -> Iterator["asyncio.Queue[Attempt]"]:
    """The supplier's worker runs; what it has dealt with comes in."""
    loop = asyncio.get_running_loop()
    told: asyncio.Queue[Attempt] = asyncio.Queue()
    options = WorkerOptions(SUPPLIER, place.checkpoints, scan_seconds=1.0)
    supplier = place.connections.find_organization(SUPPLIER)

    def tell(attempt: Attempt) -> None:
        loop.call_soon_threadsafe(told.put_nowait, attempt)

    with place.connections.gateway(supplier, "worker", WORKER_TIMEOUTS) as gateway:
        worker = ReactionWorker(gateway.get_network(place.channel.id), options, tell)
        thread = threading.Thread(target=worker.run, name="reactions", daemon=True)
        thread.start()
        try:
            yield told
        finally:
            worker.stop()
            thread.join(timeout=WORKER_SECONDS_MAX)


async def _until_followed(told: "asyncio.Queue[Attempt]", expected: int) -> int:
    """The worker has run so many reactions; returns after how many attempts."""
    done: set[str] = set()
    tries = 0
    async with asyncio.timeout(WORKER_SECONDS_MAX):
        while len(done) < expected:
            attempt = await told.get()
            tries += 1
            if attempt.result is not Result.FAILED:
                done.add(attempt.id)
    return tries
