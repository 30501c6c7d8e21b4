"""Runs contracts of type ``tongban-python``: one set of workers per installed package.

A worker is started when a package is first called, and again when it was lost. Callers of
transactions that lost their worker to another one see nothing: these are simulated again, from the
start and on a fresh worker, a few times at most. The transaction that was on the CPU when a worker
hung or died fails with Fabric's text.
"""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tongban.node.core.errors import Overloaded, ShuttingDown
from tongban.node.core.package import PythonPackage
from tongban.node.runtime.contract_host import (
    ContractCall,
    ContractCrashed,
    ContractNotLaunched,
    ContractResult,
    ContractTimedOut,
    StateCalls,
)
from tongban.node.runtime.workers.process import WorkerProcess
from tongban.node.runtime.workers.running import WorkerLost
from tongban.node.runtime.workers.settings import (
    ATTEMPTS_MAX,
    LAUNCH_PAUSE_S,
    RETIRED_MAX,
    WorkerSettings,
)
from tongban.node.runtime.workers.worker import LaunchFailed, Worker, launch
from tongban.protos.errors import TongbanError

_log = logging.getLogger(__name__)

FindPackage = Callable[[str], PythonPackage]
"""The installed package of an id. May raise a TongbanError, which becomes ContractNotLaunched."""


@dataclass(frozen=True, slots=True)
class PackageStatus:
    """What health and metrics show of one package."""

    package_id: str
    is_running: bool
    in_flight: int
    waiting: int
    starts: int
    """Workers started since the node's start."""

    fences: Mapping[str, str]
    """As the current worker reported them: ``held`` or the reason why not."""


class WorkerHost:
    """A ``contract_host.ContractHost``. Belongs to one event loop, whose thread must outlive it."""

    def __init__(self, find_package: FindPackage, settings: WorkerSettings | None = None) -> None:
        self._find_package = find_package
        self._settings = settings or WorkerSettings()
        self._packages: dict[str, _Package] = {}
        self._open: Counter[tuple[str, str]] = Counter()
        """Calls in progress by channel and transaction, to tell inner calls from others."""

        self._is_closed = False

    async def execute(self, call: ContractCall, begin: Callable[[], StateCalls]) -> ContractResult:
        """See ``contract_host.ContractHost.execute``."""
        if self._is_closed:
            raise ShuttingDown("the node is shutting down")
        package = self._packages.get(call.package_id)
        if package is None:
            package = _Package(call.package_id, self._find_package, self._settings)
            self._packages[call.package_id] = package
        transaction = call.channel_id, call.tx_id
        # An inner call goes past the queue: the outer one has a place, and would wait for itself.
        is_inner = self._open[transaction] > 0
        self._open[transaction] += 1
        try:
            if is_inner:
                return await package.simulate(call, begin)
            if not package.places.take():
                await package.places.wait()
            try:
                return await package.simulate(call, begin)
            finally:
                package.places.leave()
        finally:
            self._open[transaction] -= 1
            if not self._open[transaction]:
                del self._open[transaction]

    def forget(self, package_id: str) -> None:
        """The package was removed or is no longer used: its workers end, a later call starts
        anew."""
        package = self._packages.pop(package_id, None)
        if package is not None:
            package.kill()

    def status(self) -> list[PackageStatus]:
        return [package.status() for package in self._packages.values()]

    async def close(self) -> None:
        """All workers have ended; calls in progress fail."""
        self._is_closed = True
        await asyncio.gather(*(package.close() for package in self._packages.values()))


class _Places:
    """Bounds how many transactions of a package run side by side, in the order of arrival."""

    def __init__(self, package_id: str, settings: WorkerSettings) -> None:
        self._package_id = package_id
        self._free = settings.in_flight_max
        self._waiting_max = settings.waiting_max
        self.in_flight = 0
        self.waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Whether there was a free place; it is taken now."""
        if self._free <= 0:
            return False
        self._free -= 1
        self.in_flight += 1
        return True

    async def wait(self) -> None:
        """A place is taken, after those who wait already.

        Raises:
            Overloaded: too many wait already.
        """
        if len(self.waiting) >= self._waiting_max:
            raise Overloaded(f"chaincode {self._package_id}", self._waiting_max)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with contextlib.suppress(ValueError):  # passed over already
                    self.waiting.remove(turn)
            else:
                self.leave()
            raise

    def leave(self) -> None:
        """The place is free, or its next user's."""
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
        self.in_flight -= 1


