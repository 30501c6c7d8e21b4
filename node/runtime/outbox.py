"""What one side of a framed stream still has to say, taken out a frame at a time.

Whatever is waiting when the stream can take more goes out together, so a busy stream sends few,
large frames and an idle one sends each message at once. With a pace, a busy node's frames are
larger still.
"""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from tongban.node.runtime.pace import Pace

M = TypeVar("M")

FRAME_MESSAGES_MAX = 512
"""Messages in one frame; keeps the time between two looks at the stream short."""


class Outbox(Generic[M]):
    """An ordered queue with one taker. Whoever puts keeps it bounded, by counting what is open."""

    def __init__(self, pace: Pace | None = None) -> None:
        """``pace`` lets messages gather under load; without one each take is at once."""
        self._pace = pace
        self._messages: deque[M] = deque()
        self._filled = asyncio.Event()
        self._taken = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: M) -> None:
        self._messages.append(message)
        self._filled.set()

    def close(self) -> None:
        """Nothing more will be put; the taker gets the rest."""
        self._closed = True
        self._filled.set()
        self._taken.set()

    async def take(self, count_max: int = FRAME_MESSAGES_MAX) -> list[M]:
        """What is waiting, at least one message; empty only when closed and done."""
        while not self._messages and not self._closed:
            self._filled.clear()
            await self._filled.wait()
        if self._pace is not None and not self._closed:
            await self._pace.gather(self.__len__)
        count = min(len(self._messages), count_max)
        self._taken.set()
        return [self._messages.popleft() for _ in range(count)]

    async def wait_below(self, count: int) -> None:
        """Return when fewer than ``count`` messages wait, or the outbox is closed. A reader of
        requests that waits here cannot be made to pile up answers that nobody takes."""
        while len(self._messages) >= count and not self._closed:
            self._taken.clear()
            await self._taken.wait()
