"""Endorse and Evaluate: who is asked, and what the caller is told, code and text
(fabric internal/pkg/gateway/endorse.go, evaluate.go, registry.go)."""

import asyncio

import pytest

from tests.support.gateway_ports import (
    FakeChannel,
    FakeEndorsers,
    a_gateway,
    a_peer,
    a_proposal,
    endorsed,
    interest_in,
    refused,
    unreachable,
)
from tongban.node.core.gateway.answer import EndorserAnswer
from tongban.node.core.gateway.errors import Code, GatewayError, NodeError
from tongban.node.core.gateway.plan import Layout
from tongban.node.runtime.gateway.gateway import Gateway
from tongban.node.runtime.gateway.ports import GatewaySeconds
from tongban.protos.common_pb2 import Payload
from tongban.protos.gateway_pb2 import EndorseRequest, EvaluateRequest
from tongban.protos.proposal_pb2 import ChaincodeProposalPayload, SignedProposal
from tongban.protos.proposal_response_pb2 import ChaincodeInterest, Response
from tongban.protos.transaction_pb2 import ChaincodeActionPayload, Transaction

NOT_ENOUGH = "failed to collect enough transaction endorsements, see attached details for more info"
FIRST_FAILED = "failed to endorse transaction, see attached details for more info"
BOTH: list[Layout] = [{"A": 1, "B": 1}]
A1, A2, B1, B2 = a_peer("a1"), a_peer("a2"), a_peer("b1", "B"), a_peer("b2", "B")


def endorse(
    endorsers: FakeEndorsers,
    channel: FakeChannel | None = None,
    signed: SignedProposal | None = None,
    organizations: tuple[str, ...] = (),
    deadline: float | None = None,
) -> ChaincodeActionPayload:
    """The action of the transaction that comes back."""
    gateway = a_gateway(channel or FakeChannel(BOTH), endorsers)
    request = EndorseRequest(
        proposed_transaction=signed or a_proposal(), endorsing_organizations=organizations
    )
    response = asyncio.run(gateway.endorse(request, deadline))
    assert response.prepared_transaction.signature == b""
    payload = Payload.FromString(response.prepared_transaction.payload)
    (action,) = Transaction.FromString(payload.data).actions
    return ChaincodeActionPayload.FromString(action.payload)


def names(action: ChaincodeActionPayload) -> list[str]:
    return sorted(e.endorser.decode() for e in action.action.endorsements)


def refusal(endorsers: FakeEndorsers, **how: object) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        endorse(endorsers, **how)  # type: ignore[arg-type]
    return caught.value


def detail(name: str, org: str, text: str) -> NodeError:
    return NodeError(f"{name}:1", org, text)


def test_one_peer_of_each_organization_endorses_and_the_transient_map_is_left_out() -> None:
    peers = FakeEndorsers([A1, A2, B1, B2], {n: endorsed(n) for n in ("a1", "a2", "b1", "b2")})
    action = endorse(peers, signed=a_proposal(transient={"k": b"secret"}))
    assert names(action) == ["a1", "b1"] == sorted(peers.asked)
    sent = ChaincodeProposalPayload.FromString(action.chaincode_proposal_payload)
    assert not sent.TransientMap and sent.input


def test_layouts_follow_from_what_the_first_endorser_touched() -> None:
    channel = FakeChannel(BOTH)
    touched = interest_in("cc", "other")
    chaincodes = ("cc", "other")
    able = [a_peer("a1", chaincodes=chaincodes), B1, a_peer("b2", "B", 4, chaincodes)]
    peers = FakeEndorsers(able, {"a1": endorsed("a1", interest=touched), "b2": endorsed("b2")})
    assert names(endorse(peers, channel)) == ["a1", "b2"], "b1 cannot run what is called"
    assert channel.interests == [touched]
    bare = FakeEndorsers([A1, B1], {n: endorsed(n) for n in ("a1", "b1")})
    endorse(bare, channel)
    assert channel.interests[1] == interest_in("cc"), "a peer that says nothing touched its own"


