"""Every step of a transaction, in both drivers, over the stream and in unary calls."""

import hashlib
import itertools
import threading
import time
from typing import Any

import grpc
import pytest

from tests.support.fake_gateway import FakeGateway
from tests.support.fake_ledger import Delay, Forge, Hang, Refuse
from tongban.protos.chaincode_pb2 import ChaincodeInvocationSpec
from tongban.protos.errors import MalformedMessage
from tongban.protos.gateway_pb2 import ErrorDetail as DetailMessage
from tongban.protos.proposal_pb2 import ChaincodeProposalPayload
from tongban.protos.signing import sign, verify_signature
from tongban.sdk import (
    Call,
    CommitError,
    CommitStatusError,
    Contract,
    EndorseError,
    ErrorDetail,
    EvaluateError,
    Gateway,
    StatusCode,
    SubmitError,
    Timeouts,
    TxValidationCode,
)

from .conftest import IDENTITY, KEY, Connect

DETAIL = DetailMessage(address="peer0:7051", msp_id="Org1MSP", message="chaincode response 500, no")


def proposed(fake: FakeGateway, index: int = -1) -> ChaincodeProposalPayload:
    return ChaincodeProposalPayload.FromString(fake.ledger.proposals[index].payload)


def proposed_args(fake: FakeGateway) -> list[bytes]:
    spec = ChaincodeInvocationSpec.FromString(proposed(fake).input)
    return list(spec.chaincode_spec.input.args)


def test_submit_returns_the_result_once_committed(fake: FakeGateway, contract: Contract) -> None:
    assert contract.submit("Echo", "你好") == "你好".encode()
    assert list(fake.ledger.committed) == fake.ledger.ordered


def test_evaluate_returns_the_result_and_orders_nothing(
    fake: FakeGateway, contract: Contract
) -> None:
    assert contract.evaluate("Read", "a", 1, {"b": [True, None]}) == b'Read(a,1,{"b":[true,null]})'
    assert fake.ledger.ordered == []


def test_strings_travel_as_themselves_and_other_values_as_canonical_json(
    fake: FakeGateway, contract: Contract
) -> None:
    contract.evaluate("F", "text", b"\x00raw", 5, 1.5, False, {"b": 1, "a": "名"})
    expected = [b"F", b"text", b"\x00raw", b"5", b"1.5", b"false", '{"a":"名","b":1}'.encode()]
    assert proposed_args(fake) == expected


def test_a_named_contract_is_addressed_by_its_name(fake: FakeGateway, gateway: Gateway) -> None:
    gateway.get_network("mychannel").get_contract("basic", "Land").evaluate("Read")
    assert proposed_args(fake) == [b"Land:Read"]


def test_transient_values_and_organizations_reach_the_gateway(
    fake: FakeGateway, contract: Contract
) -> None:
    contract.submit(
        "F", transient={"secret": "s", "n": 7}, endorsing_organizations=["Org1MSP", "Org2MSP"]
    )
    assert dict(proposed(fake).TransientMap) == {"secret": b"s", "n": b"7"}
    assert ",".join(fake.ledger.organizations[-1]) == "Org1MSP,Org2MSP"
    contract.evaluate("F", target_organizations=["Org2MSP"])
    assert ",".join(fake.ledger.organizations[-1]) == "Org2MSP"


def test_the_steps_can_be_taken_one_by_one(fake: FakeGateway, contract: Contract) -> None:
    proposal = contract.new_proposal("Echo", "x")
    transaction = proposal.endorse()
    assert transaction.result == b"x"
    assert transaction.transaction_id == proposal.transaction_id
    assert fake.ledger.ordered == []
    commit = transaction.submit()
    status = commit.status()
    assert commit.result == b"x"
    assert status.is_valid
    assert status.transaction_id == proposal.transaction_id
    assert status.block_number == 1


def test_submit_async_returns_before_the_verdict(fake: FakeGateway, contract: Contract) -> None:
    fake.ledger.holds_commits = True
    commit = contract.submit_async("Echo", "x")
    assert commit.transaction_id in fake.ledger.ordered
    assert fake.ledger.committed == {}
    fake.call(lambda: fake.ledger.commit(commit.transaction_id))
    assert commit.status().is_valid
    assert commit.status().is_valid  # and again


