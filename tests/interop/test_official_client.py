"""The official Fabric gateway client for Node.js, unmodified, against our peers."""

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from tests.interop.conftest import Bench
from tests.support.official_client import ClientFailure, decode, encode
from tongban.protos.signing import load_private_key, to_low_s
from tongban.protos.transaction_pb2 import TxValidationCode

pytestmark = pytest.mark.slow

UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED = 2, 3, 4
PERMISSION_DENIED, FAILED_PRECONDITION, ABORTED, UNAVAILABLE = 7, 9, 10, 14

BASIC: dict[str, Any] = {"channel": "mychannel", "chaincode": "basic"}
PROGRAM: dict[str, Any] = {"channel": "mychannel", "chaincode": "program"}


def asset() -> str:
    return f"asset-{secrets.token_hex(6)}"


def create(name: str) -> dict[str, Any]:
    args = [name, "yellow", "5", "Tom 汤姆", "1300"]
    return {**BASIC, "name": "CreateAsset", "args": [encode(arg) for arg in args]}


def read(name: str) -> dict[str, Any]:
    return {**BASIC, "name": "ReadAsset", "args": [encode(name)]}


def program(*operations: dict[str, Any]) -> dict[str, Any]:
    return {**PROGRAM, "name": "run", "args": [encode(json.dumps({"ops": list(operations)}))]}


def test_a_submitted_asset_can_be_read(bench: Bench) -> None:
    gateway, name = bench.connect()["gateway"], asset()
    bench.client.do("submit", gateway=gateway, **create(name))
    found = json.loads(decode(bench.client.do("evaluate", gateway=gateway, **read(name))["result"]))
    assert found["ID"] == name
    assert found["Owner"] == "Tom 汤姆"


def test_every_step_can_be_taken_by_itself(bench: Bench) -> None:
    gateway, name = bench.connect()["gateway"], asset()
    proposal = bench.client.do("newProposal", gateway=gateway, **create(name))
    transaction = bench.client.do("endorse", proposal=proposal["proposal"])
    assert transaction["transactionId"] == proposal["transactionId"]
    commit = bench.client.do("submitTransaction", transaction=transaction["transaction"])
    status = bench.client.do("status", commit=commit["commit"])
    assert status["successful"] is True
    assert status["code"] == TxValidationCode.VALID
    height = bench.network.connections
    assert int(status["blockNumber"]) > 0 and height is not None


def test_a_transaction_is_signed_outside_the_client_at_every_step(bench: Bench) -> None:
    online = bench.connect()["gateway"]
    offline = bench.connect(key=None)["gateway"]
    organization = bench.network.topology.organizations[0]
    keystore = bench.network.layout.tree_of(organization).user("User1") / "msp" / "keystore"
    key = load_private_key(next(keystore.iterdir()).read_bytes())
    assert isinstance(key, ec.EllipticCurvePrivateKey)

    def sign(digest: str) -> str:
        signature = key.sign(decode(digest), ec.ECDSA(Prehashed(hashes.SHA256())))
        return encode(to_low_s(signature, key.curve))

    name = asset()
    made = bench.client.do("newProposal", gateway=offline, **create(name))
    proposal = bench.client.do(
        "signedProposal", gateway=offline, bytes=made["bytes"], signature=sign(made["digest"])
    )
    endorsed = bench.client.do("endorse", proposal=proposal["proposal"])
    transaction = bench.client.do(
        "signedTransaction",
        gateway=offline,
        bytes=endorsed["bytes"],
        signature=sign(endorsed["digest"]),
    )
    submitted = bench.client.do("submitTransaction", transaction=transaction["transaction"])
    commit = bench.client.do(
        "signedCommit",
        gateway=offline,
        bytes=submitted["bytes"],
        signature=sign(submitted["digest"]),
    )
    assert bench.client.do("status", commit=commit["commit"])["successful"] is True
    assert decode(bench.client.do("evaluate", gateway=online, **read(name))["result"])


def emit(gateway: int, bench: Bench, name: str) -> dict[str, Any]:
    """Submit a transaction with an event; returns its id and block."""
    sent = bench.client.do(
        "submitAsync", gateway=gateway, **program({"op": "event", "name": name, "v": "payload"})
    )
    status = bench.client.do("status", commit=sent["commit"])
    assert status["successful"] is True
    return {"id": sent["transactionId"], "block": status["blockNumber"]}