class _Package:
    """The workers of one package: at most one that takes transactions, and a few that are held."""

    def __init__(self, package_id: str, find: FindPackage, settings: WorkerSettings) -> None:
        self._id = package_id
        self._find = find
        self._settings = settings
        self.places = _Places(package_id, settings)
        self._worker: Worker | None = None
        self._all: set[Worker] = set()
        self._processes: set[WorkerProcess] = set()
        """Also those that were killed and have not ended yet."""

        self._launching: asyncio.Task[Worker] | None = None
        self._refusal = ""
        self._refused_at = 0.0
        self._starts = 0
        self._is_closed = False

    async def simulate(self, call: ContractCall, begin: Callable[[], StateCalls]) -> ContractResult:
        for _ in range(ATTEMPTS_MAX):
            worker = self._worker
            if worker is None:
                worker = await self._launch()
            if worker.is_lost or worker.is_retired:
                continue  # lost between its start and our turn
            running = worker.begin(call, begin())
            try:
                return await running.future
            except WorkerLost:
                continue
            finally:
                worker.give_up(running)
        _log.error("%s: lost its worker %d times", call.tx_id, ATTEMPTS_MAX)
        raise ContractCrashed

    def status(self) -> PackageStatus:
        worker = self._worker
        return PackageStatus(
            self._id,
            worker is not None,
            self.places.in_flight,
            len(self.places.waiting),
            self._starts,
            worker.fences if worker is not None else {},
        )

    def kill(self) -> None:
        self._is_closed = True
        if self._launching is not None:
            self._launching.cancel()
        for worker in list(self._all):
            worker.kill()

    async def close(self) -> None:
        launching = self._launching
        self.kill()
        if launching is not None:
            await asyncio.wait([launching])
        for process in list(self._processes):
            await process.exited.wait()

    async def _launch(self) -> Worker:
        """The worker that takes transactions, started by whoever comes first."""
        if self._is_closed:
            raise ShuttingDown("the package is no longer run")
        loop = asyncio.get_running_loop()
        if self._refusal and loop.time() - self._refused_at < LAUNCH_PAUSE_S:
            raise ContractNotLaunched(self._id, self._refusal)
        if self._launching is None:
            self._launching = loop.create_task(self._start())
        launching = self._launching
        try:
            # Whoever waits may be cancelled; the others still want the worker.
            return await asyncio.shield(launching)
        except asyncio.CancelledError:
            if launching.cancelled() and self._is_closed:
                raise ShuttingDown("the package is no longer run") from None
            raise

    async def _start(self) -> Worker:
        loop = asyncio.get_running_loop()
        self._starts += 1
        try:
            package = self._find(self._id)
            worker = await launch(package, self._settings, self._on_change)
        except (LaunchFailed, TongbanError) as error:
            self._refused_at = loop.time()
            self._refusal = str(error)
            _log.error("chaincode %s could not be started: %s", self._id, error)
            raise ContractNotLaunched(self._id, self._refusal) from None
        finally:
            self._launching = None
        self._refusal = ""
        self._worker = worker
        self._all.add(worker)
        self._processes.add(worker.process)
        return worker

    def _on_change(self) -> None:
        """A worker was lost, or is held by one transaction."""
        if self._worker is not None and (self._worker.is_lost or self._worker.is_retired):
            self._worker = None
        self._all = {worker for worker in self._all if not worker.is_lost}
        self._processes = {found for found in self._processes if not found.exited.is_set()}
        retired = [worker for worker in self._all if worker.is_retired]
        if len(retired) > RETIRED_MAX:
            oldest = min(retired, key=lambda worker: worker.retired_at)
            oldest.kill(next(iter(oldest.running.values()), None), ContractTimedOut())