def test_every_signature_is_over_the_message_with_low_s(
    fake: FakeGateway, contract: Contract
) -> None:
    transaction = contract.new_proposal("Echo", "x").endorse()
    transaction.submit()
    signature = fake.ledger.signatures[transaction.transaction_id]
    verify_signature(KEY.public_key(), transaction.message, signature)


def test_anything_can_be_signed_elsewhere(
    fake: FakeGateway, connect: Connect, stream: bool
) -> None:
    online = connect(stream=stream)
    unsigned = online.get_network("mychannel").get_contract("basic").new_proposal("Echo", "x")
    offline = connect(IDENTITY, stream=stream)
    proposal = offline.new_proposal_from_bytes(unsigned.bytes, sign(KEY, unsigned.message))
    assert proposal.digest == hashlib.sha256(unsigned.message).digest()
    transaction = proposal.endorse()
    transaction = offline.new_transaction_from_bytes(
        transaction.bytes, sign(KEY, transaction.message)
    )
    commit = transaction.submit()
    commit = offline.new_commit_from_bytes(commit.bytes, sign(KEY, commit.message))
    assert commit.status().is_valid
    assert fake.ledger.ordered == [proposal.transaction_id]


def test_without_a_signature_or_a_signer_nothing_is_sent(
    fake: FakeGateway, connect: Connect, stream: bool
) -> None:
    contract = connect(IDENTITY, stream=stream).get_network("mychannel").get_contract("basic")
    with pytest.raises(RuntimeError, match="not signed"):
        contract.submit("Echo", "x")
    assert fake.ledger.calls == []


def test_bytes_that_are_no_step_are_refused(gateway: Gateway) -> None:
    makers: list[Any] = [
        gateway.new_proposal_from_bytes,
        gateway.new_transaction_from_bytes,
        gateway.new_commit_from_bytes,
        gateway.new_chaincode_events_request_from_bytes,
        gateway.new_blocks_request_from_bytes,
    ]
    for make in makers:
        with pytest.raises(MalformedMessage):
            make(b"\xff\xff")


def test_a_failed_endorsement_says_who_said_what(fake: FakeGateway, contract: Contract) -> None:
    fake.script("endorse", Refuse(grpc.StatusCode.ABORTED, "failed to endorse", (DETAIL,)))
    with pytest.raises(EndorseError) as caught:
        contract.submit("Echo", "x")
    assert caught.value.code is StatusCode.ABORTED
    assert caught.value.message == "failed to endorse"
    assert caught.value.details == (
        ErrorDetail("peer0:7051", "Org1MSP", "chaincode response 500, no"),
    )
    assert caught.value.transaction_id == fake.ledger.calls[0][1]
    assert "peer0:7051: chaincode response 500, no" in str(caught.value)
    assert fake.ledger.ordered == []


def test_a_failed_evaluation_has_its_own_error(fake: FakeGateway, contract: Contract) -> None:
    fake.script("evaluate", Refuse(grpc.StatusCode.UNKNOWN, "no", (DETAIL,)))
    with pytest.raises(EvaluateError) as caught:
        contract.evaluate("Echo", "x")
    assert caught.value.code is StatusCode.UNKNOWN
    assert caught.value.details[0].msp_id == "Org1MSP"
    assert fake.ledger.ordered == []


def test_a_failed_submission_has_its_own_error(fake: FakeGateway, contract: Contract) -> None:
    fake.script("submit", Refuse(grpc.StatusCode.UNAVAILABLE, "no orderer nodes available"))
    with pytest.raises(SubmitError, match="no orderer nodes available") as caught:
        contract.submit("Echo", "x")
    assert caught.value.code is StatusCode.UNAVAILABLE
    assert fake.ledger.ordered == []


def test_a_refused_commit_status_has_its_own_error(fake: FakeGateway, gateway: Gateway) -> None:
    fake.script("commit_status", Refuse(grpc.StatusCode.PERMISSION_DENIED, "no reader"))
    with pytest.raises(CommitStatusError, match="no reader") as caught:
        gateway.get_network("mychannel").commit_status("ab" * 32)
    assert caught.value.code is StatusCode.PERMISSION_DENIED
    assert caught.value.transaction_id == "ab" * 32


