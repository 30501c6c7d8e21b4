"""Conversations of a client with a streaming gateway, on paper."""

import pytest

from tests.support.playbook import Playbook
from tongban.protos.errors import MalformedMessage
from tongban.protos.stream_pb2 import GatewayFrame, Hello
from tongban.protos.transaction_pb2 import TxValidationCode
from tongban.sdk.core.session import FRAME_MESSAGES_MAX, Session
from tongban.sdk.errors import StatusCode

from .conversation import (
    Ask,
    At,
    Broke,
    Conversation,
    Got,
    NotConnected,
    NotSpoken,
    Sent,
    Started,
    Told,
    Withdraw,
    ask_status,
    await_verdict,
    endorse,
    evaluate,
    submit,
)


def a_stream(conversation: Conversation) -> Playbook:
    """A conversation in which both sides have said hello."""
    playbook = Playbook(conversation)
    playbook >> Started() << Sent("hello") >> Got("hello")
    return playbook


def test_nothing_is_asked_before_the_gateway_has_said_hello() -> None:
    playbook = Playbook(Conversation())
    playbook >> Ask("ann", endorse()) >> Started() << Sent("hello")
    playbook >> Got("hello") << Sent("propose", 1)
    playbook >> Got("prepared", 1) << Told("ann", "prepared")
    playbook.is_over()


def test_a_transaction_takes_two_requests_and_three_answers() -> None:
    playbook = a_stream(Conversation())
    playbook >> Ask("ann", endorse()) << Sent("propose", 1)
    playbook >> Got("prepared", 1) << Told("ann", "prepared")
    playbook >> Ask("ann", submit()) << Sent("submit", 2)
    playbook >> Got("accepted", 2)
    playbook >> Got("committed", 2) << Told("ann", "committed VALID")
    playbook.is_over()


def test_answers_may_come_in_any_order() -> None:
    playbook = a_stream(Conversation())
    playbook >> Ask("ann", evaluate()) << Sent("evaluate", 1)
    playbook >> Ask("bob", endorse()) << Sent("propose", 2)
    playbook >> Got("prepared", 2) << Told("bob", "prepared")
    playbook >> Got("evaluated", 1) << Told("ann", "evaluated")
    playbook.is_over()


def test_no_more_requests_are_open_than_the_gateway_allows() -> None:
    playbook = a_stream(Conversation(window=2))
    playbook >> Ask("a", endorse()) << Sent("propose", 1) >> Ask("b", submit()) << Sent("submit", 2)
    playbook >> Ask("c", endorse()) >> Ask("d", endorse())
    playbook >> Got("accepted", 2)  # still open until its verdict
    playbook >> Got("prepared", 1) << Sent("propose", 3) << Told("a", "prepared")
    playbook >> Got("committed", 2) << Sent("propose", 4) << Told("b", "committed VALID")
    playbook.is_over()


def test_a_frame_carries_whatever_waits_up_to_its_limit() -> None:
    conversation = Conversation(window=10_000)
    session = conversation.session
    for number in range(FRAME_MESSAGES_MAX + 5):
        session.open(endorse(), number, 0)
    session.stream_started()
    session.next_frame(0)
    session.receive(GatewayFrame(hello=Hello(version=1, window=9999)).SerializeToString(), 0)
    counts = []
    while frame := session.next_frame(0):
        counts.append(len(GatewayFrame.FromString(frame).messages))
    assert counts == [FRAME_MESSAGES_MAX, 5]


def test_a_refusal_is_told_with_its_code() -> None:
    playbook = a_stream(Conversation())
    playbook >> Ask("ann", endorse()) << Sent("propose", 1)
    playbook >> Got("failed", 1, StatusCode.ABORTED) << Told("ann", "ABORTED")
    playbook >> Ask("ann", submit()) << Sent("submit", 2)
    playbook >> Got("failed", 2, StatusCode.UNAVAILABLE) << Told("ann", "UNAVAILABLE")
    playbook.is_over()


