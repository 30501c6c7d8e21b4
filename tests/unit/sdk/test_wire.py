"""Bytes that go out and come in: proposals, frames, error details, checkpoints."""

from pathlib import Path

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from tongban.protos.chaincode_pb2 import ChaincodeInvocationSpec
from tongban.protos.common_pb2 import ChannelHeader, Envelope, Header, HeaderType, SignatureHeader
from tongban.protos.digest import compute_tx_id
from tongban.protos.gateway_pb2 import (
    EndorseRequest,
    EvaluateRequest,
    ProposedTransaction,
    SubmitRequest,
)
from tongban.protos.gateway_pb2 import ErrorDetail as DetailMessage
from tongban.protos.proposal_pb2 import (
    ChaincodeHeaderExtension,
    ChaincodeProposalPayload,
    Proposal,
    SignedProposal,
)
from tongban.protos.rpc_status_pb2 import Status
from tongban.protos.stream_pb2 import GatewayFrame, GatewayMessage
from tongban.sdk import ErrorDetail, FileCheckpointer, InMemoryCheckpointer, StatusCode
from tongban.sdk.core.backoff import Backoff, Reconnection
from tongban.sdk.core.commands import Failure
from tongban.sdk.core.frames import encode_hello, encode_message
from tongban.sdk.core.prepared import Prepared
from tongban.sdk.core.proposal import (
    Invocation,
    Moment,
    ProposalBuilder,
    build_proposal,
    parse_proposal,
)
from tongban.sdk.core.requests import (
    build_endorse_request,
    build_evaluate_request,
    build_submit_request,
)
from tongban.sdk.core.signable import Party, SignableCommit, SignableProposal, SignableTransaction
from tongban.sdk.core.status_details import to_failure

PARTY = Party(b"creator", lambda message: b"signed " + message[:4])

MOMENT = Moment(b"n" * 24, 1_700_000_000_123_456_789)


def a_proposal() -> SignableProposal:
    invocation = Invocation("mychannel", "basic", (b"F", b"\xff"), {"t": b"v"}, ("Org1MSP",))
    builder = ProposalBuilder("mychannel", "basic", PARTY.creator)
    return SignableProposal.build(builder, invocation, MOMENT)


def test_a_proposal_has_the_layout_that_endorsers_check() -> None:
    built = a_proposal()
    proposal = Proposal.FromString(built.message)
    header = Header.FromString(proposal.header)
    channel = ChannelHeader.FromString(header.channel_header)
    assert channel.type == HeaderType.ENDORSER_TRANSACTION
    assert (channel.version, channel.epoch, channel.channel_id) == (0, 0, "mychannel")
    assert channel.tx_id == compute_tx_id(b"n" * 24, b"creator") == built.transaction_id
    assert (channel.timestamp.seconds, channel.timestamp.nanos) == (1_700_000_000, 123_456_789)
    extension = ChaincodeHeaderExtension.FromString(channel.extension)
    assert extension.chaincode_id.name == "basic"
    signature_header = SignatureHeader.FromString(header.signature_header)
    assert (signature_header.creator, signature_header.nonce) == (b"creator", b"n" * 24)
    payload = ChaincodeProposalPayload.FromString(proposal.payload)
    assert dict(payload.TransientMap) == {"t": b"v"}
    spec = ChaincodeInvocationSpec.FromString(payload.input).chaincode_spec
    assert spec.chaincode_id.name == "basic"
    assert list(spec.input.args) == [b"F", b"\xff"]


def test_a_proposal_reads_back_with_or_without_another_signature() -> None:
    proposal = a_proposal()
    proposal.sign_by(PARTY)
    again = SignableProposal.parse(proposal.bytes)
    assert (again.bytes, again.facts, again.signature) == (
        proposal.bytes,
        proposal.facts,
        proposal.signature,
    )
    assert SignableProposal.parse(proposal.bytes, b"other").signature == b"other"
    outer = ProposedTransaction.FromString(proposal.bytes)
    assert list(outer.endorsing_organizations) == ["Org1MSP"]


def test_a_signature_that_is_there_is_not_made_again() -> None:
    commit = SignableCommit.build("ab", "mychannel", PARTY)
    commit.signature = b"made elsewhere"
    commit.sign_by(PARTY)
    assert commit.signature == b"made elsewhere"


