"""How long the writer of a stream to another node lets messages gather before it writes a frame.

A frame costs as much as dozens of messages in it, at both ends. How long requests take under load
is their number by how many are served a second; so when a frame waits until a small part of all
that are open is in it, each takes longer by about that part, whatever the speed of the machine. Who
works alone, or with a few others, never waits; and what comes in frames goes out in frames anyway.
"""

import asyncio
from collections.abc import Awaitable, Callable

OPEN_FOR_EACH = 16
"""Open calls of the whole node for each message that a frame waits for."""

WANTED_MAX = 16
"""Messages for which a frame waits; the frame's own cost is little for each of so many."""

LOOK_SECONDS = 0.005
"""Between two looks at what has gathered."""

LOOKS_MAX = 10
"""Then the frame goes with what there is: after 50 ms, should the others wait for other things."""


def wanted_count(open_count: int) -> int:
    """How many messages a frame waits for, while so many calls are open."""
    return min(WANTED_MAX, open_count // OPEN_FOR_EACH)


class Pace:
    """What all streams from one node to others keep to."""

    def __init__(
        self,
        count_open: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``count_open`` says how many requests the node is serving that came one by one."""
        self._count_open = count_open
        self._sleep = sleep

    async def gather(self, count_waiting: Callable[[], int]) -> None:
        """Return when enough messages wait for the next frame, or have waited long enough."""
        for _ in range(LOOKS_MAX):
            if count_waiting() >= wanted_count(self._count_open()):
                return
            await self._sleep(LOOK_SECONDS)
