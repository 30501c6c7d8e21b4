"""Processes of a network, as the system knows them.

Nodes run in sessions of their own. When their supervisor is killed they go on, hold their ports and
their ledgers, and nobody starts or stops them: leftovers.
"""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from tongban.network.layout import NetworkLayout

END_SECONDS_MAX = 15.0
"""A node's own limit for draining is 10 s; then it is killed."""

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Leftover:
    """A node that runs without its supervisor."""

    name: str
    pid: int


def find_leftovers(layout: NetworkLayout) -> list[Leftover]:
    """Nodes of the network in this directory that run, whoever started them."""
    configs = {str(path): path.parent.name for path in layout.root.glob("nodes/*/config.yaml")}
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if any(word.startswith("tongban.node.") for word in words):
                names = [configs[word] for word in words if word in configs]
                found += [Leftover(name, int(entry.name)) for name in names]
    return sorted(found, key=lambda leftover: leftover.name)


def end_leftovers(layout: NetworkLayout) -> list[Leftover]:
    """Ends them as their supervisor would, and returns which there were."""
    found = find_leftovers(layout)
    for leftover in found:
        _send(leftover.pid, signal.SIGTERM)
    deadline = time.monotonic() + END_SECONDS_MAX
    for leftover in found:
        while is_alive(leftover.pid):
            if time.monotonic() > deadline:
                _send(leftover.pid, signal.SIGKILL)
            time.sleep(0.02)
    return found


def is_alive(pid: int) -> bool:
    """Whether the process runs. One that has ended and that nobody has waited for does not."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # a child of ours stays until somebody has waited for it
    try:
        stat = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return False
    state = stat.rpartition(b")")[2].split()[0]  # proc_pid_stat(5); the name may hold brackets
    return state not in (b"Z", b"X")


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