@given(
    channel=st.text(max_size=5),
    creator=st.binary(max_size=300),
    nonce=st.binary(min_size=1, max_size=30),
    timestamp=st.integers(0, 2**62),
    args=st.lists(st.binary(max_size=200), max_size=4),
    transient=st.dictionaries(st.text(max_size=3), st.binary(max_size=9), max_size=1),
    is_init=st.booleans(),
)
def test_proposals_are_what_the_message_classes_write(
    *,
    channel: str,
    creator: bytes,
    nonce: bytes,
    timestamp: int,
    args: list[bytes],
    transient: dict[str, bytes],
    is_init: bool,
) -> None:
    invocation = Invocation(channel, "basic", tuple(args), transient, is_init=is_init)
    facts, data = build_proposal(invocation, creator, Moment(nonce, timestamp), b"hash")
    proposal = Proposal.FromString(data)
    header = Header.FromString(proposal.header)
    payload = ChaincodeProposalPayload.FromString(proposal.payload)
    parts: list[tuple[bytes, type[Message]]] = [
        (data, Proposal),
        (proposal.header, Header),
        (proposal.payload, ChaincodeProposalPayload),
        (payload.input, ChaincodeInvocationSpec),
        (header.channel_header, ChannelHeader),
        (header.signature_header, SignatureHeader),
    ]
    for part, kind in parts:
        assert kind.FromString(part).SerializeToString() == part
    assert parse_proposal(data) == facts
    assert ChannelHeader.FromString(header.channel_header).tls_cert_hash == b"hash"
    spec = ChaincodeInvocationSpec.FromString(payload.input).chaincode_spec
    assert list(spec.input.args) == args
    assert spec.input.is_init == is_init
    assert dict(payload.TransientMap) == transient


def test_requests_are_what_the_message_classes_write() -> None:
    proposal = a_proposal()
    proposal.sign_by(PARTY)
    signed = SignedProposal(proposal_bytes=proposal.message, signature=proposal.signature)
    names = {"transaction_id": proposal.transaction_id, "channel_id": "mychannel"}
    endorse = EndorseRequest(
        **names, proposed_transaction=signed, endorsing_organizations=["Org1MSP"]
    )
    assert build_endorse_request(proposal) == endorse.SerializeToString()
    evaluate = EvaluateRequest(
        **names, proposed_transaction=signed, target_organizations=["Org1MSP"]
    )
    assert build_evaluate_request(proposal) == evaluate.SerializeToString()
    prepared = Prepared("mychannel", proposal.transaction_id, b"")
    submit = SubmitRequest(
        **names, prepared_transaction=Envelope(payload=b"p" * 300, signature=b"s" * 70)
    )
    transaction = SignableTransaction(b"p" * 300, prepared, b"s" * 70)
    assert build_submit_request(transaction) == submit.SerializeToString()


@given(number=st.integers(1, 2**64 - 1), deadline=st.integers(0, 2**32 - 1), payload=st.binary())
def test_frames_are_what_the_message_classes_write(
    number: int, deadline: int, payload: bytes
) -> None:
    request = SubmitRequest(transaction_id="t")
    request.prepared_transaction.payload = payload
    message = GatewayMessage(id=number, deadline_ms=deadline, submit=request)
    frame = GatewayFrame(messages=[message]).SerializeToString()
    assert encode_message(number, deadline, "submit", request.SerializeToString()) == frame


def test_hello_and_messages_join_to_one_frame() -> None:
    data = encode_hello("tests") + encode_message(1, 0, "cancel", b"")
    data += encode_message(2, 5, "evaluate", b"")
    frame = GatewayFrame.FromString(data)
    assert (frame.hello.version, frame.hello.software) == (1, "tests")
    assert [(m.id, m.WhichOneof("body")) for m in frame.messages] == [
        (1, "cancel"),
        (2, "evaluate"),
    ]


def packed(type_url: str, value: bytes) -> bytes:
    return Status(details=[AnyMessage(type_url=type_url, value=value)]).SerializeToString()


