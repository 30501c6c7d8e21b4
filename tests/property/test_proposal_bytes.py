"""No bytes that a client sends make the endorser fail: it answers or refuses."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.endorsing import EndorsingPeer, a_program
from tests.support.program import run_program
from tongban.node.core.lifecycle.errors import LifecycleRefused
from tongban.node.core.lifecycle.package import parse_package
from tongban.node.core.proposal import ProposalRefused
from tongban.node.core.received import ReceivedProposal
from tongban.protos.proposal_pb2 import SignedProposal

bounded = settings(
    max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EndorsingPeer]:
    directory: Path = tmp_path_factory.mktemp("peer")
    yield EndorsingPeer({"basic": run_program}, directory)


def answer(peer: EndorsingPeer, signed: SignedProposal) -> int:
    """The status of the answer; 0 if the call is refused. Everything else is a failure."""
    try:
        response = asyncio.run(peer.endorser.process(ReceivedProposal(signed)))
    except ProposalRefused:
        return 0
    finally:
        assert peer.snapshot_is_closed()
        assert peer.endorser.in_work == 0
    return response.response.status


@given(st.binary(max_size=400), st.binary(max_size=80))
@bounded
def test_any_bytes_as_a_proposal_are_refused(
    peer: EndorsingPeer, proposal: bytes, signature: bytes
) -> None:
    assert answer(peer, SignedProposal(proposal_bytes=proposal, signature=signature)) == 0


@given(st.data())
@bounded
def test_a_proposal_with_one_changed_byte_is_not_endorsed(
    peer: EndorsingPeer, data: st.DataObject
) -> None:
    signed = peer.propose("basic", *a_program({"op": "get", "k": "a"}))
    raw = bytearray(signed.proposal_bytes)
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= data.draw(st.integers(1, 255))
    signed.proposal_bytes = bytes(raw)
    # A changed channel id may name no channel, which is a response and not an error.
    assert answer(peer, signed) in (0, 500)


names = st.sampled_from(["_lifecycle", "cscc", "qscc", "lscc", "basic", "nobody"])
functions = st.sampled_from(
    [
        "InstallChaincode",
        "ApproveChaincodeDefinitionForMyOrg",
        "CommitChaincodeDefinition",
        "CheckCommitReadiness",
        "QueryChaincodeDefinition",
        "QueryApprovedChaincodeDefinition",
        "GetInstalledChaincodePackage",
        "JoinChain",
        "GetBlockByNumber",
        "GetChaincodes",
        "",
    ]
)


class Call(NamedTuple):
    name: str
    function: str
    args: list[bytes]
    channel_id: str
    is_init: bool


calls = st.builds(
    Call,
    names,
    functions,
    st.lists(st.binary(max_size=60), max_size=3),
    st.sampled_from(["", "mychannel"]),
    st.booleans(),
)


@given(calls)
@bounded
def test_any_arguments_of_any_chaincode_are_answered(peer: EndorsingPeer, call: Call) -> None:
    signed = peer.propose(
        call.name,
        call.function,
        *call.args,
        channel_id=call.channel_id,
        is_init=call.is_init,
        member=peer.org1.admin,
    )
    assert answer(peer, signed) in (0, 200, 404, 500)


@given(st.binary(max_size=300))
def test_any_bytes_as_a_package_are_refused(package: bytes) -> None:
    with pytest.raises(LifecycleRefused):
        parse_package(package)