@pytest.mark.parametrize(
    "failing",
    [
        unreachable(),
        refused(500, "error in simulation"),
        refused(500, "no", b"p"),
        EndorserAnswer(error="x"),
    ],
)
def test_the_next_peer_of_an_organization_takes_over(failing: EndorserAnswer) -> None:
    answers = {"a1": failing, "a2": endorsed("a2"), "b1": failing, "b2": endorsed("b2")}
    peers = FakeEndorsers([A1, A2, B1, B2], dict(answers))
    assert names(endorse(peers)) == ["a2", "b2"]
    assert peers.asked == ["a1", "a2", "b1", "b2"]
    assert peers.forgotten == (["a1", "b1"] if failing.is_unreachable else [])


def test_every_first_endorser_failed() -> None:
    peers = FakeEndorsers(
        [A1, A2, B1], {"a1": refused(500, "no", b"p"), "a2": refused(500, "down")}
    )
    error = refusal(peers)
    assert (error.code, error.message) == (Code.ABORTED, FIRST_FAILED)
    assert error.details == (
        detail("a1", "A", "chaincode response 500, no"),
        detail("a2", "A", "down"),
    )
    assert peers.asked == ["a1", "a2"]


def test_others_are_asked_first_when_the_own_organization_cannot_be_reached() -> None:
    either: list[Layout] = [{"A": 1}, {"B": 1}]
    peers = FakeEndorsers([A1, B1], {"a1": unreachable(), "b1": endorsed("b1")})
    assert names(endorse(peers, FakeChannel(either))) == ["b1"]
    peers = FakeEndorsers([A1, B1], {"a1": unreachable("gone"), "b1": endorsed("b1")})
    error = refusal(peers, channel=FakeChannel(either), signed=a_proposal(transient={"k": b"v"}))
    assert (error.code, error.message) == (Code.ABORTED, FIRST_FAILED)
    assert error.details == (detail("a1", "A", "gone"),)
    assert peers.asked == ["a1"], "transient data stays in the own organization"


def test_later_endorsers_failed() -> None:
    peers = FakeEndorsers(
        [A1, B1, B2],
        {"a1": endorsed("a1"), "b1": unreachable("gone"), "b2": refused(404, "no", b"p")},
    )
    error = refusal(peers)
    assert (error.code, error.message) == (Code.ABORTED, NOT_ENOUGH)
    assert error.details == (
        detail("b1", "B", "gone"),
        detail("b2", "B", "chaincode response 404, no"),
    )


def test_a_payload_that_differs_is_a_detail_and_its_peer_does_not_count() -> None:
    answers = {"a1": endorsed("a1"), "b1": endorsed("b1", b"other"), "b2": endorsed("b2")}
    peers = FakeEndorsers([A1, B1, B2], dict(answers))
    assert names(endorse(peers)) == ["a1", "b2"]
    error = refusal(FakeEndorsers([A1, B1], dict(answers)))
    assert (error.code, error.message) == (Code.ABORTED, NOT_ENOUGH)
    assert error.details[0].message.startswith("ProposalResponsePayloads do not match: response")
    assert "A has 'ok', B has 'other'" in error.details[0].message


def test_another_layout_is_tried_when_an_organization_is_exhausted() -> None:
    layouts: list[Layout] = [{"A": 1, "B": 1}, {"A": 1, "C": 1}]
    peers = FakeEndorsers(
        [A1, B1, a_peer("c1", "C")],
        {"a1": endorsed("a1"), "b1": unreachable(), "c1": endorsed("c1")},
    )
    assert names(endorse(peers, FakeChannel(layouts))) == ["a1", "c1"]


