"""Submit, CommitStatus and ChaincodeEvents: what callers are told, code and text
(fabric internal/pkg/gateway/submit.go, commitstatus.go, chaincodeevents.go)."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from tests.support.gateway_ports import (
    CHANNEL,
    FakeChannel,
    FakeOrderers,
    a_gateway,
    an_envelope,
)
from tongban.node.core.gateway.errors import Code, GatewayError, NodeError
from tongban.node.runtime.commits import CommitStatus
from tongban.node.runtime.gateway.gateway import Gateway
from tongban.node.runtime.gateway.ports import GatewaySeconds
from tongban.node.runtime.gateway.submit import OrdererUnreachable
from tongban.protos.ab_pb2 import (
    BroadcastResponse,
    SeekNewest,
    SeekNextCommit,
    SeekOldest,
    SeekPosition,
    SeekSpecified,
)
from tongban.protos.chaincode_event_pb2 import ChaincodeEvent
from tongban.protos.common_pb2 import Envelope, Status
from tongban.protos.gateway_pb2 import (
    ChaincodeEventsRequest,
    ChaincodeEventsResponse,
    CommitStatusRequest,
    SignedChaincodeEventsRequest,
    SignedCommitStatusRequest,
    SubmitRequest,
    SubmitResponse,
)
from tongban.protos.transaction_pb2 import TxValidationCode

SUCCESS = BroadcastResponse(status=Status.SUCCESS)
FORBIDDEN = BroadcastResponse(status=Status.FORBIDDEN, info="no")
BUSY = BroadcastResponse(status=Status.SERVICE_UNAVAILABLE, info="busy")
SECONDS_MAX = 5.0


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(SECONDS_MAX):
            await work()

    asyncio.run(bounded())


def submit(
    orderers: FakeOrderers, envelope: Envelope | None = None, deadline: float | None = None
) -> None:
    request = SubmitRequest(
        channel_id=CHANNEL, transaction_id="tx", prepared_transaction=envelope or an_envelope()
    )
    gateway = a_gateway(FakeChannel(orderers=orderers))
    assert asyncio.run(gateway.submit(request, deadline)) == SubmitResponse()


def refusal(work: Callable[[], object]) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        work()
    return caught.value


def test_the_first_orderer_that_accepts_is_enough() -> None:
    orderers = FakeOrderers({"o1": SUCCESS, "o2": SUCCESS})
    submit(orderers)
    ((_, envelope),) = orderers.taken
    assert envelope == an_envelope()


def test_another_orderer_is_asked_when_one_gives_no_answer_or_is_busy() -> None:
    for _ in range(10):  # the order is by chance
        orderers = FakeOrderers({"o1": OrdererUnreachable("gone"), "o2": BUSY, "o3": SUCCESS})
        submit(orderers)
        assert orderers.taken[-1][0] == "o3"


def test_all_orderers_failed() -> None:
    orderers = FakeOrderers({"o1": OrdererUnreachable("gone"), "o2": BUSY})
    error = refusal(lambda: submit(orderers))
    assert error.code is Code.UNAVAILABLE
    assert error.message == "no orderers could successfully process transaction"
    text = "received unsuccessful response from orderer: status=SERVICE_UNAVAILABLE, info=busy"
    assert sorted(error.details) == [
        NodeError("o1", "o1MSP", "gone"),
        NodeError("o2", "o2MSP", text),
    ]


def test_what_an_orderer_forbids_is_not_tried_elsewhere() -> None:
    orderers = FakeOrderers({"o1": FORBIDDEN, "o2": FORBIDDEN})
    error = refusal(lambda: submit(orderers))
    assert error.code is Code.ABORTED
    assert error.message == (
        "received unsuccessful response from orderer: status=FORBIDDEN, info=no"
    )
    assert len(orderers.taken) == 1


def test_there_may_be_no_orderer() -> None:
    error = refusal(lambda: submit(FakeOrderers({})))
    assert (error.code, error.message) == (Code.UNAVAILABLE, "no orderer nodes available")


def test_submit_has_a_deadline() -> None:
    error = refusal(lambda: submit(FakeOrderers({"o1": None}), deadline=0.01))
    assert error.code is Code.DEADLINE_EXCEEDED
    assert error.message == "submit timeout expired while broadcasting to ordering service"


def test_an_orderer_that_takes_too_long_is_passed_over() -> None:
    orderers = FakeOrderers({"o1": None})
    channel = FakeChannel(orderers=orderers)
    gateway = Gateway(lambda channel_id: channel, None, GatewaySeconds(broadcast=0.01))  # type: ignore[arg-type]
    request = SubmitRequest(channel_id=CHANNEL, prepared_transaction=an_envelope())
    error = refusal(lambda: asyncio.run(gateway.submit(request)))
    assert error.details == (NodeError("o1", "o1MSP", "no answer in time"),)


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        (SubmitRequest(), Code.INVALID_ARGUMENT, "a prepared transaction is required"),
        (
            SubmitRequest(channel_id=CHANNEL, prepared_transaction=an_envelope(signature=b"")),
            Code.INVALID_ARGUMENT,
            "prepared transaction must be signed",
        ),
        (
            SubmitRequest(
                channel_id="nowhere", prepared_transaction=an_envelope(channel_id="nowhere")
            ),
            Code.FAILED_PRECONDITION,
            "failed to get config for channel [nowhere]: could not get last config for channel "
            "nowhere",
        ),
    ],
)
def test_what_cannot_be_submitted_is_refused_alike_on_the_stream(
    request_: SubmitRequest, code: Code, text: str
) -> None:
    channel = FakeChannel(orderers=FakeOrderers({"o1": SUCCESS}))
    gateway = a_gateway(channel)
    for work in (
        lambda: asyncio.run(gateway.submit(request_)),
        lambda: asyncio.run(gateway.submit_and_wait(request_, lambda accepted: None)),
    ):
        error = refusal(work)
        assert (error.code, error.message) == (code, text)
    assert channel.orderers.taken == []


def test_on_the_stream_the_verdict_follows_the_acceptance() -> None:
    channel = FakeChannel(orderers=FakeOrderers({"o1": SUCCESS}))
    gateway, accepted = a_gateway(channel), asyncio.Event()
    request = SubmitRequest(channel_id=CHANNEL, prepared_transaction=an_envelope("tx1"))

    async def work() -> None:
        submitting = asyncio.create_task(
            gateway.submit_and_wait(request, lambda response: accepted.set())
        )
        await accepted.wait()
        assert not submitting.done()
        channel.feed.publish(7, [("tx1", TxValidationCode.MVCC_READ_CONFLICT)])
        found = await submitting
        assert (found.result, found.block_number) == (TxValidationCode.MVCC_READ_CONFLICT, 7)

    run(work)


def status_request(**fields: object) -> SignedCommitStatusRequest:
    request = CommitStatusRequest(
        **{"transaction_id": "tx", "channel_id": CHANNEL, "identity": b"i", **fields}  # type: ignore[arg-type]
    )
    return SignedCommitStatusRequest(request=request.SerializeToString(), signature=b"s")


def test_a_committed_transaction_is_told_at_once() -> None:
    channel = FakeChannel(verdicts={"tx": CommitStatus(TxValidationCode.VALID, 3)})
    found = asyncio.run(a_gateway(channel).commit_status(status_request()))
    assert (found.result, found.block_number) == (TxValidationCode.VALID, 3)
    ((resource, signed),) = channel.checked
    assert resource == "gateway/CommitStatus"
    asked = status_request()
    assert (signed.data, signed.identity, signed.signature) == (asked.request, b"i", b"s")


def test_a_verdict_is_waited_for_until_the_deadline() -> None:
    error = refusal(
        lambda: asyncio.run(a_gateway(FakeChannel()).commit_status(status_request(), 0.01))
    )
    assert error.code is Code.DEADLINE_EXCEEDED
    assert "tx" in error.message


@pytest.mark.parametrize(
    ("signed", "text"),
    [
        (SignedCommitStatusRequest(), "a commit status request is required"),
        (SignedCommitStatusRequest(request=b"\xff"), "invalid status request: "),
        (status_request(identity=b""), "no identity provided"),
        (status_request(channel_id=""), "no channel ID provided"),
        (status_request(transaction_id=""), "transaction ID should not be empty"),
    ],
)
def test_an_incomplete_question_is_an_invalid_argument(
    signed: SignedCommitStatusRequest, text: str
) -> None:
    channel = FakeChannel()
    error = refusal(lambda: asyncio.run(a_gateway(channel).commit_status(signed)))
    assert error.code is Code.INVALID_ARGUMENT
    assert error.message.startswith(text)
    assert channel.checked == []


def test_who_may_not_read_is_denied() -> None:
    channel = FakeChannel(
        denied="not a reader", verdicts={"tx": CommitStatus(TxValidationCode.VALID, 3)}
    )
    error = refusal(lambda: asyncio.run(a_gateway(channel).commit_status(status_request())))
    assert (error.code, error.message) == (Code.PERMISSION_DENIED, "not a reader")
    error = refusal(lambda: a_gateway(channel).chaincode_events(events_request()))
    assert (error.code, error.message) == (Code.PERMISSION_DENIED, "not a reader")


def test_an_unknown_channel_has_no_readers() -> None:
    gateway = a_gateway(FakeChannel())
    asked = status_request(channel_id="nowhere")
    text = "Failed to get policy manager for channel [nowhere]"
    error = refusal(lambda: asyncio.run(gateway.commit_status(asked)))
    assert (error.code, error.message) == (Code.PERMISSION_DENIED, text)
    error = refusal(lambda: gateway.chaincode_events(events_request(channel_id="nowhere")))
    assert (error.code, error.message) == (Code.PERMISSION_DENIED, text)


def events_request(
    after: str = "", start: SeekPosition | None = None, channel_id: str = CHANNEL
) -> SignedChaincodeEventsRequest:
    request = ChaincodeEventsRequest(
        channel_id=channel_id,
        chaincode_id="cc",
        identity=b"i",
        after_transaction_id=after,
        start_position=start,
    )
    return SignedChaincodeEventsRequest(request=request.SerializeToString(), signature=b"s")


def event(tx_id: str, chaincode: str = "cc") -> ChaincodeEvent:
    return ChaincodeEvent(chaincode_id=chaincode, tx_id=tx_id, event_name="e")


def from_block(number: int) -> SeekPosition:
    return SeekPosition(specified=SeekSpecified(number=number))


NEXT = SeekPosition(next_commit=SeekNextCommit())


def read(
    channel: FakeChannel,
    request: SignedChaincodeEventsRequest,
    *later: tuple[ChaincodeEvent, ...],
) -> list[tuple[int, list[str]]]:
    """What arrives when ``later`` blocks are committed after the stream has begun, and then one
    with the event ``end``, which is left out."""
    found: list[tuple[int, list[str]]] = []

    def keep(response: ChaincodeEventsResponse) -> bool:
        ids = [event.tx_id for event in response.events]
        if ids != ["end"]:
            found.append((response.block_number, ids))
        return ids == ["end"]

    async def work() -> None:
        async with aclosing(a_gateway(channel).chaincode_events(request)) as responses:
            first = asyncio.create_task(anext(responses))
            await asyncio.sleep(0)  # the stream looks where it begins
            for events in (*later, (event("end"),)):
                channel.commit(*events)
            while not keep(await first):
                first = asyncio.create_task(anext(responses))

    run(work)
    return found


def a_chain() -> FakeChannel:
    """Three blocks with events, the second without any of ``cc``."""
    channel = FakeChannel()
    channel.commit(event("t0"), event("t1"), event("t2"))
    channel.commit(event("x", "other"))
    channel.commit(event("t3"), event("y", "other"))
    return channel


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (events_request(), [(4, ["t5"])]),
        (events_request(start=NEXT), [(4, ["t5"])]),
        (events_request(start=from_block(0)), [(0, ["t0", "t1", "t2"]), (2, ["t3"]), (4, ["t5"])]),
        (events_request(start=from_block(4)), [(4, ["t5"])]),
        (events_request("t1", from_block(9)), [(0, ["t2"]), (2, ["t3"]), (4, ["t5"])]),
        (events_request("t3", NEXT), [(4, ["t5"])]),
        (events_request("t5", from_block(2)), []),
        (events_request("silent"), [(0, ["t2"]), (2, ["t3"]), (4, ["t5"])]),
    ],
)
def test_events_begin_where_they_are_asked_for(
    request_: SignedChaincodeEventsRequest, expected: list[tuple[int, list[str]]]
) -> None:
    channel = a_chain()
    channel.positions["silent"] = (0, 1)  # a transaction without an event, beside t1
    assert read(channel, request_, (event("z", "other"),), (event("t5"),)) == expected


def test_events_are_withheld_until_the_transaction_that_is_asked_for_has_come() -> None:
    later = ((event("t4"),), (event("t5"), event("mark"), event("t6")))
    found = read(a_chain(), events_request("mark", from_block(0)), *later)
    assert found == [(4, ["t6"])]


@pytest.mark.parametrize(
    "start", [SeekPosition(oldest=SeekOldest()), SeekPosition(newest=SeekNewest())]
)
def test_events_cannot_begin_at_the_ends_of_the_chain(start: SeekPosition) -> None:
    error = refusal(lambda: a_gateway(a_chain()).chaincode_events(events_request(start=start)))
    assert error.code is Code.INVALID_ARGUMENT
    assert error.message.startswith("invalid start position type: ")


@pytest.mark.parametrize(
    ("signed", "text"),
    [
        (SignedChaincodeEventsRequest(), "a chaincode events request is required"),
        (SignedChaincodeEventsRequest(request=b"\xff"), "invalid chaincode events request: "),
    ],
)
def test_what_is_not_a_request_for_events_is_refused(
    signed: SignedChaincodeEventsRequest, text: str
) -> None:
    error = refusal(lambda: a_gateway(a_chain()).chaincode_events(signed))
    assert error.code is Code.INVALID_ARGUMENT
    assert error.message.startswith(text)


def test_who_may_no_longer_read_gets_no_more_events() -> None:
    channel = a_chain()

    async def work() -> None:
        request = events_request(start=from_block(0))
        async with aclosing(a_gateway(channel).chaincode_events(request)) as responses:
            assert (await anext(responses)).block_number == 0
            channel.denied = "revoked"
            with pytest.raises(GatewayError, match="revoked"):
                await anext(responses)

    run(work)


def test_a_long_replay_leaves_others_their_turn() -> None:
    channel = FakeChannel()
    for number in range(50):
        channel.commit(event(f"x{number}", "other"))

    async def work() -> None:
        request, turns = events_request(start=from_block(0)), 0
        async with aclosing(a_gateway(channel).chaincode_events(request)) as responses:
            reading = asyncio.create_task(anext(responses))
            while channel.waiting_for.is_set():  # until the end of the chain is waited for
                turns += 1
                await asyncio.sleep(0)
            channel.commit(event("end"))
            assert (await reading).block_number == 50
        assert turns >= 50

    run(work)
