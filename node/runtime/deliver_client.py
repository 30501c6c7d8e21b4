"""Follow a channel at its orderers, as a peer does.

Blocks come in order from the height that the caller has. The next one is read when the caller is
done with the last, so nothing piles up here; what the orderer sent ahead waits in the transport's
window. A connection that is lost, an orderer that refuses, and a block that the caller refuses all
end the same way: the next orderer is asked, after a pause that grows while none of them works.
"""

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc

from tongban.node.core.delivered_block import unwrap_block
from tongban.node.core.seek import FOREVER, build_seek, seek_specified
from tongban.node.runtime.backoff import FIRST_SECONDS, Backoff
from tongban.node.runtime.dialing import ByteStream, connected, write
from tongban.protos.ab_pb2 import SeekInfo
from tongban.protos.common_pb2 import Status
from tongban.protos.errors import TongbanError
from tongban.protos.signing import Signer

DELIVER = "/orderer.AtomicBroadcast/Deliver"

NONCE_BYTES = 24

STEADY_SECONDS = 1.0
"""A stream that has been open for so long counts as following, though no block has come yet; an
orderer that refuses does so at once."""

_log = logging.getLogger(__name__)


class DeliverEnded(TongbanError):
    """An orderer ended the stream of blocks."""


@dataclass(frozen=True, slots=True)
class Following:
    """What to follow, and what to do with it."""

    channel_id: str
    signer: Signer
    addresses: Callable[[], Sequence[str]]
    """host:port of the orderers now; asked before each attempt, never empty for long."""
    connect: Callable[[str], grpc.aio.Channel]
    height: Callable[[], int]
    """The number of the block that is wanted next."""
    on_block: Callable[[bytes], Awaitable[None]]
    """Takes the next serialized block, after which ``height`` is one more. A refusal
    (TongbanError) says that the orderer is not to be believed; anything else is a fault."""


class BlockFollower:
    """Run :meth:`run` in a task of the supervisor."""

    def __init__(self, following: Following, backoff: Backoff | None = None) -> None:
        self._following = following
        self._backoff = backoff or Backoff()
        # Peers that start together do not all ask the same orderer.
        self._turn = random.randrange(1_000)
        self.address: str | None = None
        """The orderer that is being followed, or None between two."""
        self._opened_at: float | None = None
        self._lost_at = time.monotonic()
        self._reason = "no orderer has been reached yet"

    def trouble(self) -> tuple[float, str] | None:
        """For how many seconds no orderer has been followed, and why; None while one is."""
        now = time.monotonic()
        if self._opened_at is not None and now - self._opened_at >= STEADY_SECONDS:
            return None
        return now - self._lost_at, self._reason

    async def run(self) -> None:
        """Follow until cancelled; a fault of ``on_block`` comes out."""
        while True:
            addresses = self._following.addresses()
            if addresses:
                address = addresses[self._turn % len(addresses)]
                try:
                    await self._follow(address)
                except (TongbanError, grpc.aio.AioRpcError) as error:
                    self._reason = f"{address}: {_text(error)}"
                    _log.warning(
                        "channel %s: orderer %s at height %d: %s",
                        self._following.channel_id,
                        address,
                        self._following.height(),
                        _text(error),
                    )
                finally:
                    self._close()
            self._turn += 1
            if addresses and self._turn % len(addresses):
                await asyncio.sleep(FIRST_SECONDS)
            else:
                await self._backoff.pause()

    async def _follow(self, address: str) -> None:
        async with self._following.connect(address) as channel:
            await connected(channel)
            call: ByteStream = channel.stream_stream(DELIVER)()
            await write(call, self._request())
            self.address, self._opened_at = address, time.monotonic()
            while isinstance(data := await call.read(), bytes):
                block, status = unwrap_block(data)
                if block is None:
                    raise DeliverEnded(f"it ended with status {Status.Name(status)}")
                await self._following.on_block(block)
                self._opened_at = time.monotonic() - STEADY_SECONDS
                self._backoff.reset()
            raise DeliverEnded("it ended the stream")

    def _close(self) -> None:
        if self.trouble() is None:
            self._lost_at = time.monotonic()
        self.address = self._opened_at = None

    def _request(self) -> bytes:
        seek = SeekInfo(
            start=seek_specified(self._following.height()),
            stop=seek_specified(FOREVER),
            behavior=SeekInfo.BLOCK_UNTIL_READY,
        )
        return build_seek(
            self._following.channel_id,
            seek,
            self._following.signer,
            secrets.token_bytes(NONCE_BYTES),
            datetime.now(UTC),
        )


def _text(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return str(error)