def test_an_endorsement_that_the_layout_does_not_need_is_left_out() -> None:
    peers = FakeEndorsers([A1, B1], {n: endorsed(n) for n in ("a1", "b1")})
    assert names(endorse(peers, FakeChannel([{"B": 1}]))) == ["b1"]


def test_two_peers_of_one_organization_may_be_needed() -> None:
    two: list[Layout] = [{"A": 2}]
    peers = FakeEndorsers([A1, A2], {n: endorsed(n) for n in ("a1", "a2")})
    assert names(endorse(peers, FakeChannel(two))) == ["a1", "a2"]
    error = refusal(
        FakeEndorsers([A1, B1], {n: endorsed(n) for n in ("a1", "b1")}), channel=FakeChannel(two)
    )
    assert error.code is Code.FAILED_PRECONDITION
    assert error.message == (
        "failed to select a set of endorsers that satisfy the endorsement policy due to "
        "unavailability of peers: [A needs 2, has 1]"
    )


def test_a_first_endorser_that_failed_is_not_asked_again_and_stays_a_detail() -> None:
    peers = FakeEndorsers([A1, A2, B1], {"a1": refused(500, "down"), "a2": endorsed("a2")})
    error = refusal(peers, channel=FakeChannel([{"A": 2}]))
    assert (error.code, error.message) == (Code.ABORTED, NOT_ENOUGH)
    assert error.details == (detail("a1", "A", "down"),)
    assert peers.asked == ["a1", "a2"]
    error = refusal(peers, channel=FakeChannel([{"A": 1, "C": 1}]))
    assert error.code is Code.FAILED_PRECONDITION
    assert error.message.endswith("[C needs 1, has 0]")


def test_named_organizations_endorse_and_no_policy_is_looked_at() -> None:
    channel = FakeChannel([{"A": 1}])
    peers = FakeEndorsers([A1, B1, B2], {"b1": unreachable(), "b2": endorsed("b2")})
    assert names(endorse(peers, channel, organizations=("B", "B"))) == ["b2"]
    assert channel.interests == []


def test_named_organizations_without_peers_are_named() -> None:
    peers = FakeEndorsers([A1, a_peer("b1", "B", chaincodes=("else",))])
    error = refusal(peers, organizations=("A", "B", "C", "B"))
    assert error.code is Code.UNAVAILABLE
    assert error.message == "failed to find any endorsing peers for org(s): B, C"
    assert peers.asked == []


def test_a_peer_without_the_chaincode_is_not_asked() -> None:
    without = a_peer("a0", chaincodes=())
    peers = FakeEndorsers([without, A1, B1], {n: endorsed(n) for n in ("a1", "b1")})
    endorse(peers)
    assert "a0" not in peers.asked


def test_without_a_peer_of_its_own_the_gateway_asks_another_first() -> None:
    peers = FakeEndorsers([B1], {"b1": endorsed("b1")})
    assert names(endorse(peers, FakeChannel([{"B": 1}]))) == ["b1"]
    signed = a_proposal(transient={"k": b"v"})
    error = refusal(peers, channel=FakeChannel([{"B": 1}]), signed=signed)
    assert error.code is Code.FAILED_PRECONDITION
    assert error.message == (
        "no endorsers found in the gateway's organization; retry specifying endorsing "
        "organization(s) to protect transient data"
    )
    assert peers.asked == ["b1"]


def test_transient_data_goes_to_members_of_the_collections_alone() -> None:
    touched = interest_in("cc", collections=["secrets"])
    touched.chaincodes[0].no_private_reads = True
    channel = FakeChannel(BOTH, protected=[])
    peers = FakeEndorsers([A1, B1], {"a1": endorsed("a1", interest=touched), "b1": endorsed("b1")})
    error = refusal(peers, channel=channel, signed=a_proposal(transient={"k": b"v"}))
    assert error.code is Code.FAILED_PRECONDITION
    assert error.message == (
        "requires endorsement from organisation(s) that are not in the distribution policy of the "
        "private data collection(s): [secrets]; retry specifying trusted endorsing organizations "
        "to protect transient data"
    )
    assert peers.asked == ["a1"]
    assert names(endorse(peers, channel)) == ["a1", "b1"]