def test_events_are_replayed_from_a_block_and_arrive_live(bench: Bench) -> None:
    gateway = bench.connect()["gateway"]
    first = emit(gateway, bench, "first")
    live = bench.client.do("openChaincodeEvents", gateway=gateway, **PROGRAM)
    reading = bench.client.start("readEvents", events=live["events"], count=1)
    second = emit(gateway, bench, "second")
    (arrived,) = bench.client.wait(reading)["events"]
    assert (arrived["eventName"], arrived["transactionId"]) == ("second", second["id"])
    replayed = bench.client.do(
        "chaincodeEvents", gateway=gateway, startBlock=first["block"], count=2, **PROGRAM
    )["events"]
    assert [event["eventName"] for event in replayed] == ["first", "second"]
    assert replayed[0]["blockNumber"] == first["block"]
    assert decode(replayed[0]["payload"]) == b"payload"


def test_a_checkpoint_resumes_behind_the_last_event_seen(bench: Bench, tmp_path: Path) -> None:
    gateway = bench.connect()["gateway"]
    sent = [emit(gateway, bench, f"step{number}") for number in range(3)]
    path = str(tmp_path / "checkpoint.json")
    checkpointer = bench.client.do("fileCheckpointer", path=path)["checkpointer"]
    common = {"gateway": gateway, "startBlock": sent[0]["block"], **PROGRAM}
    seen = bench.client.do("chaincodeEvents", checkpointer=checkpointer, count=2, **common)
    assert [event["eventName"] for event in seen["events"]] == ["step0", "step1"]
    again = bench.client.do("fileCheckpointer", path=path)["checkpointer"]
    rest = bench.client.do("chaincodeEvents", checkpointer=again, count=1, **common)
    assert [event["transactionId"] for event in rest["events"]] == [sent[2]["id"]]


def test_blocks_arrive_whole_filtered_and_with_private_data(bench: Bench) -> None:
    gateway = bench.connect()["gateway"]
    sent = emit(gateway, bench, "seen")
    common = {"gateway": gateway, "channel": "mychannel", "count": 1, "startBlock": sent["block"]}
    (block,) = bench.client.do("blockEvents", **common)["blocks"]
    assert block["number"] == sent["block"]
    assert len(decode(block["metadata"][2])) == block["transactions"]
    (filtered,) = bench.client.do("filteredBlockEvents", **common)["blocks"]
    assert {"id": sent["id"], "code": TxValidationCode.VALID} in filtered["transactions"]
    (private,) = bench.client.do("blockAndPrivateEvents", **common)["blocks"]
    assert private["dataHash"] == block["dataHash"]


def failure_of(bench: Bench, verb: str, **arguments: Any) -> ClientFailure:
    with pytest.raises(ClientFailure) as caught:
        bench.client.do(verb, **arguments)
    return caught.value


def test_a_refusing_contract_ends_as_an_endorse_error_with_details(bench: Bench) -> None:
    gateway, name = bench.connect()["gateway"], asset()
    bench.client.do("submit", gateway=gateway, **create(name))
    failure = failure_of(bench, "submit", gateway=gateway, **create(name))
    assert (failure.name, failure.code) == ("EndorseError", ABORTED)
    peer = bench.network.topology.organizations[0].peers[0]
    assert failure.details[0]["address"] == f"peer0.org1.example.com:{peer.port}"
    assert failure.details[0]["mspId"] == "Org1MSP"
    assert failure.details[0]["message"] == (
        f"chaincode response 500, The asset {name} already exists"
    )
    assert failure.transaction_id


def test_a_refused_query_ends_as_a_gateway_error_with_details(bench: Bench) -> None:
    gateway = bench.connect()["gateway"]
    failure = failure_of(bench, "evaluate", gateway=gateway, **read("nothing"))
    assert (failure.name, failure.code) == ("GatewayError", UNKNOWN)
    assert "chaincode response 500, The asset nothing does not exist" in failure.message
    assert failure.details[0]["mspId"] == "Org1MSP"


def test_an_unknown_chaincode_is_a_failed_precondition(bench: Bench) -> None:
    gateway = bench.connect()["gateway"]
    call = {**create(asset()), "chaincode": "nobody"}
    failure = failure_of(bench, "submit", gateway=gateway, **call)
    assert (failure.name, failure.code) == ("EndorseError", FAILED_PRECONDITION)
    assert "No metadata was found for chaincode nobody in channel mychannel" in failure.message


