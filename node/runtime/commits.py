"""Tells those who wait that the transaction they wait for is committed.

Subscribe first, then look into the ledger: in that order nothing can be missed.
"""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from tongban.node.core.errors import Overloaded, ShuttingDown

WAITERS_MAX = 100_000
"""Calls that may wait for transactions at once on a channel; each costs a few hundred bytes."""


class CommitStatus(NamedTuple):
    """The verdict on a transaction and the block that holds it."""

    code: int
    block_num: int


class CommitFeed:
    """Of one channel. The committer publishes after the block is on disk."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[asyncio.Future[CommitStatus]]] = {}
        self._waiting_count = 0
        self._closed = False

    @property
    def waiting_count(self) -> int:
        """Calls that wait."""
        return self._waiting_count

    def subscribe(self, tx_id: str) -> asyncio.Future[CommitStatus]:
        """A future of the transaction's verdict. Give it back with :meth:`unsubscribe`.

        Raises:
            Overloaded: too many wait already.
            ShuttingDown: nothing more will be published.
        """
        if self._closed:
            raise _shutting_down()
        if self._waiting_count >= WAITERS_MAX:
            raise Overloaded("commit status", WAITERS_MAX)
        future: asyncio.Future[CommitStatus] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tx_id, []).append(future)
        self._waiting_count += 1
        return future

    def unsubscribe(self, tx_id: str, future: asyncio.Future[CommitStatus]) -> None:
        waiting = self._waiting.get(tx_id)
        if waiting is None or future not in waiting:
            return
        waiting.remove(future)
        self._waiting_count -= 1
        if not waiting:
            del self._waiting[tx_id]

    def publish(self, number: int, verdicts: Iterable[tuple[str | None, int]]) -> None:
        """Block ``number`` is committed; ``verdicts`` are its transaction ids and codes in order.
        Of an id that stands twice in a block, the first answers."""
        for tx_id, code in verdicts:
            if tx_id is None:
                continue
            for future in self._waiting.pop(tx_id, ()):
                self._waiting_count -= 1
                if not future.done():
                    future.set_result(CommitStatus(code, number))

    def close(self) -> None:
        """Whoever still waits is told that the node is shutting down."""
        self._closed = True
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_exception(_shutting_down())


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("the node is shutting down; ask for the commit status when it is back")
