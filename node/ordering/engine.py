"""The contract of an ordering engine: append a batch, follow the log from a position.

An engine gives every orderer of a channel the same batches in the same order. One batch is one
block, so orderers that follow the same log cut the same blocks. What is not here is left to whoever
needs it: which envelopes are admitted, how batches are cut, who signs the blocks.
"""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple, Protocol


class OrderedBatch(NamedTuple):
    """A batch in the log. The first one after the genesis block has position 1."""

    position: int
    envelopes: tuple[bytes, ...]


class OrderingEngine(Protocol):
    """A durable total order of batches, for one channel."""

    async def append(self, batch: Sequence[bytes]) -> int:
        """Put serialized envelopes behind everything appended before, and return their position.

        When this returns, a crash of any kind loses none of them. When it raises, they may or may
        not be in the log.
        """
        ...

    def follow(self, position: int) -> AsyncIterator[OrderedBatch]:
        """Every batch from ``position`` on, in order, waiting at the end for more."""
        ...


class BlockLog(Protocol):
    """Serialized blocks of one channel on disk. One thread appends; any thread reads blocks below
    ``height``."""

    @property
    def height(self) -> int: ...

    def append(self, number: int, block: bytes) -> None:
        """The block is durable behind the last one afterwards."""
        ...

    def get_block(self, number: int) -> bytes: ...

    def close(self) -> None: ...