@pytest.mark.parametrize(
    ("signed", "text"),
    [
        (SignedProposal(), "the proposed transaction must contain a signed proposal"),
        (SignedProposal(proposal_bytes=b"\xff"), "not a serialized Proposal"),
    ],
)
def test_what_is_not_a_proposal_is_an_invalid_argument(signed: SignedProposal, text: str) -> None:
    peers = FakeEndorsers([A1], {})
    error = refusal(peers, signed=signed)
    assert error.code is Code.INVALID_ARGUMENT
    assert text in error.message
    assert peers.asked == []


def test_a_chaincode_of_an_unknown_channel_has_no_metadata() -> None:
    error = refusal(FakeEndorsers([A1]), signed=a_proposal(channel_id="nowhere"))
    assert error.code is Code.FAILED_PRECONDITION
    assert error.message == (
        "no combination of peers can be derived which satisfy the endorsement policy: "
        "No metadata was found for chaincode cc in channel nowhere"
    )


@pytest.mark.parametrize(
    ("answers", "stage", "asked"),
    [
        ({}, "collecting first endorsement", ["a1"]),
        ({"a1": endorsed("a1")}, "collecting endorsements", ["b1"]),
    ],
)
def test_deadlines_pass_and_whoever_was_asked_is_told(
    answers: dict[str, EndorserAnswer], stage: str, asked: list[str]
) -> None:
    peers = FakeEndorsers([A1, B1], dict(answers))
    error = refusal(peers, deadline=0.01)
    assert error.code is Code.DEADLINE_EXCEEDED
    assert error.message == f"endorsement timeout expired while {stage}"
    assert peers.given_up == asked


def test_an_endorser_that_takes_too_long_is_passed_over() -> None:
    peers = FakeEndorsers([A1, A2, B1, B2], {"a2": endorsed("a2"), "b2": endorsed("b2")})
    seconds = GatewaySeconds(endorse=0.01)
    gateway = Gateway(lambda channel_id: FakeChannel(BOTH), peers, seconds)
    asyncio.run(gateway.endorse(EndorseRequest(proposed_transaction=a_proposal())))
    assert peers.given_up == ["a1", "b1"]
    assert peers.forgotten == [], "a slow contract takes no peer from everybody else"


def evaluate(
    endorsers: FakeEndorsers,
    signed: SignedProposal | None = None,
    organizations: tuple[str, ...] = (),
    deadline: float | None = None,
) -> Response:
    request = EvaluateRequest(
        proposed_transaction=signed or a_proposal(), target_organizations=organizations
    )
    gateway = a_gateway(FakeChannel(), endorsers)
    return asyncio.run(gateway.evaluate(request, deadline)).result


def refused_evaluation(endorsers: FakeEndorsers, **how: object) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        evaluate(endorsers, **how)  # type: ignore[arg-type]
    return caught.value


def test_the_result_is_what_was_endorsed() -> None:
    assert evaluate(FakeEndorsers([A1], {"a1": endorsed("a1")})).payload == b"ok"
    bare = refused(200, "fine")
    assert evaluate(FakeEndorsers([A1], {"a1": bare})).message == "fine"
    garbled = refused(200, "fine", b"\xff")
    assert evaluate(FakeEndorsers([A1], {"a1": garbled})).message == "fine"


