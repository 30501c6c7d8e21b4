"""``tongban.peer.Peer/Stream``: endorsements for other peers' gateways, and announcements.

A peer that connects is told whom this one knows, and may announce itself and others.
"""

import asyncio
from functools import partial

import grpc

from tongban.node.core.gateway.answer import EndorserAnswer
from tongban.node.core.received import ReceivedProposal
from tongban.node.runtime.catch_up import CatchUp
from tongban.node.runtime.faults import FaultSink
from tongban.node.runtime.peer_network import LocalEndorser, PeerNetwork
from tongban.node.runtime.stream_session import UNREAD_MAX, StreamSession
from tongban.node.services.framing import check_hello, parse_frame, serve_stream
from tongban.node.services.guard import Context, Handler
from tongban.protos.errors import TongbanError
from tongban.protos.stream_pb2 import Announcements, Failed, Hello, PeerFrame, PeerMessage
from tongban.protos.streams import PROTOCOL_VERSION

WINDOW = 2_500
"""Endorsements that one other peer may have open; as many as a Go peer serves in all."""


class PeerStreamService:
    """Serves the streams of all other peers."""

    def __init__(
        self,
        endorse: LocalEndorser,
        network: PeerNetwork,
        catch_up: CatchUp,
        draining: asyncio.Event,
        faults: FaultSink,
    ) -> None:
        self._endorse = endorse
        self._network = network
        self._catch_up = catch_up
        self._draining = draining
        self._faults = faults

    def register(self, server: grpc.aio.Server) -> None:
        """Serve on this server, with frames as bytes."""
        handler: Handler = grpc.stream_stream_rpc_method_handler(self.stream)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("tongban.peer.Peer", {"Stream": handler}),)
        )

    async def stream(self, requests: object, context: Context) -> None:
        """One stream, until the other peer ends it or the node drains."""
        hello = Hello(version=PROTOCOL_VERSION, window=WINDOW, software="tongban")
        await context.write(PeerFrame(hello=hello).SerializeToString())
        session = PeerSession(self._endorse, self._network, self._catch_up, self._faults)
        try:
            await serve_stream(_read(context, session), _write(context, session), self._draining)
        finally:
            session.requests.abort()


class PeerSession:
    """One other peer's stream, free of transport."""

    def __init__(
        self,
        endorse: LocalEndorser,
        network: PeerNetwork,
        catch_up: CatchUp,
        faults: FaultSink,
    ) -> None:
        self._endorse = endorse
        self._network = network
        self._catch_up = catch_up
        self._greeted = False
        self.requests: StreamSession[PeerMessage] = StreamSession(WINDOW, faults)

    def take_frame(self, data: bytes) -> None:
        """Start serving every request of a serialized frame.

        Raises:
            MalformedMessage: it is not a frame, or the first one says no Hello we can speak to.
            LimitExceeded: it holds too much.
        """
        frame = parse_frame(PeerFrame, data)
        if not self._greeted:
            check_hello(frame)
            self._greeted = True
            known = Announcements(announcements=self._network.known_announcements())
            self.requests.outbox.put(PeerMessage(announcements=known))
        for message in frame.messages:
            self._take(message)

    def _take(self, message: PeerMessage) -> None:
        kind = message.WhichOneof("body")
        if kind == "announcements":
            self._network.learn(message.announcements.announcements)
        elif kind == "cancel":
            self.requests.cancel(message.id)
        elif kind != "endorse":
            self._refuse(message.id, grpc.StatusCode.UNIMPLEMENTED, "unknown kind of request")
        elif self.requests.is_full or self.requests.is_open(message.id):
            text = "more requests are open on this stream than its Hello allows"
            self._refuse(message.id, grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        else:
            self.requests.start(message.id, partial(self._serve, message))

    async def _serve(self, message: PeerMessage) -> None:
        deadline = message.deadline_ms / 1000 if message.deadline_ms else None
        try:
            async with asyncio.timeout(deadline):
                answer = await self._endorse_at(message.height, ReceivedProposal(message.endorse))
        except TimeoutError:
            text = f"not endorsed within {deadline:g} s"
            self._refuse(message.id, grpc.StatusCode.DEADLINE_EXCEEDED, text)
            return
        if answer.error is not None or answer.response is None:
            self._refuse(message.id, grpc.StatusCode.UNKNOWN, answer.error or "no response")
        else:
            self.requests.outbox.put(PeerMessage(id=message.id, endorsed=answer.response))

    async def _endorse_at(self, height: int, received: ReceivedProposal) -> EndorserAnswer:
        if height:
            try:
                channel_id = received.channel_header.channel_id
            except TongbanError:
                channel_id = ""  # what is wrong with it, the endorser says
            size = len(received.signed.proposal_bytes)
            await self._catch_up.wait(channel_id, height, size)
        return await self._endorse(received)

    def _refuse(self, request_id: int, code: grpc.StatusCode, text: str) -> None:
        failed = Failed(code=code.value[0], message=text)
        self.requests.outbox.put(PeerMessage(id=request_id, failed=failed))


async def _read(context: Context, session: PeerSession) -> None:
    try:
        while (data := await context.read()) is not grpc.aio.EOF:
            session.take_frame(data)
            await session.requests.outbox.wait_below(UNREAD_MAX)
    finally:
        session.requests.finish()


async def _write(context: Context, session: PeerSession) -> None:
    while messages := await session.requests.outbox.take():
        await context.write(PeerFrame(messages=messages).SerializeToString())
