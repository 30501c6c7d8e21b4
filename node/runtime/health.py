"""What can go wrong with a node's disk while it runs, as its page of health tells it.

Only what a node survives is here: a failing disk or a broken ledger stops it, and then nothing
answers at all.
"""

import os
from pathlib import Path
from typing import Final

from tongban.node.runtime.operations import Operations

DISK_BYTES_MIN: Final = 64 * 1024 * 1024
"""Less free disk is told before the ledger meets it; one segment of blocks has this size."""

_MIB: Final = 1024 * 1024


def watch_disk(operations: Operations, data: Path) -> None:
    """The disk below ``data`` can be written and has room."""

    async def check() -> str | None:
        disk = os.statvfs(data)
        if disk.f_flag & os.ST_RDONLY:
            return f"{data} is mounted read-only"
        free = disk.f_bavail * disk.f_frsize
        if free < DISK_BYTES_MIN:
            return f"{data} has {free // _MIB} MiB free, at least {DISK_BYTES_MIN // _MIB} expected"
        return None

    def describe() -> str:
        disk = os.statvfs(data)
        return f"{disk.f_bavail * disk.f_frsize // _MIB} MiB free"

    operations.add_check("disk", check)
    operations.describe("disk", describe)