def test_a_withdrawn_request_is_cancelled_and_its_answer_ignored() -> None:
    conversation = Conversation(window=1)
    playbook = a_stream(conversation)
    playbook >> Ask("ann", endorse()) << Sent("propose", 1) >> Ask("bob", endorse())
    playbook >> Withdraw("ann") << Sent("cancel", 1) << Sent("propose", 2)
    playbook >> Got("prepared", 1)
    playbook >> Got("prepared", 2) << Told("bob", "prepared")
    playbook.is_over()
    assert conversation.session.is_idle


def test_deadlines_are_told_to_the_gateway_and_kept_here() -> None:
    conversation = Conversation()
    playbook = a_stream(conversation)
    playbook >> Ask("ann", endorse(15)) << Sent("propose", 1)
    assert conversation.deadlines_ms[1] == 15_000
    assert conversation.session.wake_at == 15
    playbook >> At(14.9)
    playbook >> At(15) << Sent("cancel", 1) << Told("ann", "DEADLINE_EXCEEDED")
    playbook.is_over()
    assert conversation.session.is_idle


def test_acceptance_and_verdict_have_a_deadline_each() -> None:
    playbook = a_stream(Conversation())
    playbook >> Ask("ann", submit()) << Sent("submit", 1)
    playbook >> Ask("bob", submit()) << Sent("submit", 2) >> At(4) >> Got("accepted", 2)
    playbook >> At(5) << Sent("cancel", 1) << Told("ann", "DEADLINE_EXCEEDED")
    playbook >> At(63.9)
    playbook >> At(64) << Sent("cancel", 2) << Told("bob", "DEADLINE_EXCEEDED, perhaps accepted")
    playbook.is_over()


def test_a_verdict_that_is_not_waited_for_is_kept_under_its_ticket() -> None:
    conversation = Conversation()
    playbook = a_stream(conversation)
    playbook >> Ask("ann", submit(waits=False)) << Sent("submit", 1)
    playbook >> Got("accepted", 1) << Told("ann", "accepted")
    ticket = conversation.tickets["ann"]
    playbook >> Ask("later", await_verdict(ticket, 1))
    playbook >> At(1) << Told("later", "DEADLINE_EXCEEDED")
    playbook >> Ask("later", await_verdict(ticket))
    playbook >> Got("committed", 1) << Told("later", "committed VALID")
    playbook >> Ask("again", await_verdict(ticket)) << Told("again", "committed VALID")
    playbook.is_over()
    assert conversation.session.is_idle


def test_a_verdict_that_nobody_asks_for_in_time_is_let_go() -> None:
    conversation = Conversation()
    playbook = a_stream(conversation)
    playbook >> Ask("ann", submit(waits=False)) << Sent("submit", 1)
    playbook >> Got("accepted", 1) << Told("ann", "accepted")
    playbook >> At(61) << Sent("cancel", 1)
    assert conversation.session.is_idle
    ticket = conversation.tickets["ann"]
    playbook >> Ask("late", await_verdict(ticket)) << Told("late", "UNAVAILABLE, perhaps accepted")
    playbook.is_over()


def test_a_verdict_and_its_listener_may_run_out_of_time_together() -> None:
    conversation = Conversation()
    playbook = a_stream(conversation)
    playbook >> Ask("ann", submit(waits=False)) << Sent("submit", 1)
    playbook >> Got("accepted", 1) << Told("ann", "accepted")
    playbook >> Ask("later", await_verdict(conversation.tickets["ann"], 60))
    playbook >> At(60) << Sent("cancel", 1) << Told("later", "UNAVAILABLE, perhaps accepted")
    playbook.is_over()
    assert conversation.session.is_idle


def test_asking_again_does_not_put_off_submitting_again() -> None:
    playbook = a_stream(Conversation())
    playbook >> Ask("ann", submit()) << Sent("submit", 1) >> Broke()
    playbook >> Started() << Sent("hello") >> Got("hello") << Sent("commit_status", 2)
    playbook >> Got("failed", 2, StatusCode.ABORTED)  # it cannot say yet
    playbook >> At(0.5) << Sent("commit_status", 3)
    playbook >> At(2) << Sent("submit", 4)
    playbook >> Got("failed", 4, StatusCode.ABORTED) << Sent("cancel", 3)  # refused for good
    playbook << Told("ann", "ABORTED, perhaps accepted")
    playbook.is_over()