DETAIL = DetailMessage(address="peer0:7051", msp_id="Org1MSP", message="no").SerializeToString()


@pytest.mark.parametrize(
    ("trailers", "details"),
    [
        (None, ()),
        ([("other", b"x")], ()),
        (
            [
                (
                    "grpc-status-details-bin",
                    packed("type.googleapis.com/gateway.ErrorDetail", DETAIL),
                )
            ],
            (ErrorDetail("peer0:7051", "Org1MSP", "no"),),
        ),
        ([("grpc-status-details-bin", packed("type.googleapis.com/google.Other", DETAIL))], ()),
        ([("grpc-status-details-bin", b"\xff\xff")], ()),
        (
            [
                (
                    "grpc-status-details-bin",
                    packed("type.googleapis.com/gateway.ErrorDetail", b"\xff"),
                )
            ],
            (),
        ),
    ],
    ids=["none", "others", "ours", "another type", "no status", "no detail"],
)
def test_details_are_read_where_they_can_be(
    trailers: list[tuple[str, str | bytes]] | None, details: tuple[ErrorDetail, ...]
) -> None:
    assert to_failure(10, "text", trailers) == Failure(StatusCode.ABORTED, "text", details)


def test_a_status_that_grpc_does_not_know_is_unknown() -> None:
    assert to_failure(99, "text", ()).code is StatusCode.UNKNOWN


def test_checkpoints_survive_in_the_form_of_the_official_clients(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.json"
    first = FileCheckpointer(path)
    assert (first.block_number, first.transaction_id) == (None, None)
    assert not path.exists()
    first.checkpoint_transaction(7, "ab")
    assert path.read_bytes() == b'{"blockNumber":"7","transactionId":"ab"}'
    again = FileCheckpointer(path)
    assert (again.block_number, again.transaction_id) == (7, "ab")
    again.checkpoint_block(7)
    assert path.read_bytes() == b'{"blockNumber":"8"}'
    assert FileCheckpointer(path).transaction_id is None
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.json"]


@pytest.mark.parametrize("content", [b"", b"{}", b"{\n}"])
def test_an_empty_checkpoint_is_no_position(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint.json"
    path.write_bytes(content)
    assert FileCheckpointer(path).block_number is None


@pytest.mark.parametrize("content", [b"[]", b"nothing", b'{"blockNumber":"x"}', b"\xff"])
def test_a_file_that_is_no_checkpoint_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="expected a checkpoint"):
        FileCheckpointer(path)
    assert path.read_bytes() == content


def test_a_checkpoint_in_memory_follows_the_same_rules() -> None:
    checkpointer = InMemoryCheckpointer()
    checkpointer.checkpoint_transaction(3, "ab")
    assert (checkpointer.block_number, checkpointer.transaction_id) == (3, "ab")
    checkpointer.checkpoint_block(3)
    assert (checkpointer.block_number, checkpointer.transaction_id) == (4, None)


def test_waiting_times_double_up_to_a_limit() -> None:
    backoff = Backoff()
    assert [backoff.next_s() for _ in range(7)] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0]
    backoff.reset()
    assert backoff.next_s() == 0.05


LOST = Failure(StatusCode.UNAVAILABLE, "lost")


def test_an_event_stream_that_never_stood_is_not_tried_again() -> None:
    reconnection = Reconnection(100)
    reconnection.opened(0)
    assert reconnection.delay_s(LOST, 0.5) is None


def test_an_event_stream_that_stood_is_tried_again_for_a_while() -> None:
    reconnection = Reconnection(10)
    reconnection.opened(0)
    assert reconnection.delay_s(LOST, 1) == 0.05
    reconnection.opened(2)
    assert reconnection.delay_s(LOST, 2) == 0.1
    reconnection.received()
    reconnection.opened(50)
    assert reconnection.delay_s(LOST, 50) == 0.05
    reconnection.opened(60)
    assert reconnection.delay_s(LOST, 60) is None


def test_a_refused_event_stream_is_not_tried_again() -> None:
    reconnection = Reconnection(10)
    reconnection.opened(0)
    reconnection.received()
    refused = Failure(StatusCode.PERMISSION_DENIED, "no")
    assert reconnection.delay_s(refused, 5) is None
