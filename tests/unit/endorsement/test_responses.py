"""What an outcome becomes: endorsed, told, or refused, and what chaincode may do on the way."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tests.support.endorsing import EndorsingPeer, a_program
from tests.support.program import run_program
from tongban.node.core.identity import Identity
from tongban.node.core.received import ReceivedProposal
from tongban.node.core.state import UpdateBatch, Version, VersionedValue
from tongban.node.runtime.contract_host import (
    ContractCall,
    ContractCrashed,
    ContractEvent,
    ContractReportedFailure,
    ContractResult,
    ContractTimedOut,
    Response,
    StateCallRefused,
    StateCalls,
    StateWrite,
    WriteKind,
)
from tongban.protos import (
    chaincode_event_pb2,
    kvrwset_pb2,
    policies_pb2,
    proposal_pb2,
    proposal_response_pb2,
    rwset_pb2,
)


@pytest.fixture
def peer(tmp_path: Path) -> EndorsingPeer:
    peer = EndorsingPeer({"basic": run_program, "other": run_program}, tmp_path)
    peer.channel.put("basic", {"a": b"1", "b": b"2"})
    peer.channel.put("other", {"x": b"9"})
    return peer


def run(
    peer: EndorsingPeer, *operations: dict[str, Any], chaincode: str = "basic", **parts: Any
) -> proposal_response_pb2.ProposalResponse:
    signed = peer.propose(chaincode, *a_program(*operations), **parts)
    response = asyncio.run(peer.endorser.process(ReceivedProposal(signed)))
    assert peer.snapshot_is_closed()
    assert peer.endorser.in_work == 0
    return response


def action_of(response: proposal_response_pb2.ProposalResponse) -> proposal_pb2.ChaincodeAction:
    payload = proposal_response_pb2.ProposalResponsePayload.FromString(response.payload)
    return proposal_pb2.ChaincodeAction.FromString(payload.extension)


def sets_of(response: proposal_response_pb2.ProposalResponse) -> dict[str, kvrwset_pb2.KVRWSet]:
    results = rwset_pb2.TxReadWriteSet.FromString(action_of(response).results)
    return {one.namespace: kvrwset_pb2.KVRWSet.FromString(one.rwset) for one in results.ns_rwset}


@pytest.mark.parametrize(
    ("status", "has_payload", "endorsed"),
    [
        (200, True, True),
        (399, True, True),
        (400, False, False),
        (499, False, False),
        (500, True, False),
        (600, True, False),
    ],
)
def test_the_status_decides_what_is_endorsed(
    peer: EndorsingPeer, status: int, has_payload: bool, endorsed: bool
) -> None:
    response = run(
        peer,
        {"op": "put", "k": "k", "v": "v"},
        {"op": "event", "name": "e", "v": "p"},
        {"op": "return", "st": status, "msg": "said"},
    )
    assert response.response.status == status
    assert response.response.message == "said"
    assert bool(response.payload) == has_payload
    assert response.HasField("endorsement") == endorsed
    assert response.version == (1 if endorsed else 0)
    assert response.HasField("interest") == has_payload
    if has_payload:
        assert bool(action_of(response).events) == endorsed


@pytest.mark.parametrize("status", [200, 400, 500])
def test_an_evaluation_answers_the_same_and_endorses_and_keeps_nothing(
    peer: EndorsingPeer, status: int
) -> None:
    operations = (
        {"op": "put", "c": "_implicit_org_Org1MSP", "k": "k", "t": "t"},
        {"op": "return", "st": status, "msg": "said"},
    )
    signed = peer.propose("basic", *a_program(*operations), transient={"t": b"secret"})
    response = asyncio.run(peer.endorser.evaluate(ReceivedProposal(signed)))
    assert not peer.channel.held
    assert peer.snapshot_is_closed()
    assert not response.HasField("endorsement")
    assert bool(response.payload) == (status == 500), "tells the contract's error from the peer's"
    assert response.response == run(peer, *operations, transient={"t": b"secret"}).response


def test_an_endorsement_is_signed_by_the_peer_over_payload_and_identity(
    peer: EndorsingPeer,
) -> None:
    response = run(peer, {"op": "get", "k": "a"})
    endorsement = response.endorsement
    endorser: Identity = peer.channel.config.msps.deserialize(endorsement.endorser)
    endorser.verify(response.payload + endorsement.endorser, endorsement.signature)
    assert endorser.mspid == "Org1MSP"


def test_the_peer_says_whose_event_it_is(peer: EndorsingPeer) -> None:
    response = run(peer, {"op": "event", "name": "made", "v": "payload"})
    event = chaincode_event_pb2.ChaincodeEvent.FromString(action_of(response).events)
    assert (event.chaincode_id, event.event_name, event.payload) == ("basic", "made", b"payload")
    assert len(event.tx_id) == 64


def test_reads_see_the_snapshot_and_not_the_transactions_own_writes(peer: EndorsingPeer) -> None:
    response = run(
        peer,
        {"op": "put", "k": "a", "v": "changed"},
        {"op": "get", "k": "a"},
        {"op": "get", "k": "none"},
    )
    assert response.response.payload == b"0 put\n1 get 31\n2 get -"
    sets = sets_of(response)
    assert sorted(sets) == ["_lifecycle", "basic"]
    assert [read.key for read in sets["basic"].reads] == ["a", "none"]
    assert not sets["basic"].reads[1].HasField("version")
    assert [read.key for read in sets["_lifecycle"].reads] == ["namespaces/fields/basic/Sequence"]


def test_private_values_are_held_before_the_endorsement_is_given(peer: EndorsingPeer) -> None:
    secret = {"t": b"secret value"}
    collection = "_implicit_org_Org1MSP"
    operation = {"op": "put", "c": collection, "k": "k", "t": "t"}
    response = run(peer, operation, transient=secret)
    assert response.response.status == 200, response.response.message
    (held,) = peer.channel.held
    private = held[1].pvt_rwset.ns_pvt_rwset[0].collection_pvt_rwset[0]
    assert private.collection_name == collection
    assert kvrwset_pb2.KVRWSet.FromString(private.rwset).writes[0].value == b"secret value"
    assert held[1].endorsed_at == peer.channel.height
    config = held[1].collection_configs["basic"].config[0].static_collection_config
    assert (config.name, config.maximum_peer_count) == (collection, 1)
    assert b"secret value" not in response.SerializeToString()


def test_a_peer_that_cannot_hold_private_values_does_not_endorse(
    peer: EndorsingPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(tx_id: str, private: object) -> None:
        raise StateCallRefused("the transient store is full")

    monkeypatch.setattr(peer.channel, "hold_private", refuse)
    operation = {"op": "put", "c": "_implicit_org_Org1MSP", "k": "k", "t": "t"}
    response = run(peer, operation, transient={"t": b"v"})
    assert response.response.status == 500
    assert response.response.message == "error in simulation: the transient store is full"
    assert not response.payload and not response.HasField("endorsement")


async def fail_with_timeout(call: ContractCall, state: StateCalls) -> ContractResult:
    raise ContractTimedOut


async def fail_with_crash(call: ContractCall, state: StateCalls) -> ContractResult:
    raise ContractCrashed


async def fail_with_report(call: ContractCall, state: StateCalls) -> ContractResult:
    raise ContractReportedFailure("it broke")


@pytest.mark.parametrize(
    ("contract", "ending"),
    [
        (fail_with_timeout, "timeout expired while executing transaction"),
        (fail_with_crash, "chaincode stream terminated"),
        (fail_with_report, "error in simulation: transaction returned with failure: it broke"),
    ],
)
def test_a_contract_without_an_answer_gives_a_response_without_payload(
    peer: EndorsingPeer, contract: Any, ending: str
) -> None:
    peer.deploy("broken", contract)
    response = run(peer, chaincode="broken")
    assert response.response.status == 500
    assert response.response.message.startswith("error in simulation: ")
    assert response.response.message.endswith(ending)
    assert not response.payload and not response.HasField("endorsement")


def test_a_callee_reads_and_writes_in_its_own_namespace(peer: EndorsingPeer) -> None:
    inner = {"ops": [{"op": "get", "k": "x"}, {"op": "put", "k": "y", "v": "1"}]}
    response = run(
        peer,
        {"op": "invoke", "cc": "other", "prog": inner},
        {"op": "put", "k": "mine", "v": "1"},
    )
    assert response.response.payload.startswith(b"0 invoke 200 ")
    sets = sets_of(response)
    assert [write.key for write in sets["basic"].writes] == ["mine"]
    assert [write.key for write in sets["other"].writes] == ["y"]
    assert [read.key for read in sets["_lifecycle"].reads] == [
        "namespaces/fields/basic/Sequence",
        "namespaces/fields/other/Sequence",
    ]
    assert {call.name for call in response.interest.chaincodes} == {"basic", "other"}


def test_a_callees_event_is_dropped(peer: EndorsingPeer) -> None:
    inner = {"ops": [{"op": "event", "name": "inner", "v": "1"}]}
    assert not action_of(run(peer, {"op": "invoke", "cc": "other", "prog": inner})).events


@pytest.mark.parametrize(
    ("operation", "cause"),
    [
        (
            {"op": "invoke", "cc": "nobody", "prog": {"ops": []}},
            "execute failed: invalid invocation: [channel mychannel] failed to get chaincode "
            "container info for nobody: chaincode nobody not found",
        ),
        (
            {"op": "invoke", "cc": "other", "ch": "nowhere", "prog": {"ops": []}},
            "Failed to get policy manager for channel [nowhere]",
        ),
        (
            {"op": "invoke", "cc": "basic", "prog": {"ops": []}},
            "execute failed: error sending: txid: {tx_id}(mychannel) exists",
        ),
    ],
)
def test_a_refused_call_of_another_chaincode_reaches_the_caller_in_fabrics_words(
    peer: EndorsingPeer, operation: dict[str, Any], cause: str
) -> None:
    response = run(peer, operation)
    tx_id = peer.host.calls[0].tx_id
    assert response.response.status == 500
    assert response.response.message == (
        f"op 0 invoke: INVOKE_CHAINCODE failed: transaction ID: {tx_id}: "
        + cause.format(tx_id=tx_id)
    )
    assert not response.HasField("endorsement")


def test_system_chaincodes_refuse_to_be_called_by_others(peer: EndorsingPeer) -> None:
    async def call_qscc(call: ContractCall, state: StateCalls) -> ContractResult:
        answer = await state.invoke_chaincode("qscc", "", [b"GetChainInfo", b"mychannel"])
        return ContractResult(answer)

    peer.deploy("curious", call_qscc)
    response = run(peer, chaincode="curious")
    assert response.response.message == (
        "Rejecting invoke of QSCC from another chaincode because of potential for deadlocks, "
        "original invocation for 'curious'"
    )
    assert not response.HasField("endorsement")


def test_nothing_of_a_call_on_another_channel_is_kept(tmp_path: Path) -> None:
    peer = EndorsingPeer({"basic": run_program}, tmp_path, other_channels=("side",))
    peer.channels.channels["side"].put("basic", {"s": b"5"})
    inner = {"ops": [{"op": "get", "k": "s"}, {"op": "put", "k": "t", "v": "1"}]}
    response = run(peer, {"op": "invoke", "cc": "basic", "ch": "side", "prog": inner})
    assert response.response.payload == b"0 invoke 200 " + b"0 get 35\n1 put".hex().encode()
    assert sorted(sets_of(response)) == ["_lifecycle"]
    assert len(sets_of(response)["_lifecycle"].reads) == 1


def test_only_the_last_attempt_of_a_host_counts(peer: EndorsingPeer) -> None:
    attempts = 0

    async def differ(call: ContractCall, state: StateCalls) -> ContractResult:
        nonlocal attempts
        attempts += 1
        state.get_state("a" if attempts == 1 else "b")
        state.apply_writes([StateWrite(WriteKind.PUT, f"attempt{attempts}", b"1")])
        state.range("", "")
        return ContractResult(Response(200), ContractEvent("e", b"p"))

    peer.deploy("differ", differ)
    peer.host.lost_attempts = 2
    response = run(peer, chaincode="differ")
    written = sets_of(response)["differ"]
    assert [write.key for write in written.writes] == ["attempt3"]
    assert [read.key for read in written.reads] == ["b"]
    assert len(written.range_queries_info) == 1
    assert [read.key for read in sets_of(response)["_lifecycle"].reads] == [
        "namespaces/fields/differ/Sequence"
    ]


def test_a_lost_attempt_of_a_callee_is_undone_and_the_callers_work_kept(
    peer: EndorsingPeer,
) -> None:
    seen: list[StateCalls] = []

    async def outer(call: ContractCall, state: StateCalls) -> ContractResult:
        state.get_state("kept")
        peer.host.lost_attempts = 1
        await state.invoke_chaincode("inner", "", [])
        return ContractResult(Response(200))

    async def inner(call: ContractCall, state: StateCalls) -> ContractResult:
        seen.append(state)
        state.get_state(f"attempt{len(seen)}")
        return ContractResult(Response(200))

    peer.deploy("outer", outer)
    peer.deploy("inner", inner)
    response = run(peer, chaincode="outer")
    assert [read.key for read in sets_of(response)["outer"].reads] == ["kept"]
    assert [read.key for read in sets_of(response)["inner"].reads] == ["attempt2"]
    with pytest.raises(StateCallRefused, match="no ledger context"):
        seen[0].get_state("too late")


def test_requests_after_the_end_are_refused(peer: EndorsingPeer) -> None:
    kept: list[StateCalls] = []

    async def keep(call: ContractCall, state: StateCalls) -> ContractResult:
        kept.append(state)
        return ContractResult(Response(200))

    peer.deploy("keep", keep)
    run(peer, chaincode="keep")
    with pytest.raises(StateCallRefused, match=r"GET_STATE failed: .*: no ledger context"):
        kept[0].get_state("a")


def test_a_chaincode_that_needs_initialization_gets_it_once(peer: EndorsingPeer) -> None:
    peer.deploy("careful", run_program, init_required=True)
    text = "invalid invocation: chaincode 'careful' has not been initialized for this version, "
    refused = run(peer, chaincode="careful")
    assert refused.response.message.endswith(text + "must call as init first")
    assert not refused.payload
    first = run(peer, {"op": "put", "k": "k", "v": "v"}, chaincode="careful", is_init=True)
    writes = sets_of(first)["careful"].writes
    assert [(write.key, write.value) for write in writes] == [
        ("\x00\U0010ffffinitialized", b"1.0"),
        ("k", b"v"),
    ]
    peer.channel.put("careful", {writes[0].key: writes[0].value})
    again = run(peer, chaincode="careful", is_init=True)
    assert again.response.message.endswith(
        "chaincode 'careful' is already initialized but called as init"
    )
    assert run(peer, chaincode="careful").response.status == 200


@pytest.mark.parametrize("chaincode", ["basic", "qscc"])
def test_others_cannot_be_called_as_init(peer: EndorsingPeer, chaincode: str) -> None:
    response = run(peer, chaincode=chaincode, is_init=True)
    assert response.response.message.endswith(
        f"chaincode '{chaincode}' does not require initialization but called as init"
    )
    assert not response.payload


def test_private_data_is_refused_while_initializing(peer: EndorsingPeer) -> None:
    peer.deploy("careful", run_program, init_required=True)
    operation = {"op": "put", "c": "_implicit_org_Org1MSP", "k": "k", "v": "v"}
    response = run(peer, operation, chaincode="careful", is_init=True)
    assert response.response.status == 500
    assert "private data APIs are not allowed in chaincode Init()" in response.response.message
    assert not response.HasField("endorsement")
    assert not peer.channel.held


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("not approved", "at sequence 2 on channel 'mychannel' has not yet been approved by this"),
        ("not installed", "exists, but chaincode is not installed"),
    ],
)
def test_a_chaincode_that_this_peer_cannot_run_is_a_response(
    peer: EndorsingPeer, state: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if state == "not approved":
        peer.channel.put("_lifecycle", {"namespaces/fields/basic/Sequence": b"\x08\x02"})
    else:
        monkeypatch.setattr(peer.store, "find_by_digest", lambda digest: None)
    response = run(peer, {"op": "get", "k": "a"})
    assert response.response.status == 500
    assert reason in response.response.message
    assert not response.payload and not peer.host.calls


def test_the_interest_names_key_policies_and_collections(peer: EndorsingPeer) -> None:
    policy = policies_pb2.SignaturePolicyEnvelope(version=7)
    peer.deploy("keys", run_program)
    metadata = kvrwset_pb2.KVMetadataWrite(
        entries=[
            kvrwset_pb2.KVMetadataEntry(
                name="VALIDATION_PARAMETER", value=policy.SerializeToString()
            )
        ]
    )
    put_with_metadata(peer, "keys", "guarded", metadata.SerializeToString())
    only_guarded = run(peer, {"op": "put", "k": "guarded", "v": "1"}, chaincode="keys")
    (call,) = only_guarded.interest.chaincodes
    assert (call.name, call.disregard_namespace_policy) == ("keys", True)
    assert [found.version for found in call.key_policies] == [7]
    both = run(
        peer,
        {"op": "put", "k": "guarded", "v": "1"},
        {"op": "put", "k": "free", "v": "1"},
        {"op": "put", "c": "_implicit_org_Org1MSP", "k": "p", "v": "1"},
        chaincode="keys",
    )
    public, private = both.interest.chaincodes
    assert not public.disregard_namespace_policy and len(public.key_policies) == 1
    assert list(private.collection_names) == ["_implicit_org_Org1MSP"]
    assert private.no_private_reads


def put_with_metadata(peer: EndorsingPeer, namespace: str, key: str, metadata: bytes) -> None:

    updates = UpdateBatch()
    version = Version(peer.channel.height, 0)
    updates.put(namespace, key.encode(), VersionedValue(b"v", version, metadata))
    peer.channel.commit(updates)


def test_a_package_that_is_installed_later_is_found(
    peer: EndorsingPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(peer.store, "find_by_digest", lambda digest: None)
        assert run(peer, {"op": "get", "k": "a"}).response.status == 500
    assert run(peer, {"op": "get", "k": "a"}).response.status == 200


def test_a_newer_definition_is_in_force_from_its_block_on(peer: EndorsingPeer) -> None:
    first = run(peer, {"op": "get", "k": "a"})
    peer.deploy("basic", run_program, sequence=2, version="2.0")
    second = run(peer, {"op": "get", "k": "a"})
    versions = [action_of(one).chaincode_id.version for one in (first, second)]
    assert versions == ["1.0", "2.0"]
    packages = [call.package_id.partition(":")[0] for call in peer.host.calls]
    assert packages == ["basic_1", "basic_2"]


def test_the_channels_acls_decide_who_proposes_and_who_calls_across(peer: EndorsingPeer) -> None:
    config = peer.channel.config
    acls = {"peer/ChaincodeToChaincode": "Admins"}
    peer.channel.config = dataclasses.replace(config, acls=acls)
    inner = {"ops": [{"op": "get", "k": "x"}]}
    refused = run(peer, {"op": "invoke", "cc": "other", "prog": inner})
    assert "failed evaluating policy on signed data during check policy " in (
        refused.response.message
    )
    assert "[/Channel/Application/Admins]" in refused.response.message
    assert not refused.HasField("endorsement")
    assert run(peer, {"op": "get", "k": "a"}).response.status == 200


def test_a_definition_with_another_endorsement_plugin_is_not_endorsed(peer: EndorsingPeer) -> None:
    peer.deploy("special", run_program, endorsement_plugin="mine")
    response = run(peer, {"op": "put", "k": "a", "v": "1"}, chaincode="special")
    assert (response.response.status, response.response.message) == (
        500,
        "endorsing with plugin failed: plugin with name mine could not be used: plugin with name "
        "mine wasn't found",
    )
    assert not response.payload and not response.HasField("endorsement")


def test_private_values_of_a_refused_transaction_are_not_held(peer: EndorsingPeer) -> None:
    operation = {"op": "put", "c": "_implicit_org_Org1MSP", "k": "k", "v": "v"}
    response = run(peer, operation, {"op": "return", "st": 400, "msg": "no"})
    assert response.response.status == 400
    assert not peer.channel.held
