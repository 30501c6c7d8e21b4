"""Waiting for blocks that another peer has already.

A client that has seen its transaction committed by one peer may have its next one endorsed by
another, which can be a block behind; the two would then read different versions. So a request of a
gateway says how many blocks its peer has, and who has fewer waits. Not for long, and not at all who
is far behind or is told a number that nobody has: such requests go on with what there is.
"""

import asyncio
import contextlib
from collections.abc import Callable

from tongban.node.runtime.block_source import BlockSource

CATCH_UP_SECONDS_MAX = 2.0
"""A block is on its way for milliseconds, for some tenths of a second under load."""

BEHIND_MAX = 100
"""Blocks that may be missing; more of them hardly come in so short a time."""

WAITING_MAX = 2_500
"""Requests that wait at once, as many as are endorsed at once; one more goes on without waiting."""

WAITING_BYTES_MAX = 64 * 1024 * 1024
"""Of their proposals together. Nobody has looked yet who sent them."""


class CatchUp:
    """Holds requests until a channel has the blocks that they build upon."""

    def __init__(
        self,
        find: Callable[[str], BlockSource | None],
        seconds_max: float = CATCH_UP_SECONDS_MAX,
    ) -> None:
        """``find`` knows a channel that has been joined by its id."""
        self._find = find
        self._seconds_max = seconds_max
        self._waiting = 0
        self._waiting_bytes = 0

    @property
    def waiting(self) -> int:
        """Requests that wait now."""
        return self._waiting

    async def wait(self, channel_id: str, height: int, size: int) -> None:
        """Return when the channel has so many blocks, when the node stops, or when it takes too
        long; at once if there is no such channel, or if too many blocks are missing. ``size`` is
        how many bytes the request holds meanwhile."""
        blocks = self._find(channel_id)
        if blocks is None or not 0 < height - blocks.height <= BEHIND_MAX:
            return
        if self._waiting >= WAITING_MAX or self._waiting_bytes + size > WAITING_BYTES_MAX:
            return
        self._waiting += 1
        self._waiting_bytes += size
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds_max):
                    while blocks.height < height and not blocks.is_closed:
                        await blocks.wait_for(height - 1)
        finally:
            self._waiting -= 1
            self._waiting_bytes -= size
