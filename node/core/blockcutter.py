"""Which envelopes share a block, and when a block is cut.

Sizes and counts are those of the channel's BatchSize (fabric orderer/common/blockcutter): an
envelope larger than the preferred size stands alone, one that would push the pending batch over it
begins a new batch, and a batch that reaches the count is complete. A complete batch may be taken at
once. An incomplete one may be taken as soon as the engine has nothing else to do, and at the latest
when the channel's BatchTimeout has passed since its first envelope. So a lone transaction waits for
nobody, and under load batches grow by themselves while the engine is busy.

An idle engine still leaves ``pace_ms`` between two blocks, because each block costs every peer a
signature check and two disk syncs. One caller who waits for each commit never meets that pause.
"""

from collections import deque
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """What the cutter must know of an envelope."""

    @property
    def size_bytes(self) -> int:
        """Bytes of payload and signature together, which is what the channel's limits count."""
        ...


E = TypeVar("E", bound=Sized)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The channel's BatchSize and BatchTimeout, and our own pause between blocks."""

    count_max: int
    bytes_preferred_max: int
    timeout_ms: float
    pace_ms: float = 0.0


class BlockCutter(Generic[E]):
    """Takes envelopes in order and gives them back in the same order, in batches.

    The caller says what time it is, in milliseconds of any clock that does not go back.
    """

    def __init__(self, limits: BatchLimits) -> None:
        self._limits = limits
        self._complete: deque[list[E]] = deque()
        self._pending: list[E] = []
        self._pending_bytes = 0
        self._pending_since_ms = 0.0
        self._cut_at_ms = float("-inf")

    def set_limits(self, limits: BatchLimits) -> None:
        """Hold from the next envelope on to these limits, after a change of the channel's."""
        self._limits = limits

    @property
    def is_empty(self) -> bool:
        return not self._pending and not self._complete

    def add(self, envelope: E, now_ms: float) -> None:
        """The envelope is in the last batch."""
        size = envelope.size_bytes
        if size > self._limits.bytes_preferred_max:
            self._complete_pending()
            self._complete.append([envelope])
            return
        if self._pending_bytes + size > self._limits.bytes_preferred_max:
            self._complete_pending()
        if not self._pending:
            self._pending_since_ms = now_ms
        self._pending.append(envelope)
        self._pending_bytes += size
        if len(self._pending) >= self._limits.count_max:
            self._complete_pending()

    def cut(self, *, engine_idle: bool, now_ms: float) -> list[E] | None:
        """The next batch, if one may be taken now; it is the caller's from here on."""
        due_ms = self.find_due_ms(engine_idle=engine_idle)
        if due_ms is None or now_ms < due_ms:
            return None
        if not self._complete:
            self._complete_pending()
        self._cut_at_ms = now_ms
        return self._complete.popleft()

    def find_due_ms(self, *, engine_idle: bool) -> float | None:
        """When :meth:`cut` will give a batch if nothing is added, or None if there is nothing."""
        if self._complete:
            return float("-inf")
        if not self._pending:
            return None
        timeout_ms = self._pending_since_ms + self._limits.timeout_ms
        if not engine_idle:
            return timeout_ms
        return min(timeout_ms, self._cut_at_ms + self._limits.pace_ms)

    def _complete_pending(self) -> None:
        if self._pending:
            self._complete.append(self._pending)
        self._pending = []
        self._pending_bytes = 0
