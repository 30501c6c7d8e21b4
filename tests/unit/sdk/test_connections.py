"""Broken streams, gateways that speak no stream, and gateways that are not there."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import grpc
import pytest

from tests.support.fake_gateway import FakeGateway
from tests.support.fake_ledger import Drop, Hang, Refuse
from tongban.protos.transaction_pb2 import TxValidationCode
from tongban.sdk import (
    CommitStatusError,
    Contract,
    EndorseError,
    EvaluateError,
    Gateway,
    StatusCode,
    SubmitError,
    Timeouts,
)
from tongban.sdk.core import session

from .conftest import Connect


def basic(gateway: Gateway) -> Contract:
    return gateway.get_network("mychannel").get_contract("basic")


def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.005)


@contextmanager
def detour(target: str, delay_s: float) -> Iterator[str]:
    """An address whose connections reach ``target`` only after a delay."""
    host, _, port = target.rpartition(":")
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as ends:

        def carry(source: socket.socket, sink: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(65_536):
                    sink.sendall(data)

        def serve() -> None:
            with suppress(OSError):  # until it is closed
                while True:
                    near = ends.enter_context(listening.accept()[0])
                    time.sleep(delay_s)
                    far = ends.enter_context(socket.create_connection((host, int(port))))
                    for pair in ((near, far), (far, near)):
                        threading.Thread(target=carry, args=pair, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def test_where_the_gateway_speaks_it_the_stream_is_used(
    fake: FakeGateway, connect: Connect
) -> None:
    gateway = connect()
    assert basic(gateway).submit("Echo", "x") == b"x"
    assert gateway.is_streaming
    assert fake.streams_opened == 1
    assert fake.frames[0].hello.version == 1
    assert fake.frames[0].hello.software.startswith("tongban-sdk")


def test_a_gateway_that_is_slow_to_shake_hands_is_waited_for(
    fake: FakeGateway, connect: Connect
) -> None:
    with detour(fake.target, delay_s=0.3) as target:
        assert basic(connect(target=target)).evaluate("Echo", "x") == b"x"


def test_where_it_does_not_unary_calls_are_used(fake: FakeGateway, connect: Connect) -> None:
    fake.refuses_streams = grpc.StatusCode.UNIMPLEMENTED
    gateway = connect()
    contract = basic(gateway)
    assert contract.submit("Echo", "x") == b"x"
    assert contract.evaluate("Echo", "y") == b"y"
    assert contract.submit_async("Echo", "z").status().is_valid
    assert not gateway.is_streaming
    assert fake.streams_opened == 1  # asked once, not for every call


def test_another_protocol_version_is_like_no_stream(fake: FakeGateway, connect: Connect) -> None:
    fake.version = 2
    gateway = connect()
    assert basic(gateway).submit("Echo", "x") == b"x"
    assert not gateway.is_streaming


def test_the_stream_can_be_insisted_on(fake: FakeGateway, connect: Connect) -> None:
    fake.refuses_streams = grpc.StatusCode.UNIMPLEMENTED
    with pytest.raises(EndorseError) as caught:
        basic(connect(stream=True)).submit("Echo", "x")
    assert caught.value.code is StatusCode.UNIMPLEMENTED
    assert fake.ledger.calls == []


def test_the_stream_can_be_left_alone(fake: FakeGateway, connect: Connect) -> None:
    assert basic(connect(stream=False)).submit("Echo", "x") == b"x"
    assert fake.streams_opened == 0


def test_many_in_flight_share_one_stream_and_frames(fake: FakeGateway, connect: Connect) -> None:
    contract = basic(connect())
    outcomes = list(contract.submit_many([("Echo", i) for i in range(100)], in_flight=50))
    assert all(o.error is None for o in outcomes)
    assert fake.streams_opened == 1
    assert len(fake.frames) < 200  # two requests each


def test_no_more_is_open_than_the_gateway_allows(fake: FakeGateway, connect: Connect) -> None:
    fake.window = 3
    contract = basic(connect())
    outcomes = list(contract.submit_many([("Echo", i) for i in range(40)], in_flight=20))
    assert all(o.error is None for o in outcomes)
    assert fake.most_open <= 3


def test_a_stream_that_breaks_under_a_proposal_is_not_noticed(
    fake: FakeGateway, connect: Connect
) -> None:
    fake.script("endorse", Drop("after"))
    assert basic(connect()).submit("Echo", "x") == b"x"
    assert fake.streams_opened == 2
    fake.script("evaluate", Drop("before"))
    assert basic(connect()).evaluate("Echo", "x") == b"x"


def test_a_proposal_under_which_two_streams_break_fails(
    fake: FakeGateway, connect: Connect
) -> None:
    fake.script("endorse", Drop(), Drop())
    with pytest.raises(EndorseError) as caught:
        basic(connect()).submit("Echo", "x")
    assert caught.value.code is StatusCode.UNAVAILABLE
    assert fake.ledger.ordered == []


def test_a_stream_that_breaks_after_ordering_loses_no_answer(
    fake: FakeGateway, connect: Connect
) -> None:
    fake.script("submit", Drop("after"))
    assert basic(connect()).submit("Echo", "x") == b"x"
    assert len(fake.ledger.ordered) == 1
    assert [kind for kind, _ in fake.ledger.calls] == ["endorse", "submit", "commit_status"]


def test_a_stream_that_breaks_after_acceptance_loses_no_answer(
    fake: FakeGateway, connect: Connect
) -> None:
    fake.ledger.holds_commits = True
    commit = basic(connect()).submit_async("Echo", "x")
    fake.break_streams()
    eventually(lambda: ("commit_status", commit.transaction_id) in fake.ledger.calls)
    fake.call(lambda: fake.ledger.commit(commit.transaction_id))
    assert commit.status().is_valid
    assert fake.ledger.ordered == [commit.transaction_id]


def test_a_stream_that_breaks_before_ordering_submits_again(
    fake: FakeGateway, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "RESUBMIT_AFTER_S", 0.2)
    fake.script("submit", Drop("before"))
    assert basic(connect()).submit("Echo", "x") == b"x"
    assert len(fake.ledger.ordered) == 1
    kinds = [kind for kind, _ in fake.ledger.calls]
    assert kinds == ["endorse", "submit", "commit_status", "submit"]


def test_an_invalid_verdict_survives_a_broken_stream(fake: FakeGateway, connect: Connect) -> None:
    fake.ledger.verdicts.append(TxValidationCode.MVCC_READ_CONFLICT)
    fake.script("submit", Drop("after"))
    assert basic(connect()).submit("Echo", "x", retries=1) == b"x"
    assert len(fake.ledger.ordered) == 2


def test_many_in_flight_survive_broken_streams(
    fake: FakeGateway, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "RESUBMIT_AFTER_S", 0.2)
    fake.ledger.commit_delay_s = 0.005
    contract = basic(connect(timeouts=Timeouts(commit_status_s=20)))
    outcomes = []
    for outcome in contract.submit_many([("Echo", i) for i in range(120)], in_flight=20):
        outcomes.append(outcome)
        if len(outcomes) in (30, 60, 90):
            fake.break_streams()
    lost = [o for o in outcomes if isinstance(o.error, CommitStatusError | SubmitError)]
    assert lost == []
    assert len(outcomes) == 120
    done = [o.get().transaction_id for o in outcomes if o.error is None]
    assert set(done) == set(fake.ledger.committed)
    assert fake.streams_opened == 4


def test_a_gateway_that_stops_speaking_the_stream_is_asked_in_unary_calls(
    fake: FakeGateway, connect: Connect
) -> None:
    gateway = connect()
    contract = basic(gateway)
    contract.evaluate("Warm", "up")
    fake.ledger.holds_commits = True
    commit = contract.submit_async("Echo", "x")
    results: list[bytes] = []
    waiting = threading.Thread(target=lambda: results.append(contract.submit("Echo", "y")))
    waiting.start()
    eventually(lambda: len(fake.ledger.ordered) == 2)
    fake.refuses_streams = grpc.StatusCode.UNIMPLEMENTED
    fake.break_streams()
    eventually(lambda: not gateway.is_streaming)
    for transaction_id in list(fake.ledger.ordered):
        fake.call(lambda tx=transaction_id: fake.ledger.commit(tx))  # type: ignore[misc]
    assert commit.status().is_valid
    waiting.join(10)
    assert results == [b"y"]
    assert len(set(fake.ledger.ordered)) == 2


def test_without_a_gateway_every_step_fails_at_once(connect: Connect) -> None:
    contract = basic(connect(target="127.0.0.1:1"))
    began = time.monotonic()
    with pytest.raises(EvaluateError) as evaluated:
        contract.evaluate("Echo", "x")
    with pytest.raises(EndorseError) as endorsed:
        contract.submit("Echo", "x")
    assert time.monotonic() - began < 5
    assert evaluated.value.code is StatusCode.UNAVAILABLE
    assert endorsed.value.code is StatusCode.UNAVAILABLE


def test_a_stream_that_is_refused_for_another_reason_says_which(
    fake: FakeGateway, connect: Connect
) -> None:
    fake.refuses_streams = grpc.StatusCode.RESOURCE_EXHAUSTED
    with pytest.raises(EndorseError) as caught:
        basic(connect()).submit("Echo", "x")
    assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED
    fake.refuses_streams = None
    gateway = connect()
    assert basic(gateway).submit("Echo", "x") == b"x"
    assert gateway.is_streaming


def test_a_deadline_withdraws_the_request_at_the_gateway(
    fake: FakeGateway, connect: Connect
) -> None:
    contract = basic(connect())
    contract.evaluate("Warm", "up")
    fake.script("evaluate", Hang())
    with pytest.raises(EvaluateError):
        contract.evaluate("Echo", "x", timeout_s=0.05)
    eventually(lambda: fake.cancels)
    assert contract.evaluate("Echo", "y") == b"y"


def test_leaving_a_pipeline_early_withdraws_what_is_under_way(
    fake: FakeGateway, connect: Connect
) -> None:
    contract = basic(connect())
    fake.script("endorse", *[Hang()] * 9, Refuse(grpc.StatusCode.ABORTED, "no"))
    outcomes = contract.submit_many([("Echo", i) for i in range(10)])
    assert next(outcomes).index == 9
    assert len(fake.conversations[-1].tasks) == 9
    outcomes.close()  # type: ignore[attr-defined]
    eventually(lambda: len(fake.cancels) == 9)
    assert not fake.conversations[-1].tasks
