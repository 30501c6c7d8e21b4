"""Submitting where another department's reaction may wait."""

import grpc
import pytest

from tests.support.fake_gateway import FakeGateway
from tests.support.fake_ledger import Refuse
from tongban.protos.gateway_pb2 import ErrorDetail
from tongban.protos.proposal_pb2 import ChaincodeProposalPayload
from tongban.sdk import Call, Contract, EndorseError

CALL = Call("Echo", ("x",), {"secret": "s"})
TOO_FEW = Refuse(
    grpc.StatusCode.FAILED_PRECONDITION,
    "failed to select a set of endorsers that satisfy the endorsement policy due to "
    "unavailability of peers: [PowerMSP needs 1, has 0]",
)


def failing(message: str) -> Refuse:
    detail = ErrorDetail(address="peer0:9051", msp_id="PowerMSP", message=message)
    return Refuse(grpc.StatusCode.ABORTED, "failed to collect enough endorsements", (detail,))


def transient(fake: FakeGateway) -> dict[str, bytes]:
    payload = ChaincodeProposalPayload.FromString(fake.ledger.proposals[-1].payload)
    return dict(payload.TransientMap)


def test_nothing_is_deferred_while_all_endorse(fake: FakeGateway, contract: Contract) -> None:
    done = contract.submit_or_defer(CALL, ["electricity"])
    assert (done.committed.result, done.deferred, done.reason) == (b"x", (), "")
    assert transient(fake) == {"secret": b"s"}


def test_too_few_endorsers_defer_and_the_reason_is_told(
    fake: FakeGateway, contract: Contract
) -> None:
    fake.script("endorse", TOO_FEW)
    done = contract.submit_or_defer(CALL, ["electricity"])
    assert done.deferred == ("electricity",) and "PowerMSP needs 1" in done.reason
    assert transient(fake) == {"secret": b"s", "tongban-defer": b'["electricity"]'}
    assert fake.ledger.ordered == [done.committed.transaction_id]


def test_a_gateway_that_has_just_lost_a_peer_is_asked_again_first(
    fake: FakeGateway, contract: Contract
) -> None:
    fake.script("endorse", failing("no connection to peer0:9051"))
    assert contract.submit_or_defer(CALL, ["electricity"]).deferred == ()
    fake.script("endorse", failing("no connection to peer0:9051"), TOO_FEW)
    assert contract.submit_or_defer(CALL, ["electricity"]).deferred == ("electricity",)
    assert len(fake.ledger.ordered) == 2


@pytest.mark.parametrize(
    "refusal",
    [
        failing("chaincode response 500, NO: no"),
        failing("ProposalResponsePayloads do not match"),
        Refuse(grpc.StatusCode.FAILED_PRECONDITION, "no endorsers found in the gateway's org"),
        Refuse(grpc.StatusCode.UNAVAILABLE, "the peer shuts down"),
    ],
)
def test_other_refusals_are_not_deferred(
    fake: FakeGateway, contract: Contract, refusal: Refuse
) -> None:
    fake.script("endorse", refusal)
    with pytest.raises(EndorseError):
        contract.submit_or_defer(CALL, ["electricity"])
    assert fake.ledger.ordered == []
    assert len([kind for kind, _ in fake.ledger.calls if kind == "endorse"]) == 1


def test_a_peer_that_fails_twice_is_an_error(fake: FakeGateway, contract: Contract) -> None:
    fake.script("endorse", failing("broken"), failing("broken"))
    with pytest.raises(EndorseError, match="broken"):
        contract.submit_or_defer(CALL, ["electricity"])
    assert fake.ledger.ordered == []