def test_an_unknown_function_is_named(bench: Bench) -> None:
    gateway = bench.connect()["gateway"]
    failure = failure_of(bench, "evaluate", gateway=gateway, **{**BASIC, "name": "Vanish"})
    assert "You've asked to invoke a function that does not exist: Vanish" in failure.message


def test_a_stranger_is_denied(bench: Bench) -> None:
    organization = bench.network.topology.organizations[1]
    msp = bench.network.layout.tree_of(organization).user("User1") / "msp"
    certificate = str(next((msp / "signcerts").iterdir()))
    key = str(next((msp / "keystore").iterdir()))
    gateway = bench.connect(certificate=certificate, key=key)["gateway"]
    failure = failure_of(bench, "evaluate", gateway=gateway, **read("any"))
    assert (failure.name, failure.code) == ("GatewayError", FAILED_PRECONDITION)
    assert "access denied: channel [mychannel] creator org" in failure.message


def test_of_two_writers_of_a_key_one_gets_a_commit_error(bench: Bench) -> None:
    gateway, name = bench.connect()["gateway"], asset()
    transactions = []
    for _ in range(2):
        proposal = bench.client.do("newProposal", gateway=gateway, **create(name))
        transactions.append(bench.client.do("endorse", proposal=proposal["proposal"]))
    codes = []
    for transaction in transactions:
        commit = bench.client.do("submitTransaction", transaction=transaction["transaction"])
        codes.append(bench.client.do("status", commit=commit["commit"])["code"])
    assert codes == [TxValidationCode.VALID, TxValidationCode.MVCC_READ_CONFLICT]


def test_an_envelope_with_a_wrong_signature_is_a_submit_error(bench: Bench) -> None:
    gateway, name = bench.connect()["gateway"], asset()
    proposal = bench.client.do("newProposal", gateway=gateway, **create(name))
    endorsed = bench.client.do("endorse", proposal=proposal["proposal"])
    forged = bench.client.do(
        "signedTransaction", gateway=gateway, bytes=endorsed["bytes"], signature=encode(b"forged")
    )
    failure = failure_of(bench, "submitTransaction", transaction=forged["transaction"])
    assert (failure.name, failure.code) == ("SubmitError", ABORTED)
    assert "received unsuccessful response from orderer: status=FORBIDDEN" in failure.message
    refused = failure_of(bench, "evaluate", gateway=gateway, **read(name))
    assert "does not exist" in refused.message


def test_a_wrongly_signed_status_request_is_a_commit_status_error(bench: Bench) -> None:
    gateway = bench.connect()["gateway"]
    proposal = bench.client.do("newProposal", gateway=gateway, **create(asset()))
    endorsed = bench.client.do("endorse", proposal=proposal["proposal"])
    submitted = bench.client.do("submitTransaction", transaction=endorsed["transaction"])
    forged = bench.client.do(
        "signedCommit", gateway=gateway, bytes=submitted["bytes"], signature=encode(b"forged")
    )
    failure = failure_of(bench, "status", commit=forged["commit"])
    assert (failure.name, failure.code) == ("CommitStatusError", PERMISSION_DENIED)


def test_a_deadline_that_passes_is_an_endorse_error(bench: Bench) -> None:
    gateway = bench.connect(deadlines={"endorse": 1})["gateway"]
    failure = failure_of(bench, "submit", gateway=gateway, **create(asset()))
    assert (failure.name, failure.code) == ("EndorseError", DEADLINE_EXCEEDED)


def test_differing_organizations_are_named_when_endorsers_are_missing(bench: Bench) -> None:
    gateway = bench.connect()["gateway"]
    call = {**create(asset()), "organizations": ["Org1MSP", "Org9MSP"]}
    failure = failure_of(bench, "submit", gateway=gateway, **call)
    assert (failure.name, failure.code) == ("EndorseError", UNAVAILABLE)
    assert "failed to find any endorsing peers for org(s): Org9MSP" in failure.message


def test_transient_data_reaches_the_contract_and_not_the_ledger(bench: Bench) -> None:
    gateway = bench.connect()["gateway"]
    call = program({"op": "put", "k": f"t-{asset()}", "t": "secret"})
    sent = bench.client.do("submit", gateway=gateway, transient={"secret": encode("x7")}, **call)
    assert decode(sent["result"]) == b"0 put"