def test_the_next_peer_is_asked_when_one_cannot_answer() -> None:
    peers = FakeEndorsers(
        [A1, A2, B1], {"a1": unreachable(), "a2": refused(500, "down"), "b1": endorsed("b1")}
    )
    assert evaluate(peers).payload == b"ok"
    assert (peers.asked, peers.forgotten) == (["a1", "a2", "b1"], ["a1"])


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        (refused(500, "no", b"p"), Code.UNKNOWN, "chaincode response 500, no"),
        (refused(404, "no"), Code.UNKNOWN, "chaincode response 404, no"),
        (
            EndorserAnswer(refused(500, "").response, "access denied: channel [ch]"),
            Code.FAILED_PRECONDITION,
            "access denied: channel [ch]",
        ),
    ],
)
def test_a_refusal_is_final(answer: EndorserAnswer, code: Code, text: str) -> None:
    peers = FakeEndorsers([A1, B1], {"a1": answer})
    error = refused_evaluation(peers)
    assert error.code is code
    assert error.message == f"evaluate call to endorser returned error: {text}"
    assert error.details == (detail("a1", "A", text),)
    assert peers.asked == ["a1"]


@pytest.mark.parametrize(
    ("last", "code"), [(unreachable("gone"), Code.UNAVAILABLE), (refused(500, "x"), Code.ABORTED)]
)
def test_nobody_could_answer(last: EndorserAnswer, code: Code) -> None:
    error = refused_evaluation(FakeEndorsers([A1, B1], {"a1": unreachable("gone"), "b1": last}))
    assert error.code is code
    assert error.message == "failed to evaluate transaction, see attached details for more info"
    assert [found.msp_id for found in error.details] == ["A", "B"]


def test_nobody_has_the_chaincode() -> None:
    text = "no peers available to evaluate chaincode cc in channel ch"
    peers = FakeEndorsers([a_peer("a1", chaincodes=()), B1], {"b1": endorsed("b1")})
    error = refused_evaluation(peers, organizations=("C",))
    assert (error.code, error.message) == (Code.FAILED_PRECONDITION, text)
    error = refused_evaluation(peers, signed=a_proposal(transient={"k": b"v"}))
    assert error.code is Code.FAILED_PRECONDITION
    assert error.message == (
        "no endorsers found in the gateway's organization; retry specifying target "
        f"organization(s) to protect transient data: {text}"
    )
    assert peers.asked == []
    assert evaluate(peers, a_proposal(transient={"k": b"v"}), ("B",)).payload == b"ok"


@pytest.mark.parametrize(
    ("signed", "text"),
    [
        (SignedProposal(), "a signed proposal is required"),
        (SignedProposal(proposal_bytes=b"\xff"), "not a serialized Proposal"),
        (a_proposal(channel_id=""), "no channel id provided"),
        (a_proposal(chaincode=""), "no chaincode name is provided, channel id [ch]"),
    ],
)
def test_what_cannot_be_evaluated_is_an_invalid_argument(signed: SignedProposal, text: str) -> None:
    error = refused_evaluation(FakeEndorsers([A1]), signed=signed)
    assert error.code is Code.INVALID_ARGUMENT
    assert error.message.startswith("failed to unpack transaction proposal: ")
    assert text in error.message


def test_an_evaluation_on_an_unknown_channel_is_unavailable() -> None:
    error = refused_evaluation(FakeEndorsers([A1]), signed=a_proposal(channel_id="nowhere"))
    assert error.code is Code.UNAVAILABLE
    assert error.message == (
        "failed to get config for channel [nowhere]: could not get last config for channel nowhere"
    )


def test_an_evaluation_has_a_deadline() -> None:
    peers = FakeEndorsers([A1])
    error = refused_evaluation(peers, deadline=0.01)
    assert (error.code, error.message) == (Code.DEADLINE_EXCEEDED, "evaluate timeout expired")
    assert peers.given_up == ["a1"]


def test_interests_without_chaincodes_count_as_the_one_called() -> None:
    channel = FakeChannel([{"A": 1}])
    answer = endorsed("a1", interest=ChaincodeInterest())
    endorse(FakeEndorsers([A1], {"a1": answer}), channel)
    assert [call.name for call in channel.interests[0].chaincodes] == ["cc"]
