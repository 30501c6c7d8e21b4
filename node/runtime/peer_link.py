"""The way to another peer: one long stream for many endorsements, unary calls to foreign peers.

A link connects when it is started and again whenever it was lost, with growing pauses. Calls that
were open when it was lost are answered as unreachable: an endorsement leaves nothing behind at the
other peer, so the gateway may ask another one.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import grpc
from grpc import aio

from tongban.node.core.gateway.answer import EndorserAnswer
from tongban.node.runtime.dialing import ByteStream, ConnectFailed, connected, write
from tongban.node.runtime.outbox import Outbox
from tongban.node.runtime.pace import Pace
from tongban.protos.codec import parse
from tongban.protos.errors import MalformedMessage
from tongban.protos.proposal_pb2 import SignedProposal
from tongban.protos.services.endorser_pb2_grpc import EndorserStub
from tongban.protos.stream_pb2 import (
    Announcements,
    Cancel,
    Hello,
    PeerFrame,
    PeerMessage,
    SignedAnnouncement,
)
from tongban.protos.streams import PROTOCOL_VERSION

if TYPE_CHECKING:  # known to the stub files alone
    from tongban.protos.services.endorser_pb2_grpc import EndorserAsyncStub

STREAM = "/tongban.peer.Peer/Stream"


HELLO_SECONDS_MAX = 5.0
"""How long a peer may take to greet on a stream that it has accepted."""

OPEN_CALLS_MAX = 2_500
"""Endorsements that one link has open at once; as many as a Go peer serves."""

BACKOFF_SECONDS_FIRST = 0.1
BACKOFF_SECONDS_MAX = 5.0

CONNECT_SECONDS_MAX = 1.0
"""How long a call waits for a link that is being connected; then another peer may be asked."""


class PeerLink:
    """Call :meth:`run` in a task; :meth:`endorse` works while the link is up."""

    def __init__(
        self,
        endpoint: str,
        connect: Callable[[str], aio.Channel],
        on_connected: Callable[[], Iterable[SignedAnnouncement]],
        on_announcements: Callable[[Iterable[SignedAnnouncement]], None],
        pace: Pace | None = None,
    ) -> None:
        """``on_connected`` gives what to tell the other peer first."""
        self.endpoint = endpoint
        self._connect = connect
        self._on_connected = on_connected
        self._on_announcements = on_announcements
        self._pace = pace
        self._open: dict[int, asyncio.Future[EndorserAnswer]] = {}
        self._next_id = 1
        self._outbox: Outbox[PeerMessage] | None = None
        self._unary: EndorserAsyncStub | None = None
        self._up = asyncio.Event()
        self._wanted = asyncio.Event()
        self._tried = asyncio.Event()
        """Set when the attempt that somebody waits for has succeeded or failed."""

    @property
    def is_up(self) -> bool:
        return self._up.is_set()

    @property
    def is_foreign(self) -> bool:
        """Whether the other side does not speak our stream."""
        return self._unary is not None

    async def run(self) -> None:
        """Keep the link up until cancelled."""
        pause = BACKOFF_SECONDS_FIRST
        while True:
            reason = "the connection was closed"
            try:
                async with self._connect(self.endpoint) as channel:
                    await connected(channel)
                    await self._serve(channel)
            except aio.AioRpcError as error:
                reason = error.details() or error.code().name
            except (ConnectFailed, MalformedMessage) as error:
                reason = str(error)
            except TimeoutError:
                reason = f"no greeting within {HELLO_SECONDS_MAX} s"
            finally:
                pause = BACKOFF_SECONDS_FIRST if self.is_up else pause
                self._lose(reason)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            self._wanted.clear()
            pause = min(pause * 2, BACKOFF_SECONDS_MAX)

    def wake(self) -> None:
        """The other peer has shown itself: if the link is down, connect now."""
        if not self.is_up:
            self._wanted.set()
            self._tried.clear()

    def announce(self, announcements: Iterable[SignedAnnouncement]) -> None:
        """Tell the other peer, if it can be told now."""
        if self._outbox is not None and len(self._outbox) < OPEN_CALLS_MAX:
            message = PeerMessage(announcements=Announcements(announcements=announcements))
            self._outbox.put(message)

    async def endorse(self, proposal: SignedProposal, height: int = 0) -> EndorserAnswer:
        """The other peer's answer, or that it cannot be reached. Cancelling tells the peer.

        With a ``height``, a peer of our kind that has fewer blocks waits for them, within bounds.
        """
        if not self.is_up:
            self.wake()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONNECT_SECONDS_MAX):
                    await self._tried.wait()
        if self._unary is not None:
            return await self._endorse_unary(self._unary, proposal)
        outbox = self._outbox
        if outbox is None:
            return unreachable(f"no connection to {self.endpoint}")
        # Withdrawn calls leave their proposals in the outbox until the peer takes them.
        if max(len(self._open), len(outbox)) >= OPEN_CALLS_MAX:
            return EndorserAnswer(error=f"too many open calls to {self.endpoint}")
        call_id = self._next_id
        self._next_id += 1
        future: asyncio.Future[EndorserAnswer] = asyncio.get_running_loop().create_future()
        self._open[call_id] = future
        try:
            outbox.put(PeerMessage(id=call_id, endorse=proposal, height=height))
            return await future
        except asyncio.CancelledError:
            outbox.put(PeerMessage(id=call_id, cancel=Cancel()))
            raise
        finally:
            self._open.pop(call_id, None)

    async def _serve(self, channel: aio.Channel) -> None:
        call: ByteStream = channel.stream_stream(STREAM)()
        try:
            # Read first: a write that meets a refusal hides the refusal's code.
            async with asyncio.timeout(HELLO_SECONDS_MAX):
                first = await call.read()
            if isinstance(first, bytes):
                _check_hello(parse(PeerFrame, first))
                await self._serve_framed(call)
        except aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise
            await self._serve_foreign(channel)
        finally:
            call.cancel()

    async def _serve_framed(self, call: ByteStream) -> None:
        hello = Hello(version=PROTOCOL_VERSION, software="tongban")
        await write(call, PeerFrame(hello=hello).SerializeToString())
        outbox = self._outbox = Outbox(self._pace)
        self._set_up()
        self.announce(self._on_connected())
        writing = asyncio.create_task(_write(call, outbox))
        try:
            while isinstance(data := await call.read(), bytes):
                self._take(parse(PeerFrame, data))
        finally:
            outbox.close()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _serve_foreign(self, channel: aio.Channel) -> None:
        """Until the connection ends; the peer behind the next one may be of our kind."""
        self._unary = EndorserStub(channel)
        self._set_up()
        await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)

    async def _endorse_unary(
        self, stub: "EndorserAsyncStub", proposal: SignedProposal
    ) -> EndorserAnswer:
        try:
            return EndorserAnswer(await stub.ProcessProposal(proposal))
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            return unreachable(f"{self.endpoint}: the connection was closed")  # under the call
        except aio.AioRpcError as error:
            text = error.details() or error.code().name
            return EndorserAnswer(
                error=text, is_unreachable=error.code() is grpc.StatusCode.UNAVAILABLE
            )

    def _take(self, frame: PeerFrame) -> None:
        for message in frame.messages:
            kind = message.WhichOneof("body")
            if kind == "endorsed":
                self._answer(message.id, EndorserAnswer(message.endorsed))
            elif kind == "failed":
                self._answer(message.id, EndorserAnswer(error=message.failed.message))
            elif kind == "announcements":
                self._on_announcements(message.announcements.announcements)

    def _answer(self, call_id: int, answer: EndorserAnswer) -> None:
        future = self._open.get(call_id)
        if future is not None and not future.done():
            future.set_result(answer)

    def _set_up(self) -> None:
        self._up.set()
        self._tried.set()

    def _lose(self, reason: str) -> None:
        self._up.clear()
        if not self._wanted.is_set():  # otherwise an attempt that began too early has failed
            self._tried.set()
        self._outbox = None
        self._unary = None
        for future in self._open.values():
            if not future.done():
                future.set_result(unreachable(f"{self.endpoint}: {reason}"))


def unreachable(text: str) -> EndorserAnswer:
    """The answer of a peer to which there is no way now."""
    return EndorserAnswer(error=text, is_unreachable=True)


def _is_cancelled() -> bool:
    """Whether somebody has cancelled this task: grpc raises the same error in whoever waits for a
    call on a channel that is being closed."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _write(call: ByteStream, outbox: Outbox[PeerMessage]) -> None:
    while messages := await outbox.take():
        if not await write(call, PeerFrame(messages=messages).SerializeToString()):
            return


def _check_hello(frame: PeerFrame) -> None:
    if not frame.HasField("hello") or frame.hello.version != PROTOCOL_VERSION:
        raise MalformedMessage(
            "PeerFrame",
            f"expected a Hello of version {PROTOCOL_VERSION}, found version {frame.hello.version}",
        )