def test_an_invalid_transaction_raises_with_its_code_and_block(
    fake: FakeGateway, contract: Contract
) -> None:
    fake.ledger.verdicts.append(TxValidationCode.ENDORSEMENT_POLICY_FAILURE)
    with pytest.raises(CommitError, match="ENDORSEMENT_POLICY_FAILURE") as caught:
        contract.submit("Echo", "x", retries=3)
    assert caught.value.code == TxValidationCode.ENDORSEMENT_POLICY_FAILURE
    assert caught.value.block_number == 1
    assert len(fake.ledger.ordered) == 1  # not a conflict, so not tried again


def test_each_step_has_a_deadline(fake: FakeGateway, connect: Connect, stream: bool) -> None:
    limits = Timeouts(evaluate_s=0.1, endorse_s=0.1, submit_s=0.1, commit_status_s=0.2)
    gateway = connect(stream=stream, timeouts=limits)
    contract = gateway.get_network("mychannel").get_contract("basic")
    contract.evaluate("Warm", "up", timeout_s=5)
    fake.script("evaluate", Hang())
    with pytest.raises(EvaluateError) as evaluated:
        contract.evaluate("Echo", "x")
    fake.script("endorse", Hang())
    with pytest.raises(EndorseError) as endorsed:
        contract.submit("Echo", "x")
    fake.script("submit", Hang())
    with pytest.raises(SubmitError) as submitted:
        contract.submit("Echo", "x")
    assert fake.ledger.ordered == []
    fake.ledger.holds_commits = True
    with pytest.raises(CommitStatusError) as committed:
        contract.submit("Echo", "x")
    for caught in (evaluated, endorsed, submitted, committed):
        assert caught.value.code is StatusCode.DEADLINE_EXCEEDED
    assert evaluated.value.message == "the gateway did not answer within 0.1 s"
    assert endorsed.value.message == "the gateway did not answer within 0.1 s"
    assert submitted.value.message == "no orderer accepted the transaction within 0.1 s"
    assert committed.value.message == "no verdict on the transaction within 0.2 s"


def test_a_gateway_that_gives_up_is_quoted(
    fake: FakeGateway, connect: Connect, stream: bool
) -> None:
    words = "evaluate timeout expired"
    contract = connect(stream=stream).get_network("mychannel").get_contract("basic")
    fake.script("evaluate", Refuse(grpc.StatusCode.DEADLINE_EXCEEDED, words))
    with pytest.raises(EvaluateError) as caught:
        contract.evaluate("Echo", "x")
    assert (caught.value.code, caught.value.message) == (StatusCode.DEADLINE_EXCEEDED, words)


def test_a_step_may_have_a_deadline_of_its_own(fake: FakeGateway, contract: Contract) -> None:
    contract.evaluate("Warm", "up")
    fake.script("endorse", Delay(5))
    began = time.monotonic()
    with pytest.raises(EndorseError):
        contract.new_proposal("Echo", "x").endorse(timeout_s=0.1)
    assert time.monotonic() - began < 3
    fake.ledger.holds_commits = True
    commit = contract.submit_async("Echo", "x")
    with pytest.raises(CommitStatusError) as caught:
        commit.status(timeout_s=0.1)
    assert caught.value.code is StatusCode.DEADLINE_EXCEEDED
    fake.call(lambda: fake.ledger.commit(commit.transaction_id))
    assert commit.status().is_valid


def test_another_transaction_than_the_one_proposed_is_not_signed(
    fake: FakeGateway, contract: Contract
) -> None:
    fake.script("endorse", Forge())
    with pytest.raises(EndorseError, match="another transaction"):
        contract.submit("Echo", "x")
    assert [kind for kind, _ in fake.ledger.calls] == ["endorse"]


def test_read_conflicts_are_retried_under_one_idempotency_key(
    fake: FakeGateway, contract: Contract
) -> None:
    conflicts = [TxValidationCode.MVCC_READ_CONFLICT, TxValidationCode.PHANTOM_READ_CONFLICT]
    fake.ledger.verdicts.extend(conflicts)
    assert contract.submit("Echo", "x", retries=2, idempotency_key="case-7") == b"x"
    assert len(set(fake.ledger.ordered)) == 3
    keys = [proposed(fake, i).TransientMap["idempotency-key"] for i in range(3)]
    assert keys == [b"case-7"] * 3