def test_after_a_dropped_stream_proposals_are_sent_again_once() -> None:
    playbook = a_stream(Conversation())
    playbook >> Ask("ann", endorse()) << Sent("propose", 1)
    playbook >> Broke() >> Started() << Sent("hello") >> Got("hello") << Sent("propose", 2)
    playbook >> Broke() << Told("ann", "UNAVAILABLE")
    playbook.is_over()


def test_after_a_dropped_stream_an_accepted_transaction_is_asked_for() -> None:
    playbook = a_stream(Conversation())
    playbook >> Ask("ann", submit()) << Sent("submit", 1) >> Got("accepted", 1) >> Broke()
    playbook >> Started() << Sent("hello") >> Got("hello") << Sent("commit_status", 2)
    playbook >> At(10)  # it is not submitted again
    playbook >> Got("committed", 2) << Told("ann", "committed VALID")
    playbook.is_over()


def test_a_transaction_that_nobody_accepted_is_asked_for_and_then_submitted_again() -> None:
    playbook = a_stream(Conversation())
    playbook >> Ask("ann", submit()) << Sent("submit", 1) >> Broke()
    playbook >> Started() << Sent("hello") >> Got("hello") << Sent("commit_status", 2)
    playbook >> At(2) << Sent("submit", 3)
    playbook >> Got("accepted", 3)
    playbook >> Got("committed", 3) << Sent("cancel", 2) << Told("ann", "committed VALID")
    playbook.is_over()


def test_a_verdict_after_a_dropped_stream_tells_of_acceptance_too() -> None:
    conversation = Conversation()
    playbook = a_stream(conversation)
    playbook >> Ask("ann", submit(waits=False)) << Sent("submit", 1) >> Broke()
    playbook >> Started() << Sent("hello") >> Got("hello") << Sent("commit_status", 2)
    playbook >> Got("committed", 2) << Told("ann", "accepted")
    playbook >> Ask("bob", await_verdict(conversation.tickets["ann"]))
    playbook << Told("bob", "committed VALID")
    playbook.is_over()


def test_the_verdict_on_a_second_copy_is_not_the_verdict() -> None:
    playbook = a_stream(Conversation())
    playbook >> Ask("ann", submit()) << Sent("submit", 1) >> Broke()
    playbook >> Started() << Sent("hello") >> Got("hello") << Sent("commit_status", 2)
    playbook >> At(2) << Sent("submit", 3) >> Got("accepted", 3)
    playbook >> Got("committed", 3, TxValidationCode.DUPLICATE_TXID)
    playbook >> Got("committed", 2) << Told("ann", "committed VALID")
    playbook.is_over()


def test_without_a_signer_a_second_copy_leaves_the_verdict_to_be_asked_for() -> None:
    playbook = a_stream(Conversation())
    playbook >> Ask("ann", submit(signer=False)) << Sent("submit", 1) >> Broke()
    playbook >> Started() << Sent("hello") >> Got("hello") << Sent("submit", 2)
    playbook >> Got("accepted", 2)
    playbook >> Got("committed", 2, TxValidationCode.DUPLICATE_TXID)
    playbook << Told("ann", "UNAVAILABLE, perhaps accepted")
    playbook.is_over()


def test_a_first_duplicate_verdict_is_the_verdict() -> None:
    playbook = a_stream(Conversation())
    playbook >> Ask("ann", submit()) << Sent("submit", 1) >> Got("accepted", 1)
    playbook >> Got("committed", 1, TxValidationCode.DUPLICATE_TXID)
    playbook << Told("ann", "committed DUPLICATE_TXID")
    playbook.is_over()


