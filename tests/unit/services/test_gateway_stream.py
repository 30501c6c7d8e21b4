"""An application's stream: hello, kinds, ids, window, deadlines, and an orderly end."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.support.gateway_ports import (
    CHANNEL,
    FakeChannel,
    FakeEndorsers,
    FakeOrderers,
    a_gateway,
    a_peer,
    a_proposal,
    an_envelope,
    endorsed,
    refused,
    until,
)
from tongban.node.core.gateway.errors import Code
from tongban.node.runtime.outbox import FRAME_MESSAGES_MAX as OURS_MAX
from tongban.node.runtime.stream_session import Places
from tongban.node.services.framing import FRAME_MESSAGES_MAX
from tongban.node.services.gateway_stream import GatewaySession
from tongban.protos.ab_pb2 import BroadcastResponse
from tongban.protos.common_pb2 import Status
from tongban.protos.errors import LimitExceeded, MalformedMessage
from tongban.protos.gateway_pb2 import (
    CommitStatusRequest,
    EndorseRequest,
    EvaluateRequest,
    SignedCommitStatusRequest,
    SubmitRequest,
    SubmitResponse,
)
from tongban.protos.stream_pb2 import Cancel, GatewayFrame, GatewayMessage, Hello

WINDOW = 4
SECONDS_MAX = 5.0


class Faults:
    def __init__(self) -> None:
        self.found: list[BaseException] = []

    def fault(self, error: BaseException) -> None:
        self.found.append(error)


class Subject:
    """A session in front of a gateway whose endorsers and orderers answer by script."""

    def __init__(self, open_max: int = 100) -> None:
        self.endorsers = FakeEndorsers([a_peer("a1")])
        self.channel = FakeChannel([{"A": 1}])
        self.faults = Faults()
        self.places = Places("/tongban.gateway.Gateway", open_max)
        gateway = a_gateway(self.channel, self.endorsers)
        self.session = GatewaySession(gateway, WINDOW, self.faults, self.places)

    def send(self, *messages: GatewayMessage, hello: int | None = 1) -> None:
        greeting = None if hello is None else Hello(version=hello)
        frame = GatewayFrame(hello=greeting, messages=messages)
        self.session.take_frame(frame.SerializeToString())

    async def answers(self, count: int = 1) -> list[GatewayMessage]:
        found: list[GatewayMessage] = []
        while len(found) < count:
            found += await self.session.requests.outbox.take()
        return found

    @property
    def waiting(self) -> int:
        """Calls that wait for a verdict."""
        return self.channel.feed.waiting_count

    async def nothing_is_open(self) -> None:
        await until(lambda: self.places.count == 0)


def run(work: Callable[[Subject], Awaitable[None]], subject: Subject | None = None) -> None:
    async def bounded() -> None:
        tested = subject or Subject()
        async with asyncio.timeout(SECONDS_MAX):
            await work(tested)
            tested.session.requests.abort()
            await tested.nothing_is_open()
        assert tested.faults.found == []

    asyncio.run(bounded())


def evaluate(request_id: int, deadline_ms: int = 0) -> GatewayMessage:
    request = EvaluateRequest(proposed_transaction=a_proposal())
    return GatewayMessage(id=request_id, deadline_ms=deadline_ms, evaluate=request)


def propose(request_id: int) -> GatewayMessage:
    request = EndorseRequest(proposed_transaction=a_proposal())
    return GatewayMessage(id=request_id, propose=request)


def submit(request_id: int) -> GatewayMessage:
    request = SubmitRequest(channel_id=CHANNEL, prepared_transaction=an_envelope("tx"))
    return GatewayMessage(id=request_id, submit=request)


def ask(request_id: int, deadline_ms: int = 0) -> GatewayMessage:
    request = CommitStatusRequest(transaction_id="tx", channel_id=CHANNEL, identity=b"i")
    signed = SignedCommitStatusRequest(request=request.SerializeToString(), signature=b"s")
    return GatewayMessage(id=request_id, deadline_ms=deadline_ms, commit_status=signed)


def failure(message: GatewayMessage) -> tuple[int, int]:
    assert message.WhichOneof("body") == "failed", message
    return message.id, message.failed.code


def test_every_request_is_answered_by_its_id() -> None:
    async def work(subject: Subject) -> None:
        subject.endorsers.answers["a1"] = endorsed("a1")
        subject.channel.orderers = FakeOrderers({"o1": BroadcastResponse(status=Status.SUCCESS)})
        subject.send(propose(1), evaluate(2), submit(3), ask(4))
        found = {message.id: message for message in await subject.answers(3)}
        assert found[1].prepared.prepared_transaction.payload
        assert found[2].evaluated.result.payload == b"ok"
        assert found[3].WhichOneof("body") == "accepted"
        await until(lambda: subject.waiting == 2)
        subject.channel.feed.publish(6, [("tx", 0)])
        verdicts = await subject.answers(2)
        assert sorted(message.id for message in verdicts) == [3, 4]
        assert {message.committed.block_number for message in verdicts} == {6}

    run(work)


def test_a_refusal_has_the_code_text_and_details_of_the_unary_call() -> None:
    async def work(subject: Subject) -> None:
        subject.endorsers.answers["a1"] = refused(500, "no", b"p")
        subject.send(evaluate(9))
        (message,) = await subject.answers()
        assert failure(message) == (9, Code.UNKNOWN)
        text = "chaincode response 500, no"
        assert message.failed.message == f"evaluate call to endorser returned error: {text}"
        (detail,) = message.failed.details
        assert (detail.address, detail.msp_id, detail.message) == ("a1:1", "A", text)

    run(work)


def test_unknown_kinds_are_refused_by_id_and_nothing_else_suffers() -> None:
    async def work(subject: Subject) -> None:
        subject.endorsers.answers["a1"] = endorsed("a1")
        # Field 19 is no kind that this version knows.
        newer = GatewayMessage.FromString(
            GatewayMessage(id=5).SerializeToString() + b"\x9a\x01\x00"
        )
        subject.send(GatewayMessage(id=4), newer, evaluate(6))
        found = {message.id: message for message in await subject.answers(3)}
        assert failure(found[4]) == (4, Code.UNIMPLEMENTED)
        assert failure(found[5]) == (5, Code.UNIMPLEMENTED)
        assert found[6].WhichOneof("body") == "evaluated"

    run(work)


def test_an_answer_in_place_of_a_request_is_refused() -> None:
    async def work(subject: Subject) -> None:
        subject.send(GatewayMessage(id=1, accepted=SubmitResponse()))
        assert failure((await subject.answers())[0]) == (1, Code.UNIMPLEMENTED)

    run(work)


def test_an_id_that_is_open_cannot_be_used_again() -> None:
    async def work(subject: Subject) -> None:
        subject.send(ask(1), ask(1))
        assert failure((await subject.answers())[0]) == (1, Code.INVALID_ARGUMENT)
        await until(lambda: subject.waiting == 1)
        subject.channel.feed.publish(2, [("tx", 0)])
        (message,) = await subject.answers()
        assert message.committed.block_number == 2
        await subject.nothing_is_open()
        subject.send(ask(1))
        await until(lambda: subject.waiting == 1)

    run(work)


def test_requests_beyond_the_window_are_refused_and_cancelling_makes_room() -> None:
    async def work(subject: Subject) -> None:
        subject.send(*(ask(number) for number in range(WINDOW + 2)))
        refusals = [failure(message) for message in await subject.answers(2)]
        assert refusals == [(WINDOW + n, Code.RESOURCE_EXHAUSTED) for n in range(2)]
        assert subject.places.count == WINDOW
        subject.send(GatewayMessage(id=0, cancel=Cancel()), GatewayMessage(id=77, cancel=Cancel()))
        await until(lambda: subject.places.count < WINDOW)
        subject.send(ask(9))
        await until(lambda: subject.waiting == WINDOW)
        subject.channel.feed.publish(2, [("tx", 0)])
        found = sorted(message.id for message in await subject.answers(WINDOW))
        assert found == [1, 2, 3, 9], "the cancelled one is not answered"

    run(work)


def test_all_streams_together_have_a_bound() -> None:
    async def work(subject: Subject) -> None:
        subject.send(ask(1), ask(2), ask(3))
        assert failure((await subject.answers())[0]) == (3, Code.RESOURCE_EXHAUSTED)

    run(work, Subject(open_max=2))


def test_a_cancelled_evaluation_is_withdrawn_at_the_endorser() -> None:
    async def work(subject: Subject) -> None:
        subject.send(evaluate(1))
        await until(lambda: bool(subject.endorsers.asked))
        subject.send(GatewayMessage(id=1, cancel=Cancel()))
        await subject.nothing_is_open()
        assert subject.endorsers.given_up == ["a1"]
        assert len(subject.session.requests.outbox) == 0

    run(work)


def test_deadlines_are_kept() -> None:
    async def work(subject: Subject) -> None:
        subject.send(evaluate(1, deadline_ms=5), ask(2, deadline_ms=5))
        found = sorted(failure(message) for message in await subject.answers(2))
        assert found == [(1, Code.DEADLINE_EXCEEDED), (2, Code.DEADLINE_EXCEEDED)]

    run(work)


@pytest.mark.parametrize("version", [None, 0, 2])
def test_a_stream_begins_with_a_hello_that_we_speak(version: int | None) -> None:
    async def work(subject: Subject) -> None:
        with pytest.raises(MalformedMessage, match="Hello of version 1, found version"):
            subject.send(ask(1), hello=version)
        assert subject.places.count == 0

    run(work)


def test_only_the_first_frame_needs_a_hello() -> None:
    async def work(subject: Subject) -> None:
        subject.send()
        subject.send(ask(1), hello=None)
        assert subject.places.count == 1

    run(work)


def test_a_frame_with_more_than_anybody_sends_ends_the_stream() -> None:
    assert OURS_MAX <= FRAME_MESSAGES_MAX

    async def work(subject: Subject) -> None:
        with pytest.raises(LimitExceeded):
            subject.send(*[GatewayMessage(id=1)] * (FRAME_MESSAGES_MAX + 1))
        with pytest.raises(MalformedMessage):
            subject.session.take_frame(b"\xff")
        assert subject.places.count == 0

    run(work)


def test_after_the_last_request_the_open_ones_are_still_answered() -> None:
    async def work(subject: Subject) -> None:
        subject.send(ask(1))
        subject.session.requests.finish()
        await until(lambda: subject.waiting == 1)
        subject.channel.feed.publish(2, [("tx", 0)])
        assert (await subject.answers())[0].committed.block_number == 2
        assert await subject.session.requests.outbox.take() == [], "the outbox is closed"

    run(work)


def test_a_stream_that_is_gone_takes_its_requests_with_it() -> None:
    async def work(subject: Subject) -> None:
        subject.send(ask(1), evaluate(2))
        await until(lambda: bool(subject.endorsers.asked))
        subject.session.requests.abort()
        await subject.nothing_is_open()
        assert subject.endorsers.given_up == ["a1"]
        subject.channel.feed.publish(2, [("tx", 0)])
        assert await subject.session.requests.outbox.take() == []

    run(work)


def test_a_fault_reaches_whoever_stops_the_node() -> None:
    async def work() -> None:
        subject = Subject()
        broken = AssertionError("an invariant")

        def breaks(proposal: object) -> None:
            raise broken

        subject.endorsers.answers["a1"] = breaks  # type: ignore[assignment]
        subject.send(evaluate(1))
        async with asyncio.timeout(SECONDS_MAX):
            await subject.nothing_is_open()
        assert subject.faults.found == [broken]

    asyncio.run(work())


def test_a_reader_waits_while_answers_are_not_taken() -> None:
    async def work(subject: Subject) -> None:
        outbox = subject.session.requests.outbox
        subject.send(*(GatewayMessage(id=number) for number in range(10)))
        waiting = asyncio.create_task(outbox.wait_below(10))
        await asyncio.sleep(0)
        assert not waiting.done()
        await outbox.take(1)
        await waiting

    run(work)