def test_endorsers_that_read_different_versions_are_asked_again(
    fake: FakeGateway, contract: Contract
) -> None:
    text = "ProposalResponsePayloads do not match: read of basic/a: …"
    detail = DetailMessage(address="peer0:9051", msp_id="Org2MSP", message=text)
    mismatch = Refuse(grpc.StatusCode.ABORTED, "failed to collect", (detail,))
    fake.script("endorse", mismatch, mismatch)
    assert contract.submit("Echo", "x", retries=2) == b"x"
    assert len(fake.ledger.ordered) == 1
    fake.script("endorse", mismatch)
    with pytest.raises(EndorseError, match="do not match"):
        contract.submit("Echo", "x")
    assert len(fake.ledger.ordered) == 1


def test_retries_end(fake: FakeGateway, contract: Contract) -> None:
    fake.ledger.verdicts.extend([TxValidationCode.MVCC_READ_CONFLICT] * 9)
    with pytest.raises(CommitError, match="MVCC_READ_CONFLICT"):
        contract.submit("Echo", "x", retries=1)
    assert len(fake.ledger.ordered) == 2
    assert not proposed(fake).TransientMap


def test_many_are_submitted_and_each_is_told_with_its_place(
    fake: FakeGateway, contract: Contract
) -> None:
    fake.script("endorse", Refuse(grpc.StatusCode.ABORTED, "no"))
    fake.ledger.verdicts.append(TxValidationCode.MVCC_READ_CONFLICT)
    outcomes = {o.index: o for o in contract.submit_many(("Echo", i) for i in range(40))}
    assert sorted(outcomes) == list(range(40))
    failed = [o for o in outcomes.values() if o.error is not None]
    assert sorted(type(o.error).__name__ for o in failed) == ["CommitError", "EndorseError"]
    for outcome in outcomes.values():
        if outcome.error is None:
            assert outcome.get().result == str(outcome.index).encode()
        else:
            with pytest.raises((CommitError, EndorseError)):
                outcome.get()


def test_many_calls_may_have_retries_and_transient_values(
    fake: FakeGateway, contract: Contract
) -> None:
    fake.ledger.verdicts.append(TxValidationCode.MVCC_READ_CONFLICT)
    call = Call("Echo", ("x",), {"t": "v"}, ["Org1MSP"], retries=1, idempotency_key="k")
    (outcome,) = list(contract.submit_many([call]))
    assert outcome.get().result == b"x"
    assert len(fake.ledger.ordered) == 2
    assert dict(proposed(fake).TransientMap) == {"t": b"v", "idempotency-key": b"k"}


def test_a_slow_consumer_slows_the_producer(fake: FakeGateway, contract: Contract) -> None:
    produced = itertools.count()
    last = 0

    def calls() -> Any:
        nonlocal last
        for last in produced:
            yield ("Echo", last)

    outcomes = iter(contract.submit_many(calls(), in_flight=8))
    for taken in range(1, 31):
        next(outcomes)
        assert last <= taken + 8
    assert fake.most_open <= 8
    outcomes.close()  # type: ignore[attr-defined]


def test_a_fault_of_the_producer_reaches_the_consumer(contract: Contract) -> None:
    def calls() -> Any:
        yield ("Echo", 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(contract.submit_many(calls()))


def test_a_closed_gateway_ends_what_waits(
    fake: FakeGateway, connect: Connect, stream: bool
) -> None:
    gateway = connect(stream=stream)
    contract = gateway.get_network("mychannel").get_contract("basic")
    contract.evaluate("Warm", "up")
    fake.script("endorse", Hang())
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            contract.submit("Echo", "x")
        except EndorseError as error:
            caught.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    until = time.monotonic() + 5
    while not fake.ledger.calls[1:] and time.monotonic() < until:
        time.sleep(0.005)
    gateway.close()
    waiting.join(5)
    assert not waiting.is_alive()
    assert len(caught) == 1