def test_a_stopping_gateway_that_fails_accepted_transactions_is_asked_again() -> None:
    playbook = a_stream(Conversation())
    playbook >> Ask("ann", submit()) << Sent("submit", 1) >> Got("accepted", 1)
    playbook >> Got("failed", 1, StatusCode.UNAVAILABLE)
    playbook >> At(0.5) << Sent("commit_status", 2)
    playbook >> Got("failed", 2, StatusCode.UNAVAILABLE)
    playbook >> Broke() >> At(3) >> Started() << Sent("hello")
    playbook >> Got("hello") << Sent("commit_status", 3)
    playbook >> Got("committed", 3) << Told("ann", "committed VALID")
    playbook.is_over()


def test_without_a_connection_what_was_never_sent_fails_and_the_rest_waits() -> None:
    playbook = a_stream(Conversation())
    playbook >> Ask("sent", submit()) << Sent("submit", 1)
    playbook >> Ask("asked", ask_status()) << Sent("commit_status", 2) >> Broke()
    playbook >> Ask("new", endorse()) >> NotConnected() << Told("new", "UNAVAILABLE")
    playbook >> Started() << Sent("hello") >> Got("hello")
    playbook << Sent("commit_status", 3) << Sent("commit_status", 4)
    playbook >> Got("committed", 3) << Told("sent", "committed VALID")
    playbook >> Got("committed", 4) << Told("asked", "committed VALID")
    playbook.is_over()


def test_what_waits_for_a_connection_fails_when_its_time_is_over() -> None:
    playbook = a_stream(Conversation())
    playbook >> Ask("ann", submit()) << Sent("submit", 1) >> Broke() >> NotConnected()
    playbook >> At(64.9) >> At(65) << Told("ann", "DEADLINE_EXCEEDED, perhaps accepted")
    playbook.is_over()


def test_where_our_stream_is_not_spoken_everything_is_handed_back() -> None:
    conversation = Conversation()
    playbook = a_stream(conversation)
    playbook >> Ask("a", submit()) << Sent("submit", 1) >> Got("accepted", 1)
    playbook >> Ask("b", submit(waits=False)) << Sent("submit", 2)
    playbook >> Got("accepted", 2) << Told("b", "accepted")
    playbook >> Ask("b", await_verdict(conversation.tickets["b"])) >> Broke()
    (
        playbook
        >> Ask("c", endorse())
        >> NotSpoken()
        << Told("a", "ask in unary calls for the verdict")
    )
    playbook << Told("b", "UNAVAILABLE, perhaps accepted") << Told("c", "ask in unary calls")
    playbook.is_over()
    assert conversation.session.is_idle


def test_requests_of_a_newer_gateway_are_refused_by_their_id() -> None:
    playbook = a_stream(Conversation())
    playbook >> Got("unknown", 77) << Sent("failed", 77)
    playbook >> Got("propose", 78) << Sent("failed", 78)
    playbook.is_over()


def test_an_answer_of_an_unknown_kind_fails_its_request_only() -> None:
    playbook = a_stream(Conversation())
    playbook >> Ask("ann", endorse()) << Sent("propose", 1) >> Ask("bob", endorse())
    playbook << Sent("propose", 2) >> Got("unknown", 1) << Told("ann", "UNIMPLEMENTED")
    playbook >> Got("evaluated", 2) << Told("bob", "UNIMPLEMENTED")
    playbook.is_over()


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff",
        GatewayFrame().SerializeToString(),
        GatewayFrame(hello=Hello(version=2, window=1)).SerializeToString(),
    ],
    ids=["no frame", "no hello", "another version"],
)
def test_a_gateway_that_breaks_the_protocol_is_refused(frame: bytes) -> None:
    session = Session("tests")
    session.open(endorse(), "ann", 0)
    session.stream_started()
    session.next_frame(0)
    with pytest.raises(MalformedMessage):
        session.receive(frame, 0)
    assert not session.is_established
    assert session.next_frame(0) is None
    assert session.take_answers() == []
    assert session.open_count == 1
