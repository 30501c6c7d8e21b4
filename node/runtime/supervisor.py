"""What keeps a node's tasks together, and what ends them.

Every long-lived task is started here. A task that raises, a handler's fault, and a task that
returns though it should not, stop the node; restarting it is recovering. SIGTERM and SIGINT stop it
too, after a drain. However it ends, it ends within a bound: a thread that hangs in the disk is left
behind.
"""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

EXIT_STOPPED = 0
"""After a drain."""

EXIT_FAULT = 70
"""After a fault: EX_SOFTWARE of sysexits.h, so that a service manager can tell it from a refusal
to start (1) or a wrong command line (2)."""

STOP_SECONDS_MAX = 10.0
"""From the signal to the end, drain included."""

_log = logging.getLogger(__name__)


class Supervisor:
    """Runs one node. It is the sink of every fault."""

    def __init__(self) -> None:
        self._stopping = asyncio.Event()
        self._fault: BaseException | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.get_running_loop()

    @property
    def failed(self) -> BaseException | None:
        """The fault that stops the node, if there is one."""
        return self._fault

    def fault(self, error: BaseException) -> None:
        """Stop the node because of this. The first fault is the one that counts."""
        if self._fault is None:
            self._fault = error
            _log.critical("the node stops: %s", describe(error), exc_info=error)
        self._loop.call_soon_threadsafe(self._stopping.set)

    def stop(self) -> None:
        """Stop the node as a signal would."""
        self._stopping.set()

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``work`` until the node ends. Raising is a fault, and so is returning, unless the
        node is stopping."""
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def run(self, drain: Callable[[], Awaitable[None]]) -> int:
        """Wait for a signal, a fault or :meth:`stop`, drain, cancel every task, and return the
        exit code. After a fault nothing is drained: what is in doubt is not acknowledged."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._signalled, number.name)
        await self._stopping.wait()
        _end_hard_after(STOP_SECONDS_MAX, self)
        if self._fault is None:
            try:
                async with asyncio.timeout(STOP_SECONDS_MAX - 1):
                    await drain()
            except TimeoutError:
                _log.warning("draining took longer than %s s", STOP_SECONDS_MAX - 1)
            except Exception as error:
                self.fault(error)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self.exit_code

    @property
    def exit_code(self) -> int:
        return EXIT_STOPPED if self._fault is None else EXIT_FAULT

    def _signalled(self, name: str) -> None:
        _log.info("stopping signal=%s", name)
        self._stopping.set()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self._tasks.discard(task)
        elif (error := task.exception()) is not None:
            self.fault(error)
        elif not self._stopping.is_set():
            self.fault(AssertionError(f"the task {task.get_name()} ended"))


def describe(error: BaseException) -> str:
    """The kind and the text of an error; of a group, those of its members."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(describe(inner) for inner in error.exceptions)
    return f"{type(error).__name__}: {error}"


def _end_hard_after(seconds: float, supervisor: Supervisor) -> None:
    """A thread that hangs in the kernel would otherwise keep the process for ever."""

    def end() -> None:
        _log.critical("not stopped after %s s, ending hard", seconds)
        os._exit(supervisor.exit_code or EXIT_FAULT)

    watchdog = threading.Timer(seconds, end)
    watchdog.daemon = True
    watchdog.start()
