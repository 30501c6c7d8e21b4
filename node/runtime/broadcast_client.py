"""The way to the orderers of a channel for many callers: an envelope in, an answer out.

Our own orderers offer a framed stream; others get Fabric's Broadcast stream, which answers in
order and ends after the first refusal. Envelopes behind a refused one are then sent again on a new
stream, so that nobody suffers for another's mistake. When the connection is lost, callers are told
that there was no answer: their envelope may have been ordered or not, and sending it again is safe,
since a transaction id commits once.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

import grpc

from tongban.node.runtime.backoff import Backoff
from tongban.node.runtime.dialing import (
    CONNECT_SECONDS_MAX,
    ByteStream,
    ConnectFailed,
    connected,
    write,
)
from tongban.node.runtime.gateway.submit import OrdererUnreachable
from tongban.node.runtime.orderer_sessions import (
    ForeignSession,
    FramedSession,
    OrdererSession,
)
from tongban.node.runtime.pace import Pace
from tongban.protos.ab_pb2 import BroadcastResponse
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import Envelope
from tongban.protos.errors import MalformedMessage
from tongban.protos.stream_pb2 import Hello, OrdererFrame
from tongban.protos.streams import PROTOCOL_VERSION

STREAM = "/tongban.orderer.Orderer/Stream"
BROADCAST = "/orderer.AtomicBroadcast/Broadcast"


RECONNECT_SECONDS_MAX = 2.0
"""The longest pause between two attempts; callers wait meanwhile."""

PATIENCE_SECONDS = 3.0
"""How long a caller waits for an orderer to come back: less than the five seconds that
applications give a submission, so that they hear which orderer is away."""

Connect = Callable[[str], grpc.aio.Channel]

_log = logging.getLogger(__name__)


class OrdererLink:
    """One orderer. Run :meth:`run` in a task; :meth:`broadcast` waits for it to be connected."""

    def __init__(self, address: str, connect: Connect, pace: Pace | None = None) -> None:
        self.address = address
        self._pace = pace
        self._connect = connect
        self._session: OrdererSession | None = None
        self._changed = asyncio.Event()
        self._reason = "not connected yet"
        self._failed = False
        """Whether the last attempt to connect failed."""
        self._backoff = Backoff(longest=RECONNECT_SECONDS_MAX)

    @property
    def is_up(self) -> bool:
        return self._session is not None

    async def broadcast(self, envelope: Envelope, *, patient: bool) -> BroadcastResponse:
        """The orderer's answer. A patient caller waits while the orderer comes back; another one
        is told at once that it cannot be reached.

        Raises:
            OrdererUnreachable: there was none.
        """
        session = self._session
        if session is None:
            session = await self._wait_for_session(patient)
        return await session.broadcast(envelope)

    async def _wait_for_session(self, patient: bool) -> OrdererSession:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (session := self._session) is None:
                    if self._failed and not patient:
                        raise OrdererUnreachable(self._reason)
                    await self._changed.wait()
        except TimeoutError:
            raise OrdererUnreachable(self._reason) from None
        return session

    async def run(self) -> None:
        """Keep the connection up until cancelled."""
        while True:
            try:
                async with self._connect(self.address) as channel:
                    await connected(channel)
                    await self._serve(channel)
            except (
                ConnectFailed,
                grpc.aio.AioRpcError,
                MalformedMessage,
                OrdererUnreachable,
                TimeoutError,
            ) as error:
                self._reason = _text(error)
                self._failed = True
                _log.info("orderer %s: %s", self.address, self._reason)
            finally:
                self._set_session(None)
                self._tell()
            await self._backoff.pause()

    async def _serve(self, channel: grpc.aio.Channel) -> None:
        try:
            await self._serve_framed(channel)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNIMPLEMENTED:
                raise
        session = ForeignSession()
        while True:
            await self._serve_session(session, channel.stream_stream(BROADCAST)())

    async def _serve_framed(self, channel: grpc.aio.Channel) -> None:
        call: ByteStream = channel.stream_stream(STREAM)()
        # Read before anything is written: a write that meets a refusal hides the refusal's code.
        first = await call.read()
        if not isinstance(first, bytes):
            raise OrdererUnreachable("the orderer ended the stream at once")
        welcome = parse(OrdererFrame, first).hello
        if welcome.version != PROTOCOL_VERSION or not welcome.window:
            raise MalformedMessage("OrdererFrame", f"unknown protocol version {welcome.version}")
        hello = Hello(version=PROTOCOL_VERSION, software="tongban")
        await write(call, OrdererFrame(hello=hello).SerializeToString())
        await self._serve_session(FramedSession(welcome.window, self._pace), call)
        raise OrdererUnreachable("the orderer ended the stream")

    async def _serve_session(self, session: OrdererSession, call: ByteStream) -> None:
        """Returns when the orderer ended the stream as its protocol allows."""
        self._set_session(session)
        self._backoff.reset()
        writer = asyncio.create_task(session.write(call))
        reader = asyncio.create_task(session.read(call))
        try:
            await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
            if writer.done():
                writer.result()
            async with asyncio.timeout(None if not writer.done() else CONNECT_SECONDS_MAX):
                await reader
        finally:
            for task in (writer, reader):
                task.cancel()
            await asyncio.gather(writer, reader, return_exceptions=True)
            call.cancel()

    def _set_session(self, session: OrdererSession | None) -> None:
        if session is self._session:
            return
        if self._session is not None:
            self._session.lose(self._reason)
        self._session = session
        self._failed = self._failed and session is None
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class OrderingClient:
    """The orderers of one channel. Links are made when an address is first used."""

    def __init__(
        self,
        addresses: Callable[[], Sequence[str]],
        connect: Connect,
        start: Callable[[OrdererLink], None],
        pace: Pace | None = None,
    ) -> None:
        """``addresses`` are those of the channel's configuration now. ``start`` runs a link in a
        task of the node's supervisor."""
        self._addresses = addresses
        self._connect = connect
        self._start = start
        self._pace = pace
        self._links: dict[str, OrdererLink] = {}

    @property
    def addresses(self) -> Sequence[str]:
        """host:port of each orderer; those that are connected come first."""
        return sorted(self._addresses(), key=lambda address: not self._is_up(address))

    async def broadcast(self, address: str, envelope: Envelope) -> BroadcastResponse:
        """The answer of the orderer at ``address``.

        Raises:
            OrdererUnreachable: there was none.
        """
        link = self._links.get(address)
        if link is None:
            link = self._links[address] = OrdererLink(address, self._connect, self._pace)
            self._start(link)
        # Where there is another orderer, nobody waits for one that is away.
        return await link.broadcast(envelope, patient=len(self._addresses()) == 1)

    async def broadcast_to_any(self, envelope: Envelope) -> BroadcastResponse:
        """The first answer that any orderer gives.

        Raises:
            OrdererUnreachable: none did; the text has what each one said.
        """
        reasons = []
        for address in self.addresses:
            try:
                return await self.broadcast(address, envelope)
            except OrdererUnreachable as error:
                reasons.append(f"{address}: {error}")
        raise OrdererUnreachable("; ".join(reasons) or "the channel names no orderers")

    def _is_up(self, address: str) -> bool:
        link = self._links.get(address)
        return link is not None and link.is_up


def _text(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return f"{error.code().name}: {error.details()}"
    return str(error) or "no answer in time"
