"""Another peer's stream: hello, announcements, endorsements by id, window, deadlines."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import cast

import grpc
import pytest

from tests.support.gateway_ports import until
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.gateway.answer import EndorserAnswer
from tongban.node.core.received import ReceivedProposal
from tongban.node.runtime.block_source import ChannelBlocks
from tongban.node.runtime.catch_up import CatchUp
from tongban.node.runtime.peer_network import PeerNetwork
from tongban.node.services import peer_stream
from tongban.node.services.peer_stream import PeerSession
from tongban.protos.common_pb2 import ChannelHeader, Header
from tongban.protos.errors import MalformedMessage
from tongban.protos.proposal_pb2 import Proposal, SignedProposal
from tongban.protos.proposal_response_pb2 import ProposalResponse
from tongban.protos.stream_pb2 import (
    Announcements,
    Cancel,
    Hello,
    PeerFrame,
    PeerMessage,
    SignedAnnouncement,
)

CHANNEL = "mychannel"
SECONDS_MAX = 5.0
KNOWN = SignedAnnouncement(announcement=b"known")
NEWS = SignedAnnouncement(announcement=b"news")


class Network:
    """What a session asks of the network."""

    def __init__(self) -> None:
        self.learnt: list[SignedAnnouncement] = []

    def known_announcements(self) -> list[SignedAnnouncement]:
        return [KNOWN]

    def learn(self, announcements: Iterable[SignedAnnouncement]) -> None:
        self.learnt += announcements


class Subject:
    """A session whose endorser answers with the proposal's bytes; ``hang`` never ends."""

    def __init__(self) -> None:
        self.network = Network()
        self.given_up = 0
        self.blocks = ChannelBlocks(3, lambda number: b"", lambda: cast(ChannelConfig, None))
        self.session = PeerSession(
            self._endorse,
            cast(PeerNetwork, self.network),
            CatchUp(lambda channel_id: self.blocks if channel_id == CHANNEL else None),
            self,
        )

    def fault(self, error: BaseException) -> None:
        raise error

    async def _endorse(self, received: ReceivedProposal) -> EndorserAnswer:
        signed = received.signed
        if signed.proposal_bytes == b"hang":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.given_up += 1
                raise
        if signed.proposal_bytes == b"bad":
            return EndorserAnswer(ProposalResponse(), "access denied")
        return EndorserAnswer(ProposalResponse(payload=signed.proposal_bytes))

    def send(self, *messages: PeerMessage, hello: int | None = 1) -> None:
        greeting = None if hello is None else Hello(version=hello)
        frame = PeerFrame(hello=greeting, messages=messages)
        self.session.take_frame(frame.SerializeToString())

    async def answers(self, count: int) -> list[PeerMessage]:
        found: list[PeerMessage] = []
        while len(found) < count:
            found += await self.session.requests.outbox.take()
        return found


def run(work: Callable[[Subject], Awaitable[None]]) -> None:
    async def bounded() -> None:
        subject = Subject()
        async with asyncio.timeout(SECONDS_MAX):
            await work(subject)
        subject.session.requests.abort()

    asyncio.run(bounded())


def endorse(request_id: int, data: bytes = b"p", deadline_ms: int = 0) -> PeerMessage:
    proposal = SignedProposal(proposal_bytes=data)
    return PeerMessage(id=request_id, deadline_ms=deadline_ms, endorse=proposal)


def code(status: grpc.StatusCode) -> int:
    number, _ = status.value
    return int(number)


def test_a_peer_that_greets_is_told_whom_we_know_and_heard() -> None:
    async def work(subject: Subject) -> None:
        subject.send(PeerMessage(announcements=Announcements(announcements=[NEWS])))
        (told,) = await subject.answers(1)
        assert list(told.announcements.announcements) == [KNOWN]
        assert subject.network.learnt == [NEWS]

    run(work)


def test_endorsements_are_answered_by_id() -> None:
    async def work(subject: Subject) -> None:
        subject.send(endorse(1, b"hang"), endorse(2, b"x"), endorse(3, b"bad"), PeerMessage(id=4))
        found = {message.id: message for message in await subject.answers(4)}
        assert found[2].endorsed.payload == b"x"
        assert (found[3].failed.code, found[3].failed.message) == (2, "access denied")
        assert found[4].failed.code == code(grpc.StatusCode.UNIMPLEMENTED)
        subject.send(PeerMessage(id=1, cancel=Cancel()), PeerMessage(id=99, cancel=Cancel()))
        await until(lambda: subject.given_up == 1)
        assert len(subject.session.requests.outbox) == 0

    run(work)


def on_channel(channel_id: str) -> bytes:
    header = Header(channel_header=ChannelHeader(channel_id=channel_id).SerializeToString())
    return Proposal(header=header.SerializeToString()).SerializeToString()


def test_who_has_fewer_blocks_than_the_asking_peer_endorses_when_it_has_them() -> None:
    async def work(subject: Subject) -> None:
        behind, elsewhere = endorse(1, on_channel(CHANNEL)), endorse(2, on_channel("other"))
        even, unreadable = endorse(3, on_channel(CHANNEL)), endorse(4, b"\xff")
        behind.height, elsewhere.height, even.height, unreadable.height = 5, 5, 3, 5
        anyhow = endorse(5, on_channel(CHANNEL))
        subject.send(behind, elsewhere, even, unreadable, anyhow)
        answered = {message.id for message in await subject.answers(5)}
        assert answered == {0, 2, 3, 4, 5}, "the announcements have no id"
        subject.blocks.advance(3, b"block")
        subject.blocks.advance(4, b"block")
        (late,) = await subject.answers(1)
        assert (late.id, late.endorsed.payload) == (1, on_channel(CHANNEL))

    run(work)


def test_a_deadline_ends_the_wait_for_blocks() -> None:
    async def work(subject: Subject) -> None:
        request = endorse(1, on_channel(CHANNEL), deadline_ms=5)
        request.height = 4
        subject.send(request)
        _, failed = await subject.answers(2)
        assert failed.failed.code == code(grpc.StatusCode.DEADLINE_EXCEEDED)

    run(work)


def test_a_deadline_is_kept() -> None:
    async def work(subject: Subject) -> None:
        subject.send(endorse(1, b"hang", deadline_ms=5))
        _, failed = await subject.answers(2)
        assert failed.failed.code == code(grpc.StatusCode.DEADLINE_EXCEEDED)
        assert subject.given_up == 1

    run(work)


def test_requests_beyond_the_window_and_open_ids_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_stream, "WINDOW", 2)

    async def work(subject: Subject) -> None:
        subject.send(*(endorse(number, b"hang") for number in (1, 1, 2, 3)))
        _, *refused = await subject.answers(3)
        assert [message.id for message in refused] == [1, 3]
        exhausted = code(grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert {message.failed.code for message in refused} == {exhausted}

    run(work)


@pytest.mark.parametrize("version", [None, 0, 2])
def test_a_stream_begins_with_a_hello_that_we_speak(version: int | None) -> None:
    async def work(subject: Subject) -> None:
        news = PeerMessage(announcements=Announcements(announcements=[NEWS]))
        with pytest.raises(MalformedMessage, match="Hello of version 1, found version"):
            subject.send(news, hello=version)
        assert subject.network.learnt == []
        assert len(subject.session.requests.outbox) == 0

    run(work)
