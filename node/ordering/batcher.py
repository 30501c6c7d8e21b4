"""From admitted envelopes to appended batches, one at a time.

Envelopes are taken in the order of :meth:`Batcher.submit`. While a batch is being appended others
gather, and the next batch takes them all up to the channel's limits: a group commit. The callback
of an envelope is called once its batch is durable, never before.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

from tongban.node.core.blockcutter import BatchLimits, BlockCutter
from tongban.node.core.errors import Overloaded, ShuttingDown
from tongban.node.ordering.engine import OrderingEngine
from tongban.protos.errors import TongbanError

WAITING_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of envelopes that wait for the engine on one channel; more are refused, so that memory
stays flat when clients send faster than the disk takes it."""

WAITING_COUNT_MAX = 20_000
"""Envelopes that wait for the engine on one channel; ten seconds of the load we aim at."""


class QueueFull(Overloaded):
    """Envelopes come faster than the engine takes them."""

    def __init__(self, waiting_count: int, waiting_bytes: int) -> None:
        TongbanError.__init__(
            self,
            f"{waiting_count} envelopes ({waiting_bytes} bytes) are waiting to be ordered "
            "already; try again later",
        )
        self.service = "orderer.AtomicBroadcast"
        self.limit = WAITING_COUNT_MAX


class WaitingEnvelope(NamedTuple):
    """An envelope as the block will hold it, and whom to tell."""

    serialized: bytes
    size_bytes: int
    on_ordered: Callable[[int], None]
    """Called with the position of the batch, once it is durable."""


class Batcher:
    """The queue before a channel's engine. It belongs to the event loop's thread."""

    def __init__(self, engine: OrderingEngine, limits: BatchLimits) -> None:
        self._engine = engine
        self._cutter: BlockCutter[WaitingEnvelope] = BlockCutter(limits)
        self._waiting_bytes = 0
        self._waiting_count = 0
        self._work = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._closing = False

    @property
    def waiting_count(self) -> int:
        return self._waiting_count

    def submit(self, envelope: WaitingEnvelope) -> None:
        """The envelope will be ordered after those submitted before.

        Raises:
            Overloaded: too much is waiting.
            ShuttingDown: nothing is taken any more.
        """
        if self._closing:
            raise ShuttingDown("the orderer is shutting down")
        if (
            self._waiting_count >= WAITING_COUNT_MAX
            or self._waiting_bytes + envelope.size_bytes > WAITING_BYTES_MAX
        ):
            raise QueueFull(self._waiting_count, self._waiting_bytes)
        self._waiting_count += 1
        self._waiting_bytes += envelope.size_bytes
        self._cutter.add(envelope, _now_ms())
        self._empty.clear()
        self._work.set()

    async def run(self) -> None:
        """Append batches until cancelled. What the engine raises comes out here; the callbacks of
        that batch are then never called, since nobody knows whether it is in the log."""
        while True:
            await self._work.wait()
            due_ms = self._cutter.find_due_ms(engine_idle=True)
            if due_ms is None:
                self._work.clear()
                self._empty.set()
                continue
            if (delay_ms := due_ms - _now_ms()) > 0:
                await asyncio.sleep(delay_ms / 1_000)
            batch = self._cutter.cut(engine_idle=True, now_ms=_now_ms())
            if batch is not None:
                await self._append(batch)

    async def drain(self) -> None:
        """Take nothing more, and return when everything taken is durable and answered."""
        self._closing = True
        await self._empty.wait()

    async def _append(self, batch: list[WaitingEnvelope]) -> None:
        position = await self._engine.append([envelope.serialized for envelope in batch])
        self._waiting_count -= len(batch)
        self._waiting_bytes -= sum(envelope.size_bytes for envelope in batch)
        for envelope in batch:
            envelope.on_ordered(position)


def _now_ms() -> float:
    return time.monotonic() * 1_000
