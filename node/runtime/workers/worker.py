"""One worker: the stream to its process, and the transactions it runs.

The worker's code may be hostile. Frames are checked before anything is done with them, a message
of a transaction that does not run here is passed over (it may have been given up), and any other
surprise ends the process. When it ends, the transaction on the CPU is blamed and the others are
told that they lost their worker.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence

from tongban.node.core.package import PythonPackage
from tongban.node.runtime.contract_host import (
    ContractCall,
    ContractCrashed,
    ContractFault,
    ContractTimedOut,
    StateCalls,
)
from tongban.node.runtime.workers.fences import missing_fences
from tongban.node.runtime.workers.process import WorkerProcess
from tongban.node.runtime.workers.running import LOG_LINES_MAX, Running, WorkerLost
from tongban.node.runtime.workers.settings import TICK_S, WorkerSettings
from tongban.protos.errors import MalformedMessage, TongbanError
from tongban.protos.worker_frames import (
    PROTOCOL_VERSION,
    FrameReader,
    FromWorker,
    Message,
    ToWorker,
    pack,
    to_frame,
)

_log = logging.getLogger(__name__)
_contract_log = logging.getLogger("tongban.contract")

_CONTROL = dict.fromkeys((*range(32), *range(127, 160), 0x2028, 0x2029), "?")
"""Characters that would let a contract's line look like several of the node's."""

_UNSENT_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of answers not yet taken by the worker, above which no more requests are read."""


class LaunchFailed(Exception):
    """A worker could not be started; the text says why."""


