"""Every class of error that the official client knows, and what it says, at our peers.

Texts and codes were compared with those of Go peers (fabric internal/pkg/gateway).
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.interop.conftest import Bench
from tests.interop.test_official_client import (
    ABORTED,
    BASIC,
    DEADLINE_EXCEEDED,
    FAILED_PRECONDITION,
    PERMISSION_DENIED,
    PROGRAM,
    UNAVAILABLE,
    asset,
    create,
    failure_of,
    program,
    read,
)
from tests.support.official_client import ClientFailure, encode
from tongban.network.readiness import wait_until_healthy, wait_until_usable
from tongban.protos.common_pb2 import Status
from tongban.protos.transaction_pb2 import TxValidationCode
from tongban.sdk import load_msp_directory
from tongban.sdk.core.signable import Party, SignableCommit

pytestmark = pytest.mark.slow

ROUNDS_MAX = 20
WRITERS = 4
NOWHERE = "nochannel"
NO_CONFIG = f"failed to get config for channel [{NOWHERE}]"
NO_POLICIES = f"Failed to get policy manager for channel [{NOWHERE}]"
READERS = "/Channel/Application/Readers"


@contextmanager
def stopped(bench: Bench, node: str) -> Iterator[None]:
    """The node is down; afterwards it is up and works again."""
    bench.network.control.stop(node)
    try:
        yield
    finally:
        bench.network.control.start(node)
        wait_until_healthy(bench.network.topology, bench.network.control)
        wait_until_usable(bench.network.connections)


def stranger(bench: Bench) -> int:
    """A connection of somebody of Org2 who claims to be of Org1."""
    organization = bench.network.topology.organizations[1]
    msp = bench.network.layout.tree_of(organization).user("User1") / "msp"
    certificate = str(next((msp / "signcerts").iterdir()))
    key = str(next((msp / "keystore").iterdir()))
    found: int = bench.connect(certificate=certificate, key=key)["gateway"]
    return found


def endorsed(bench: Bench, gateway: int, call: dict[str, Any]) -> dict[str, Any]:
    proposal = bench.client.do("newProposal", gateway=gateway, **call)
    return bench.client.do("endorse", proposal=proposal["proposal"])


def test_a_lost_race_is_a_commit_error_with_the_code(bench: Bench) -> None:
    gateway, key = bench.connect()["gateway"], f"race-{secrets.token_hex(4)}"
    call = program({"op": "get", "k": key}, {"op": "put", "k": key, "v": "1"})
    losses: list[ClientFailure] = []
    for _ in range(ROUNDS_MAX):
        sent = [bench.client.start("submit", gateway=gateway, **call) for _ in range(WRITERS)]
        for number in sent:
            try:
                bench.client.wait(number)
            except ClientFailure as failure:
                if failure.name != "EndorseError":  # endorsers at different heights
                    losses.append(failure)
        if losses:
            break
    assert losses, "nobody lost"
    for lost in losses:
        assert (lost.name, lost.code) == ("CommitError", TxValidationCode.MVCC_READ_CONFLICT)
        assert lost.transaction_id


def test_an_endorsement_that_its_policy_does_not_accept_is_a_commit_error(bench: Bench) -> None:
    gateway, name = bench.connect()["gateway"], asset()
    call = {**create(name), "organizations": ["Org1MSP"]}
    failure = failure_of(bench, "submit", gateway=gateway, **call)
    assert failure.name == "CommitError"
    assert failure.code == TxValidationCode.ENDORSEMENT_POLICY_FAILURE
    refused = failure_of(bench, "evaluate", gateway=gateway, **read(name))
    assert "does not exist" in refused.message


@pytest.mark.parametrize(
    ("verb", "name", "code", "text"),
    [
        (
            "submit",
            "EndorseError",
            FAILED_PRECONDITION,
            "No metadata was found for chaincode basic",
        ),
        ("evaluate", "GatewayError", UNAVAILABLE, NO_CONFIG),
    ],
)
def test_a_call_on_an_unknown_channel_is_refused(
    bench: Bench, verb: str, name: str, code: int, text: str
) -> None:
    gateway = bench.connect()["gateway"]
    call = {**create(asset()), "channel": NOWHERE}
    failure = failure_of(bench, verb, gateway=gateway, **call)
    assert (failure.name, failure.code) == (name, code)
    assert text in failure.message


@pytest.mark.parametrize("verb", ["chaincodeEvents", "blockEvents", "filteredBlockEvents"])
def test_events_of_an_unknown_channel_are_refused(bench: Bench, verb: str) -> None:
    gateway = bench.connect()["gateway"]
    call = {**PROGRAM, "channel": NOWHERE, "count": 1, "startBlock": "0"}
    if verb == "chaincodeEvents":
        failure = failure_of(bench, verb, gateway=gateway, **call)
        assert (failure.name, failure.code) == ("GatewayError", PERMISSION_DENIED)
        assert NO_POLICIES in failure.message
    else:
        assert ended_with(bench, verb, gateway, call) == Status.NOT_FOUND


def ended_with(bench: Bench, verb: str, gateway: int, call: dict[str, Any]) -> int:
    """The status that a stream of blocks ended with; the client throws it as it is."""
    failure = failure_of(bench, verb, gateway=gateway, **call)
    assert failure.message.startswith("Unexpected status response: ")
    return int(failure.message.rpartition(" ")[2])


def test_a_stranger_reads_neither_events_nor_blocks_nor_verdicts(bench: Bench) -> None:
    gateway = stranger(bench)
    call = {**PROGRAM, "count": 1, "startBlock": "0"}
    failure = failure_of(bench, "chaincodeEvents", gateway=gateway, **call)
    assert (failure.name, failure.code) == ("GatewayError", PERMISSION_DENIED)
    assert f"with policy [{READERS}]" in failure.message
    assert ended_with(bench, "blockEvents", gateway, call) == Status.FORBIDDEN
    assert ended_with(bench, "filteredBlockEvents", gateway, call) == Status.FORBIDDEN


def test_a_stranger_gets_nothing_endorsed(bench: Bench) -> None:
    failure = failure_of(bench, "submit", gateway=stranger(bench), **create(asset()))
    assert (failure.name, failure.code) == ("EndorseError", ABORTED)
    assert "access denied: channel [mychannel] creator org" in failure.details[0]["message"]


def test_without_orderers_a_submission_fails_and_names_them(bench: Bench) -> None:
    gateway, name = bench.connect()["gateway"], asset()
    transaction = endorsed(bench, gateway, create(name))["transaction"]
    orderer = bench.network.topology.orderer
    address = f"orderer.example.com:{orderer.nodes[0].port}"
    with stopped(bench, "orderer.example.com"):
        failure = failure_of(bench, "submitTransaction", transaction=transaction)
        assert (failure.name, failure.code) == ("SubmitError", UNAVAILABLE)
        assert "no orderers could successfully process transaction" in failure.message
        (detail,) = failure.details
        assert (detail["address"], detail["mspId"]) == (address, "OrdererMSP")
        refused = failure_of(bench, "evaluate", gateway=gateway, **read(name))
        assert "does not exist" in refused.message
    again = bench.client.do("submitTransaction", transaction=transaction)
    assert bench.client.do("status", commit=again["commit"])["successful"] is True


def test_without_the_other_organization_an_endorsement_fails_and_names_it(bench: Bench) -> None:
    gateway, name = bench.connect()["gateway"], asset()
    with stopped(bench, "peer0.org2.example.com"):
        failure = failure_of(bench, "submit", gateway=gateway, **create(name))
        assert failure.name == "EndorseError"
        assert failure.code in {FAILED_PRECONDITION, ABORTED}
        told = failure.message + json.dumps(failure.details)
        assert "Org2MSP" in told
    bench.client.do("submit", gateway=gateway, **create(name))


@pytest.mark.parametrize(
    ("step", "name"),
    [("evaluate", "GatewayError"), ("submit", "SubmitError"), ("commit", "CommitStatusError")],
)
def test_a_deadline_that_passes_is_an_error_of_its_step(bench: Bench, step: str, name: str) -> None:
    gateway = bench.connect(deadlines={step: 1})["gateway"]
    call = read("any") if step == "evaluate" else create(asset())
    verb = "evaluate" if step == "evaluate" else "submit"
    failure = failure_of(bench, verb, gateway=gateway, **call)
    assert (failure.name, failure.code) == (name, DEADLINE_EXCEEDED)


def test_a_transaction_that_nobody_submitted_has_no_verdict_in_time(bench: Bench) -> None:
    gateway = bench.connect(deadlines={"commit": 300})["gateway"]
    organization = bench.network.topology.organizations[0]
    user = bench.network.layout.tree_of(organization).user("User1") / "msp"
    signer = load_msp_directory(user, organization.msp_id)
    party = Party(signer.creator, signer.sign)
    asked = SignableCommit.build(secrets.token_hex(32), "mychannel", party)
    asked.sign_by(party)
    commit = bench.client.do(
        "signedCommit",
        gateway=gateway,
        bytes=encode(asked.bytes),
        signature=encode(asked.signature),
    )
    failure = failure_of(bench, "status", commit=commit["commit"])
    assert (failure.name, failure.code) == ("CommitStatusError", DEADLINE_EXCEEDED)
    assert failure.transaction_id == asked.transaction_id


def test_a_wrongly_signed_proposal_is_an_endorse_error(bench: Bench) -> None:
    gateway = bench.connect()["gateway"]
    made = bench.client.do("newProposal", gateway=gateway, **create(asset()))
    forged = bench.client.do(
        "signedProposal", gateway=gateway, bytes=made["bytes"], signature=encode(b"forged")
    )
    failure = failure_of(bench, "endorse", proposal=forged["proposal"])
    assert (failure.name, failure.code) == ("EndorseError", ABORTED)
    assert failure.details[0]["message"].startswith("error validating proposal: access denied")
    asked = failure_of(bench, "evaluateProposal", proposal=forged["proposal"])
    assert (asked.name, asked.code) == ("GatewayError", FAILED_PRECONDITION)


def test_an_unknown_chaincode_cannot_be_asked(bench: Bench) -> None:
    gateway = bench.connect()["gateway"]
    call = {**BASIC, "chaincode": "nobody", "name": "X"}
    failure = failure_of(bench, "evaluate", gateway=gateway, **call)
    assert (failure.name, failure.code) == ("GatewayError", FAILED_PRECONDITION)
    assert "no peers available to evaluate chaincode nobody in channel mychannel" in failure.message
