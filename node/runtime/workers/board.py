"""A page of memory in which a worker writes which transaction is on the CPU.

The worker's code can write anything there, so the node takes it for a hint: it decides whom to
blame among the transactions of one package, nothing else. The page cannot be made smaller under
the node.
"""

import fcntl
import mmap
import os
import struct
from typing import Final

_FORMAT: Final = struct.Struct("=QQ")
_F_ADD_SEALS: Final = 1033
_SEAL_SEAL_SHRINK_GROW: Final = 1 | 2 | 4


class Board:
    """The node's view of the page."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("board", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.descriptor, mmap.PAGESIZE)
        fcntl.fcntl(self.descriptor, _F_ADD_SEALS, _SEAL_SEAL_SHRINK_GROW)
        self._page = mmap.mmap(self.descriptor, mmap.PAGESIZE)

    def read(self) -> tuple[int, int]:
        """How often the CPU was given to a transaction, and which one has it (0 for none)."""
        switches, running = _FORMAT.unpack_from(self._page)
        return switches, running

    def close_descriptor(self) -> None:
        """The worker has its own by now. The page stays readable."""
        os.close(self.descriptor)

    def close(self) -> None:
        self._page.close()