class Worker(asyncio.Protocol):
    """A worker process with a loaded package. Make one with :func:`launch`."""

    def __init__(
        self, process: WorkerProcess, settings: WorkerSettings, on_change: Callable[[], None]
    ) -> None:
        self.process = process
        self.fences: dict[str, str] = {}
        """What the process reported before it saw any code of the package."""

        self.running: dict[int, Running] = {}
        self.is_retired = False
        """It finishes what it runs and takes no more."""

        self.retired_at = 0.0
        self.is_lost = False
        self._settings = settings
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._is_flush_due = False
        self._last_number = 0
        self._greeting: asyncio.Future[None] = self._loop.create_future()
        self._loading: asyncio.Future[None] = self._loop.create_future()
        self._tick_handle: asyncio.TimerHandle | None = None
        self._progress = (0, 0)
        self._progress_at = self._loop.time()
        self._granted_at = 0.0
        self._ownerless_lines = 0

    # The start

    async def load(self, package: PythonPackage) -> None:
        """The package is loaded.

        Raises:
            LaunchFailed: it cannot be, with the reason.
        """
        limit = self._settings.start_timeout_s
        try:
            async with asyncio.timeout(limit):
                await self._greeting
                self._check_fences()
                python = list(package.python)
                label, modules, sources = package.label, package.modules, dict(package.sources)
                head = (ToWorker.LOAD, 0, PROTOCOL_VERSION, package.api, python)
                self._send((*head, label, modules, sources))
                await self._loading
        except TimeoutError:
            raise LaunchFailed(f"it did not load within {limit:g} s") from None
        finally:
            for future in (self._greeting, self._loading):
                if not future.done():
                    future.cancel()

    def _check_fences(self) -> None:
        missing = missing_fences(self.fences)
        if missing and self._settings.sandbox == "required":
            reasons = "; ".join(f"{name} ({reason})" for name, reason in missing.items())
            raise LaunchFailed(
                f"the sandbox is required and these fences do not hold: {reasons}. "
                "Run the node where they do, or set contracts.sandbox to best-effort"
            )

    # Transactions

    def begin(self, call: ContractCall, state: StateCalls) -> Running:
        """The transaction is on its way; its ``future`` tells how it ends."""
        self._last_number += 1
        now = self._loop.time()
        if not self.running:
            self._progress_at = now
        deadline = now + self._settings.execute_timeout_s
        running = Running(self._last_number, call, state, deadline, self._send)
        self._send(running.to_start())
        self.running[running.number] = running
        if self._tick_handle is None:
            self._tick_handle = self._loop.call_later(TICK_S, self._tick)
        return running

    def give_up(self, running: Running) -> None:
        """Nobody waits for this transaction any more."""
        if self.running.pop(running.number, None) is not None:
            running.fail(WorkerLost())
            self._send((ToWorker.ABORT, running.number))

    def retire(self) -> None:
        """All but the transaction on the CPU have lost this worker, which takes no more."""
        _, on_cpu = self.process.board.read()
        self.is_retired = True
        self.retired_at = self._loop.time()
        for number in [number for number in self.running if number != on_cpu]:
            self.running.pop(number).fail(WorkerLost())
        self._kill_if_done()

    def kill(self, blamed: Running | None = None, error: ContractFault | None = None) -> None:
        """The process ends. ``blamed`` fails with ``error``; the others lost their worker."""
        if blamed is not None and error is not None:
            self.running.pop(blamed.number, None)
            blamed.fail(error)
        self._end()

    # The stream (asyncio.Protocol)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=_UNSENT_BYTES_MAX)
        self._transport = transport

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._progress_at = self._loop.time()
        asked: set[int] = set()
        try:
            for message in self._reader.feed(data):
                self._handle(message, asked)
        except TongbanError as error:
            _log.error("worker %d broke the rules and is ended: %s", self.process.pid, error)
            self._crash(f"protocol: {error}")
            return
        self._flush()
        if self.is_retired:
            self._kill_if_done()

    def connection_lost(self, exc: Exception | None) -> None:
        self._crash("its stream ended")

    def _handle(self, message: Message, asked: set[int]) -> None:
        kind, number = message[0], message[1]
        if kind >= FromWorker.GET_STATE or kind == FromWorker.DONE:
            running = self.running.get(number)
            if running is None:
                return
            if kind != FromWorker.CLOSE_QUERY:
                # Answers leave after all that was received is served, so the second one of a
                # transaction cannot have waited for the first. A few bytes each, such requests
                # could ask for any number of large values at once.
                if number in asked:
                    raise MalformedMessage("message of a worker", "it did not wait for an answer")
                asked.add(number)
            running.handle(message)
            if running.future.done():
                self.running.pop(number, None)
        elif kind == FromWorker.LOG:
            self._take_line(number, message[2], message[3])
        else:
            self._take_news(kind, message)

    def _take_news(self, kind: int, message: Message) -> None:
        if kind == FromWorker.HELLO and not self._greeting.done():
            _, _, version, _, fences = message
            if version != PROTOCOL_VERSION:
                text = f"it speaks version {version}, the node version {PROTOCOL_VERSION}"
                self._greeting.set_exception(LaunchFailed(text))
                return
            self.fences = {str(name)[:40]: str(text)[:200] for name, text in fences.items()}
            self._greeting.set_result(None)
        elif kind == FromWorker.LOADED and not self._loading.done():
            self._loading.set_result(None)
        elif kind == FromWorker.LOAD_FAILED and not self._loading.done():
            self._loading.set_exception(LaunchFailed(message[2][:2_000]))

    def _take_line(self, number: int, level: int, line: str) -> None:
        running = self.running.get(number)
        who, tx_id = "", ""
        if running is not None:
            running.log_lines += 1
            lines = running.log_lines
            who, tx_id = running.call.chaincode_name, running.call.tx_id
        else:
            self._ownerless_lines += 1
            lines = self._ownerless_lines
        if lines > LOG_LINES_MAX:
            return
        text = line[:4_096].translate(_CONTROL)
        shown = min(max(level, logging.DEBUG), logging.ERROR)
        _contract_log.log(shown, "%s [%s] %s", who, tx_id, text, extra={"tx_id": tx_id})

    def _send(self, message: Sequence[object]) -> None:
        if self.is_lost:
            return
        self._unsent.append(pack(message))
        if not self._is_flush_due:
            self._is_flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        unsent = self._unsent
        if unsent and self._transport is not None and not self.is_lost:
            self._transport.write(to_frame(unsent, len(unsent)))
            self._unsent = []

    # Supervision

    @property
    def held_by(self) -> Running | None:
        """The transaction that has kept the CPU for longer than it may."""
        return self.running.get(self._progress[1]) if self._is_held() else None

    def _is_held(self) -> bool:
        return self._loop.time() - self._progress_at > self._settings.hold_max_s

    def _is_stuck(self) -> bool:
        """It should be doing something and shows no sign of it."""
        is_due = any(not running.is_asking for running in self.running.values())
        return is_due and self._is_held()

    def _tick(self) -> None:
        """Look at the process: deadlines, who holds the CPU, memory."""
        self._tick_handle = None
        if self.is_lost:
            return
        now = self._loop.time()
        progress = self.process.board.read()
        if progress != self._progress:
            self._progress = progress
            self._progress_at = now
        if now - self._granted_at > self._settings.cpu_grant_s / 4:
            self._granted_at = now
            self.process.grant_cpu(self._settings.cpu_grant_s)
        self._check_deadlines(now)
        self._check_hold()
        self._check_memory()
        if not self.is_lost and (self.running or self._progress[1]):
            self._tick_handle = self._loop.call_later(TICK_S, self._tick)

    def _check_deadlines(self, now: float) -> None:
        for running in list(self.running.values()):
            if running.deadline > now or self.is_lost:
                return  # they are in the order of their deadlines
            held_by = self.held_by
            if self._progress[1] == running.number or (held_by is None and self._is_stuck()):
                _log.error("%s: killed, it held the CPU to its deadline", running.call.tx_id)
                self.kill(running, ContractTimedOut())
            elif held_by is None:
                self.running.pop(running.number)
                running.fail(ContractTimedOut())
                self._send((ToWorker.ABORT, running.number))

    def _check_hold(self) -> None:
        if self.is_lost or not self._is_held():
            return
        on_cpu = self._progress[1]
        if on_cpu and on_cpu not in self.running:
            self.kill()  # a transaction that was given up and does not stop
        elif on_cpu and len(self.running) > 1 and not self.is_retired:
            _log.warning(
                "worker %d is held by one transaction; the others go on elsewhere", self.process.pid
            )
            self.retire()
            self._on_change()

    def _check_memory(self) -> None:
        if self.is_lost:
            return
        used, limit = self.process.resident_bytes(), self._settings.memory_bytes_max
        if used > limit:
            _log.error(
                "worker %d uses %d bytes, at most %d are allowed: it is ended",
                self.process.pid,
                used,
                limit,
            )
            self._crash("memory")

    def _kill_if_done(self) -> None:
        if not self.running and not self.is_lost:
            self.kill()

    def _crash(self, reason: str) -> None:
        if self.is_lost:
            return
        _, on_cpu = self.process.board.read()
        blamed = self.running.get(on_cpu)
        if blamed is None:
            self.kill()
        else:
            _log.error("%s: its worker ended (%s)", blamed.call.tx_id, reason)
            self.kill(blamed, ContractCrashed())

    def _end(self) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        if self._tick_handle is not None:
            self._tick_handle.cancel()
        for future in (self._greeting, self._loading):
            if not future.done():
                future.set_exception(LaunchFailed("it ended while it was started"))
                future.exception()
        lost, self.running = self.running, {}
        for running in lost.values():
            running.fail(WorkerLost())
        self.process.kill()
        self.process.board.close()
        if self._transport is not None:
            self._transport.abort()
        self._on_change()


async def launch(
    package: PythonPackage, settings: WorkerSettings, on_change: Callable[[], None]
) -> Worker:
    """A worker that has loaded the package. ``on_change`` is called when it is lost or retired.

    Raises:
        LaunchFailed: there is no such worker, with the reason.
    """
    if package.python > sys.version_info[:2]:
        needed = ".".join(map(str, package.python))
        found = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise LaunchFailed(f"the package needs Python {needed} or newer, this peer runs {found}")
    try:
        process = WorkerProcess(settings, package.label)
    except OSError as error:
        raise LaunchFailed(f"no process could be started: {error}") from None
    worker = Worker(process, settings, on_change)
    loop = asyncio.get_running_loop()
    try:
        await loop.create_unix_connection(lambda: worker, sock=process.socket)
        await worker.load(package)
    except BaseException as error:
        worker.kill()
        await process.exited.wait()
        if isinstance(error, LaunchFailed) and process.last_output():
            raise LaunchFailed(f"{error}: {process.last_output()}") from None
        raise
    return worker
