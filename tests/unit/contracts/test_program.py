"""The program chaincode against the answers that Go peers recorded, where they need no state."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tongban.contracts.dispatch import load_package
from tongban.contracts.memory import MemoryBridge, MemoryState, Simulation
from tongban.contracts.runtime.bridge import Invocation, Outcome
from tongban.contracts.samples.program.program import Program
from tongban.contracts.testing import Ledger
from tongban.protos.chaincode_pb2 import ChaincodeInvocationSpec
from tongban.protos.common_pb2 import ChannelHeader, Header, SignatureHeader
from tongban.protos.proposal_pb2 import ChaincodeProposalPayload, Proposal, SignedProposal

RECORDED = Path(__file__).parents[2] / "vectors" / "fabric-channel" / "endorsements"
WITHOUT_STATE = {"put", "del", "purge", "event", "setvp", "ts", "ids", "return", "opencloserange"}


def _entries() -> list[Any]:
    entries = json.loads((RECORDED / "index.json").read_text("utf-8"))
    return [
        entry
        for entry in entries
        if "program" in entry
        and {operation["op"] for operation in entry["program"]["ops"]} <= WITHOUT_STATE
        and "error in simulation" not in entry["responses"][0]["message"]
    ]


def _recorded_call(entry: Any) -> tuple[Invocation, bytes]:
    signed = (RECORDED / entry["signed_proposal"]).read_bytes()
    proposal = Proposal.FromString(SignedProposal.FromString(signed).proposal_bytes)
    header = Header.FromString(proposal.header)
    channel = ChannelHeader.FromString(header.channel_header)
    payload = ChaincodeProposalPayload.FromString(proposal.payload)
    spec = ChaincodeInvocationSpec.FromString(payload.input).chaincode_spec
    call = Invocation(
        chaincode_name=spec.chaincode_id.name,
        channel_id=channel.channel_id,
        tx_id=channel.tx_id,
        args=tuple(spec.input.args),
        is_init=spec.input.is_init,
        transient=dict(payload.TransientMap),
        creator=SignatureHeader.FromString(header.signature_header).creator,
        timestamp_seconds=channel.timestamp.seconds,
        timestamp_nanos=channel.timestamp.nanos,
        decorations={},
    )
    return call, signed


def _run(call: Invocation, signed: bytes) -> Outcome:
    package = load_package(["tongban.contracts.samples.program.program"])
    simulation = Simulation(MemoryState(), call.channel_id, lambda *_: None, lambda: signed)
    return package.invoke(call, MemoryBridge(simulation, call))


@pytest.mark.parametrize("entry", _entries(), ids=lambda entry: str(entry["id"]))
def test_a_recorded_proposal_is_answered_as_go_peers_answered_it(entry: Any) -> None:
    outcome = _run(*_recorded_call(entry))
    expected = entry["responses"][0]
    assert (outcome.status, outcome.message) == (expected["status"], expected["message"])
    assert outcome.payload.hex() == expected["response_payload_hex"]


def test_there_are_recorded_proposals_without_state() -> None:
    assert len(_entries()) >= 10


def _answer(ledger: Ledger, *operations: dict[str, Any]) -> str:
    contract = ledger.deploy(Program)
    return contract.submit("run", json.dumps({"ops": operations})).decode()


@pytest.mark.parametrize(
    "args", [("run",), ("walk", "{}"), ("run", "{", "x"), ("run", "[]"), ("run", "{"), ("a:run",)]
)
def test_anything_but_a_program_is_refused(args: tuple[str, ...]) -> None:
    response = Ledger().deploy(Program).respond(*args)
    assert (response.status, response.message, response.payload) == (500, "want run, program", b"")


def test_reads_scans_and_pages_tell_what_is_committed() -> None:
    ledger = Ledger()
    _answer(ledger, {"op": "fill", "fmt": "k%03d", "from": 0, "to": 5, "v": "x", "rep": 2})
    _answer(
        ledger,
        {"op": "put", "k": {"ot": "t", "at": ["a"]}, "b": base64.b64encode(b"\x00").decode()},
    )
    rows = b"".join(b"k%03d\x00xx\x00" % number for number in range(5))
    two = hashlib.sha256(rows[: len(rows) // 5 * 2]).hexdigest()
    composite = hashlib.sha256(b"\x00t\x00a\x00\x00\x00\x00").hexdigest()
    assert _answer(
        ledger,
        {"op": "get", "k": "k000"},
        {"op": "mget", "ks": ["k001", "none"]},
        {"op": "range", "s": "", "e": "", "n": 0},
        {"op": "range", "s": "k", "e": "l", "n": 2},
        {"op": "partial", "ot": "t", "at": [], "n": 0},
        {"op": "history", "k": "none", "n": 0},
    ).split("\n") == [
        "0 get 7878",
        "1 mget 7878 -",
        f"2 range 5 {hashlib.sha256(rows).hexdigest()}",
        f"3 range 2 {two}",
        f"4 partial 1 {composite}",
        "5 history",
    ]
    page = _answer(ledger, {"op": "page", "s": "", "e": "", "n": 2, "mark": ""})
    assert page == f"0 page 2 {two} 2 {b'k002'.hex()}"


def test_programs_call_programs() -> None:
    ledger = Ledger()
    ledger.deploy(Program, name="other")
    inner = {"ops": [{"op": "put", "k": "a", "v": "1"}, {"op": "event", "name": "lost", "v": ""}]}
    answer = _answer(
        ledger,
        {"op": "invoke", "cc": "other", "prog": inner},
        {"op": "event", "name": "kept", "v": "v"},
    )
    assert answer == "0 invoke 200 " + b"0 put\n1 event".hex() + "\n1 event"
    assert ledger.value("other", "a") == b"1"
    assert [(event.name, event.payload) for event in ledger.events] == [("kept", b"v")]


def test_a_failing_operation_ends_the_program() -> None:
    ledger = Ledger()
    contract = ledger.deploy(Program)
    program = {"ops": [{"op": "put", "k": "a", "v": "1"}, {"op": "put", "k": ""}, {"op": "ts"}]}
    response = contract.respond("run", json.dumps(program))
    assert (response.status, response.payload) == (500, b"")
    assert response.message == "op 1 put: key must not be an empty string"
    assert ledger.values("Program") == {}
