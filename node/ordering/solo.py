"""One orderer, durable: its log is the chain of blocks itself.

A batch becomes a block, the block is signed, written and synced, and only then is the batch
appended. One thread does all of that for a channel, so the event loop never waits for a disk. What
is on disk at a start is the log, whatever stopped the process: recovering is starting.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tongban.node.core.block_build import ChainEnd, build_block, read_chain_end
from tongban.node.ordering.engine import BlockLog, OrderedBatch
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import Block
from tongban.protos.signing import Signer

NONCE_BYTES = 24
"""Random bytes in a signature header (fabric-lib-go common/crypto/random.go)."""


class SoloEngine:
    """The ordering engine of a channel that one orderer orders alone."""

    def __init__(
        self, log: BlockLog, signer: Signer, on_block: Callable[[int, bytes], None]
    ) -> None:
        """The log holds at least the genesis block. ``on_block`` is told on the event loop of
        each block that has become durable, in order and before its append returns."""
        assert log.height > 0, "the genesis block comes before the engine"
        self._log = log
        self._signer = signer
        self._on_block = on_block
        self._end = read_chain_end(parse(Block, log.get_block(log.height - 1)))
        assert self._end.height == log.height, "the log's numbers have a gap"
        self._durable = log.height
        self._grown = asyncio.Event()
        self._turn = asyncio.Lock()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="ordering-log")

    @property
    def end(self) -> ChainEnd:
        return self._end

    async def append(self, batch: Sequence[bytes]) -> int:
        """Make the batch the next block. A failing disk raises and leaves the engine unusable:
        whoever called stops the node."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            number = self._end.height
            block = await loop.run_in_executor(self._writer, self._write, list(batch))
            self._durable = number + 1
            self._on_block(number, block)
            self._grown.set()
            self._grown = asyncio.Event()
            return number

    async def follow(self, position: int) -> AsyncIterator[OrderedBatch]:
        """Batches from ``position`` on, read back from the log."""
        loop = asyncio.get_running_loop()
        while True:
            while position >= self._durable:
                await self._grown.wait()
            block = await loop.run_in_executor(None, self._log.get_block, position)
            yield OrderedBatch(position, tuple(parse(Block, block).data.data))
            position += 1

    async def close(self) -> None:
        """Return when nothing is being written. The log stays open; it is the caller's."""
        async with self._turn:
            self._writer.shutdown(wait=False)

    def _write(self, batch: list[bytes]) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        block = build_block(self._end, batch, self._signer, nonce, self._end.height)
        serialized = block.SerializeToString()
        self._log.append(self._end.height, serialized)
        self._end = read_chain_end(block)
        return serialized
