"""One process that runs contracts: how it is started, watched from outside, and ended."""

import asyncio
import logging
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tongban.node.runtime.workers.board import Board
from tongban.node.runtime.workers.launcher import Orders, to_argument
from tongban.node.runtime.workers.settings import WorkerSettings

_log = logging.getLogger(__name__)

LAUNCHER: Final = "tongban.node.runtime.workers.launcher"

ENVIRONMENT: Final = {
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUTF8": "1",
    "TZ": "UTC",
    "LC_ALL": "C.UTF-8",
}
"""The whole environment of a worker. Sets and dictionaries must iterate alike on every peer, so the
hash seed is fixed."""

INTERPRETER_OPTIONS: Final = ("-P", "-s", "-B")
"""What ``-I`` means, but for ``-E``: with it the fixed hash seed would be ignored, and the
environment above is all there is to ignore."""

_OUTPUT_LINES_MAX: Final = 1_000
"""Lines that a worker may write to its real output; contracts' lines travel as messages."""

_PAGE_BYTES: Final = mmap.PAGESIZE


class WorkerProcess:
    """A started worker process. Belongs to the event loop and thread that started it."""

    def __init__(self, settings: WorkerSettings, label: str) -> None:
        """The process is started; its end of the stream is connected to :attr:`socket`."""
        self.board = Board()
        self.socket, theirs = socket.socketpair()
        read_end, write_end = os.pipe2(os.O_CLOEXEC)
        orders = Orders(
            settings.runtime,
            theirs.fileno(),
            self.board.descriptor,
            os.getpid(),
            settings.to_limits(),
        )
        try:
            self._process = subprocess.Popen(
                [sys.executable, *INTERPRETER_OPTIONS, "-m", LAUNCHER, to_argument(orders)],
                pass_fds=(theirs.fileno(), self.board.descriptor),
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        except BaseException:
            self.socket.close()
            os.close(read_end)
            self.board.close()
            raise
        finally:
            theirs.close()
            os.close(write_end)
            self.board.close_descriptor()
        self.pid = self._process.pid
        self.exited = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._pidfd = os.pidfd_open(self.pid)
        self._loop.add_reader(self._pidfd, self._reap)
        self._output = _Output(read_end, label, self._loop)

    def kill(self) -> None:
        """It ends at once; :attr:`exited` tells when."""
        if not self.exited.is_set():
            self._process.kill()

    def resident_bytes(self) -> int:
        """Its memory that is not paged out; 0 when it is gone."""
        try:
            fields = Path(f"/proc/{self.pid}/statm").read_bytes().split()
        except OSError:
            return 0
        return int(fields[1]) * _PAGE_BYTES if len(fields) > 1 else 0

    def grant_cpu(self, seconds: int) -> None:
        """It may use this much more CPU from now on; without a new grant the kernel ends it."""
        try:
            # The kernel's clock of another process (clock_getcpuclockid(3)).
            used = time.clock_gettime((~self.pid << 3) | 2)
            _, hard = resource.prlimit(self.pid, resource.RLIMIT_CPU)
            resource.prlimit(self.pid, resource.RLIMIT_CPU, (int(used) + seconds, hard))
        except OSError:
            _log.debug("no CPU limit for process %d, which has ended", self.pid)

    def describe_end(self) -> str:
        """How it ended, for the log."""
        code = self._process.returncode
        if code is None:
            return "it still runs"
        if code < 0:
            return f"signal {signal.Signals(-code).name}"
        return f"exit status {code}"

    def last_output(self) -> str:
        """The last line it wrote to its real output, which tells why it did not start."""
        return self._output.last

    def _reap(self) -> None:
        if self._process.poll() is None:
            return
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._output.close()
        self.exited.set()


class _Output:
    """Lines of a worker's real output, for the node's log."""

    def __init__(self, descriptor: int, label: str, loop: asyncio.AbstractEventLoop) -> None:
        self.last = ""
        self._descriptor = descriptor
        self._label = label
        self._loop = loop
        self._lines_left = _OUTPUT_LINES_MAX
        os.set_blocking(descriptor, False)
        loop.add_reader(descriptor, self._read)

    def close(self) -> None:
        if self._descriptor >= 0:
            self._read()
        self._end()

    def _end(self) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, 64 * 1024)
        except BlockingIOError:
            return
        if not data:
            self._end()
            return
        for line in data.decode("utf-8", "replace").splitlines():
            if line.strip() and self._lines_left > 0:
                self._lines_left -= 1
                self.last = line[:500]
                _log.warning("contract %s: %r", self._label, self.last)
