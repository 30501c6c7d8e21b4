"""Pauses between attempts: doubling, bounded, and never the same for everybody."""

import asyncio
import random

FIRST_SECONDS = 0.1
"""As Go peers begin (fabric common/deliverclient/blocksprovider)."""

MAX_SECONDS = 10.0


class Backoff:
    """The pauses of one connection."""

    def __init__(self, first: float = FIRST_SECONDS, longest: float = MAX_SECONDS) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def reset(self) -> None:
        """Something worked; the next pause is the shortest again."""
        self._next = self._first

    async def pause(self) -> None:
        """Wait, and longer the next time. Nodes that lost the same orderer spread out."""
        await asyncio.sleep(self._next * random.uniform(0.8, 1.2))
        self._next = min(self._next * 2, self._longest)
