"""The lean clients of the load generator against a gateway of grpcio, over TLS."""

import ipaddress
from collections.abc import Iterator
from contextlib import closing

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.bench.callers import Calls, Operation, Order, Run, Tally, Way
from tests.bench.hpack import OK
from tests.bench.http2 import FRAME_BYTES_MAX, WINDOW_BYTES, Connection
from tests.bench.proposals import Proposer
from tests.bench.stream_load import StreamLoad
from tests.bench.unary_load import UnaryLoad
from tests.support.fake_gateway import FakeGateway
from tests.support.fake_ledger import Kind, Refuse
from tests.support.pki import Authority, key_pem
from tongban.protos.common_pb2 import ChannelHeader, Header, SignatureHeader
from tongban.protos.gateway_pb2 import (
    CommitStatusRequest,
    EndorseRequest,
    EvaluateResponse,
    SignedCommitStatusRequest,
    SubmitRequest,
)
from tongban.protos.proposal_pb2 import Proposal
from tongban.protos.signing import verify_signature
from tongban.protos.transaction_pb2 import TxValidationCode
from tongban.sdk import Tls
from tongban.sdk.core.proposal import Invocation, Moment, build_proposal
from tongban.sdk.core.unary import EVALUATE

CALLERS = 4
AUTHORITY = Authority()
NAMES = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
SERVER = AUTHORITY.issue("Org1MSP", "peer0", extensions=[(NAMES, False)])
USER = AUTHORITY.issue("Org1MSP", "User1")
TLS = Tls(AUTHORITY.pem)
PROPOSER = Proposer(USER.signer, "mychannel", "basic")


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    with FakeGateway(pair=(key_pem(SERVER.key), SERVER.pem)) as gateway:
        yield gateway


@pytest.fixture(params=["stream", "unary"])
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


def work(fake: FakeGateway, way: Way, operation: Operation = "create") -> Tally:
    """What the callers see in a short time, one call each at least."""
    order = Order("", operation, way, CALLERS, seconds=0.05)
    run = Run(PROPOSER, order, Calls(operation))
    with closing(Connection(fake.target, TLS)) as connection:
        load = StreamLoad(connection, run) if way == "stream" else UnaryLoad(connection, run)
        load.work()
    return run.tally


def verify(message: bytes, signature: bytes) -> None:
    assert not isinstance(USER.key, rsa.RSAPrivateKey)
    verify_signature(USER.key.public_key(), message, signature)


def test_every_transaction_that_counts_was_committed_and_none_was_missed(
    fake: FakeGateway, way: Way
) -> None:
    tally = work(fake, way)
    assert not tally.failures
    assert len(tally.latencies) == len(fake.ledger.committed) >= CALLERS
    assert len(set(fake.ledger.ordered)) == len(fake.ledger.ordered)
    assert all(0 < latency < 5 for latency in tally.latencies)


def test_a_caller_has_one_transaction_open(fake: FakeGateway) -> None:
    work(fake, "stream")
    assert fake.most_open <= CALLERS


def test_a_transaction_that_is_found_invalid_is_a_failure(fake: FakeGateway, way: Way) -> None:
    fake.ledger.verdicts.append(TxValidationCode.MVCC_READ_CONFLICT)
    tally = work(fake, way)
    assert list(tally.failures.values()) == [1]
    assert "MVCC_READ_CONFLICT" in next(iter(tally.failures))
    assert len(tally.latencies) == len(fake.ledger.committed) - 1


@pytest.mark.parametrize("kind", ["endorse", "submit"])
def test_a_refusal_is_a_failure_with_its_text_and_the_caller_goes_on(
    fake: FakeGateway, way: Way, kind: Kind
) -> None:
    fake.script(kind, Refuse(grpc.StatusCode.ABORTED, "100 % of 海淀 says no"))
    tally = work(fake, way)
    assert list(tally.failures.values()) == [1]
    assert next(iter(tally.failures)).endswith("100 % of 海淀 says no")
    assert len(tally.latencies) == len(fake.ledger.committed) >= CALLERS - 1


def test_queries_are_evaluated_and_nothing_is_ordered(fake: FakeGateway, way: Way) -> None:
    tally = work(fake, way, "query")
    asked = [kind for kind, _ in fake.ledger.calls]
    assert asked == ["evaluate"] * len(tally.latencies)
    assert len(asked) >= CALLERS
    assert not fake.ledger.ordered


