"""Looking at processes of this machine through /proc."""

import contextlib
import os
from pathlib import Path


def parents() -> dict[int, int]:
    """The parent of every process."""
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text()
                found[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return found


def descendants(pid: int) -> list[int]:
    """All processes below this one."""
    parent_of = parents()
    found: list[int] = []
    for candidate in parent_of:
        ancestor = parent_of.get(candidate)
        while ancestor and ancestor != pid:
            ancestor = parent_of.get(ancestor)
        if ancestor == pid:
            found.append(candidate)
    return found


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in use now."""
    return _status_bytes(pid, "VmRSS")


def resident_bytes_max(pid: int) -> int:
    """The most memory that the process ever used."""
    return _status_bytes(pid, "VmHWM")


def _status_bytes(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {name} of process {pid}")
