"""The framed stream of an orderer: hello, window, unknown kinds, answers by id, the end."""

import asyncio

import pytest

from tests.support.ordering import envelope, small_network
from tongban.node.core.broadcast_checks import Admission
from tongban.node.core.channel import ChannelConfig
from tongban.node.ordering.batcher import WaitingEnvelope
from tongban.node.runtime.broadcaster import Broadcaster, OrderedChannel
from tongban.node.services import orderer_stream
from tongban.node.services.framing import FRAME_MESSAGES_MAX
from tongban.node.services.orderer_stream import OrdererSession
from tongban.protos.common_pb2 import Envelope
from tongban.protos.errors import LimitExceeded, MalformedMessage
from tongban.protos.stream_pb2 import Hello, OrdererFrame, OrdererMessage


class Queue:
    def __init__(self) -> None:
        self.taken: list[WaitingEnvelope] = []

    def submit(self, envelope: WaitingEnvelope) -> None:
        self.taken.append(envelope)


class Subject:
    def __init__(self) -> None:
        admission = Admission(ChannelConfig.from_genesis(small_network().genesis))
        self.queue = Queue()
        channel = OrderedChannel(lambda: admission, self.queue)
        self.session = OrdererSession(Broadcaster({"mychannel": channel}))

    async def send(self, *messages: OrdererMessage, hello: int = 1) -> None:
        frame = OrdererFrame(hello=Hello(version=hello), messages=messages)
        await self.session.take_frame(frame.SerializeToString())

    async def answers(self) -> list[tuple[int, str, int]]:
        """Id, kind and status or code of what waits to go out."""
        found = await asyncio.wait_for(self.session.outbox.take(), 5)
        return [
            (
                message.id,
                message.WhichOneof("body") or "",
                message.ordered.status or message.failed.code,
            )
            for message in found
        ]


def good(request_id: int) -> OrdererMessage:
    return OrdererMessage(id=request_id, broadcast=envelope(small_network().client))


def test_answers_come_by_id_as_they_are_ready() -> None:
    async def work() -> None:
        subject = Subject()
        await subject.send(good(7), OrdererMessage(id=8, broadcast=Envelope()), good(9))
        assert await subject.answers() == [(8, "ordered", 400)]
        first, second = subject.queue.taken
        second.on_ordered(1)
        first.on_ordered(1)
        assert await subject.answers() == [(9, "ordered", 200), (7, "ordered", 200)]

    asyncio.run(work())


def test_an_unknown_kind_is_refused_by_its_id_and_ends_nothing() -> None:
    async def work() -> None:
        subject = Subject()
        # Field 15 is none that we know.
        unknown = OrdererMessage.FromString(OrdererMessage(id=3).SerializeToString() + b"\x7a\x00")
        await subject.send(unknown, good(4))
        assert await subject.answers() == [(3, "failed", 12)]
        assert len(subject.queue.taken) == 1

    asyncio.run(work())


def test_more_open_requests_than_the_window_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orderer_stream, "WINDOW", 2)

    async def work() -> None:
        subject = Subject()
        await subject.send(good(1), good(2), good(3))
        assert await subject.answers() == [(3, "failed", 8)]
        assert len(subject.queue.taken) == 2
        subject.queue.taken[0].on_ordered(1)
        await subject.send(good(4))
        assert len(subject.queue.taken) == 3

    asyncio.run(work())


def test_a_frame_with_more_than_anybody_sends_ends_the_stream() -> None:
    async def work() -> None:
        subject = Subject()
        with pytest.raises(LimitExceeded):
            await subject.send(*[good(1)] * (FRAME_MESSAGES_MAX + 1))
        assert subject.queue.taken == []
        empty = OrdererFrame(hello=Hello(version=1), messages=[OrdererMessage()] * 600_000)
        with pytest.raises(LimitExceeded):
            await subject.session.take_frame(empty.SerializeToString())

    asyncio.run(work())


@pytest.mark.parametrize("frame", [b"", b"\xff", OrdererFrame(hello=Hello(version=2))])
def test_a_stream_begins_with_a_hello_that_we_speak(frame: bytes | OrdererFrame) -> None:
    data = frame if isinstance(frame, bytes) else frame.SerializeToString()

    async def work() -> None:
        subject = Subject()
        with pytest.raises(MalformedMessage):
            await subject.session.take_frame(data)
        assert subject.queue.taken == []

    asyncio.run(work())


def test_a_finished_session_gives_the_answers_it_owes_and_then_ends() -> None:
    async def work() -> None:
        subject = Subject()
        await subject.send(good(1))
        subject.session.finish()
        assert not await _is_over(subject)
        subject.queue.taken[0].on_ordered(1)
        assert await subject.answers() == [(1, "ordered", 200)]
        assert await _is_over(subject)

    async def _is_over(subject: Subject) -> bool:
        try:
            return await asyncio.wait_for(subject.session.outbox.take(), 0.01) == []
        except TimeoutError:
            return False

    asyncio.run(work())