def test_a_query_that_is_refused_is_a_failure(fake: FakeGateway, way: Way) -> None:
    fake.script("evaluate", Refuse(grpc.StatusCode.UNKNOWN, "no such asset"))
    tally = work(fake, way, "query")
    assert list(tally.failures.values()) == [1]


def test_a_stream_that_allows_too_little_is_not_begun(fake: FakeGateway) -> None:
    fake.window = CALLERS - 1
    with pytest.raises(ValueError, match="allows 3 requests"):
        work(fake, "stream")
    assert not fake.ledger.calls


def test_a_stream_that_is_not_served_ends_the_run(fake: FakeGateway) -> None:
    fake.refuses_streams = grpc.StatusCode.UNIMPLEMENTED
    with pytest.raises(ConnectionError, match="no streams here"):
        work(fake, "stream")


def test_a_server_of_another_authority_is_not_spoken_to(fake: FakeGateway) -> None:
    with pytest.raises(OSError, match="certificate verify failed"):
        Connection(fake.target, Tls(Authority().pem))


@pytest.mark.parametrize("size", [0, FRAME_BYTES_MAX, WINDOW_BYTES, 5 * WINDOW_BYTES])
def test_messages_larger_than_frames_and_windows_travel_both_ways(
    fake: FakeGateway, size: int
) -> None:
    text = bytes(index % 251 for index in range(size))
    with closing(Connection(fake.target, TLS)) as connection:
        headers = connection.headers(EVALUATE, 30)
        calls = []
        for _ in range(3):
            calls.append(connection.open(headers))
            connection.send(calls[-1], PROPOSER.propose(b"Echo", text).request, is_last=True)
        ended: set[int] = set()
        answers: dict[int, bytes] = {}
        while len(ended) < len(calls):
            connection.flush()
            for received in connection.receive():
                if received.status is None:
                    answers[received.call] = received.message
                else:
                    assert received.status.code == OK
                    ended.add(received.call)
    for call in calls:
        assert EvaluateResponse.FromString(answers[call]).result.payload == text


def test_a_proposal_is_what_the_sdk_would_build_signed() -> None:
    args = (b"CreateAsset", b"a1", b"x" * 300)
    proposed = PROPOSER.propose(*args)
    request = EndorseRequest.FromString(proposed.request)
    signed = request.proposed_transaction
    verify(signed.proposal_bytes, signed.signature)
    header = Header.FromString(Proposal.FromString(signed.proposal_bytes).header)
    channel = ChannelHeader.FromString(header.channel_header)
    moment = Moment(
        SignatureHeader.FromString(header.signature_header).nonce,
        channel.timestamp.ToNanoseconds(),
    )
    facts, expected = build_proposal(Invocation("mychannel", "basic", args), USER.identity, moment)
    assert signed.proposal_bytes == expected
    assert request.transaction_id == proposed.transaction_id.decode() == facts.transaction_id
    assert request.channel_id == "mychannel"


def test_no_two_proposals_are_alike() -> None:
    first, second = PROPOSER.propose(b"f"), PROPOSER.propose(b"f")
    assert first.transaction_id != second.transaction_id


def test_only_the_payload_of_the_own_transaction_is_signed() -> None:
    first, second = PROPOSER.propose(b"f"), PROPOSER.propose(b"f")
    payload = first.head + b"\x12\x04data"
    request = SubmitRequest.FromString(PROPOSER.submission(first, payload))
    assert request.prepared_transaction.payload == payload
    assert request.transaction_id == first.transaction_id.decode()
    verify(payload, request.prepared_transaction.signature)
    with pytest.raises(ValueError, match="another transaction"):
        PROPOSER.submission(second, payload)


def test_the_verdict_is_asked_for_with_a_signature() -> None:
    proposed = PROPOSER.propose(b"f")
    signed = SignedCommitStatusRequest.FromString(PROPOSER.status_request(proposed))
    verify(signed.request, signed.signature)
    assert CommitStatusRequest.FromString(signed.request) == CommitStatusRequest(
        transaction_id=proposed.transaction_id.decode(),
        channel_id="mychannel",
        identity=USER.identity,
    )
