"""How long the writer of a framed stream lets messages gather between two frames.

A frame costs as much as dozens of messages in it, at both ends. While few requests are open each
message goes at once, so who works alone never waits; the more are open, the longer the pause after
a frame, up to a bound that is small beside what so many requests take anyway.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

OPEN_UNPACED = 8
"""Requests open on a stream up to which nothing is held back."""

PAUSE_SECONDS_EACH = 0.002_5
"""For every open request beyond those. Most callers wait elsewhere than on one stream: with 256 of
them, ten to thirty are open on it."""

PAUSE_SECONDS_MAX = 0.02
"""A small part of what a transaction takes when as many are open as lead to it."""


def pause_seconds(open_count: int) -> float:
    """From one frame to the next, while so many requests are open."""
    beyond = open_count - OPEN_UNPACED
    return min(PAUSE_SECONDS_MAX, beyond * PAUSE_SECONDS_EACH) if beyond > 0 else 0.0


class Pace:
    """Says when the next frame of one stream may go."""

    def __init__(
        self,
        count_open: Callable[[], int],
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._count_open = count_open
        self._now = now
        self._sleep = sleep
        self._last = float("-inf")

    async def wait(self) -> None:
        """Return when a frame may go; it counts as gone then."""
        pause = pause_seconds(self._count_open())
        if pause:
            left = self._last + pause - self._now()
            if left > 0:
                await self._sleep(left)
        self._last = self._now()
