"""What a channel has to deliver: its blocks, how many there are, and a way to wait for the next.

One event wakes everybody who waits, and the newest blocks stay in memory within a bound, so that
many followers at the end of the chain cost no reads.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tongban.node.core.channel.config import ChannelConfig

RECENT_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of the newest blocks kept in memory for a channel; the last block is kept in any case."""


class BlockSource(Protocol):
    """Blocks of one channel, as a deliver session needs them."""

    @property
    def height(self) -> int:
        """Number of blocks that may be delivered."""
        ...

    @property
    def is_available(self) -> bool:
        """Whether the chain can grow. A session with STRICT errors ends when it cannot."""
        ...

    @property
    def is_closed(self) -> bool:
        """Whether the node is stopping, so that sessions end."""
        ...

    def config(self) -> "ChannelConfig":
        """The configuration in force now."""
        ...

    def find_recent_block(self, number: int) -> bytes | None:
        """The serialized block if it is in memory."""
        ...

    def get_block(self, number: int) -> bytes:
        """The serialized block from disk. It blocks; any thread may call it."""
        ...

    async def wait_for(self, number: int) -> None:
        """Return when the block exists, or the source has become unavailable or closed."""
        ...


class ChannelBlocks:
    """A block source that is told of every block by whoever stores them.

    All methods but :meth:`get_block` belong to the event loop's thread.
    """

    def __init__(
        self,
        height: int,
        read: Callable[[int], bytes],
        config: Callable[[], "ChannelConfig"],
    ) -> None:
        self._height = height
        self._read = read
        self._config = config
        self._recent: OrderedDict[int, bytes] = OrderedDict()
        self._recent_bytes = 0
        self._changed = asyncio.Event()
        self._available = True
        self._closed = False

    @property
    def height(self) -> int:
        return self._height

    @property
    def is_available(self) -> bool:
        return self._available

    @property
    def is_closed(self) -> bool:
        return self._closed

    def config(self) -> "ChannelConfig":
        return self._config()

    def advance(self, number: int, block: bytes) -> None:
        """The next block is durable and may be delivered."""
        assert number == self._height, f"expected block {self._height}, found {number}"
        self._recent[number] = block
        self._recent_bytes += len(block)
        while self._recent_bytes > RECENT_BYTES_MAX and len(self._recent) > 1:
            self._recent_bytes -= len(self._recent.popitem(last=False)[1])
        self._height = number + 1
        self._wake()

    def set_available(self, available: bool) -> None:
        """Say whether the chain can grow now."""
        if available != self._available:
            self._available = available
            self._wake()

    def close(self) -> None:
        """Sessions end; nothing more will be delivered."""
        self._closed = True
        self._wake()

    def find_recent_block(self, number: int) -> bytes | None:
        return self._recent.get(number)

    def get_block(self, number: int) -> bytes:
        return self._read(number)

    async def wait_for(self, number: int) -> None:
        available = self._available
        while number >= self._height and available == self._available and not self._closed:
            await self._changed.wait()

    def _wake(self) -> None:
        # Everybody who waits holds the old event; the next wait begins with a new one.
        self._changed.set()
        self._changed = asyncio.Event()
