"""The guard: limits, refusals, faults; with calls as plain functions."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from tongban.node.core.faults import CorruptLedgerError
from tongban.node.services.guard import CONCURRENCY_LIMITS, FAULT_TEXT, CallGuard
from tongban.protos.common_pb2 import Envelope
from tongban.protos.errors import MalformedMessage

Status = grpc.StatusCode


class Aborted(grpc.aio.AbortError):
    pass


class FakeContext:
    def __init__(self) -> None:
        self.status: tuple[Status, str] | None = None

    async def abort(self, code: Status, details: str = "", trailing_metadata: object = ()) -> None:
        self.status = (code, details)
        raise Aborted


class Faults:
    def __init__(self) -> None:
        self.found: list[BaseException] = []

    def fault(self, error: BaseException) -> None:
        self.found.append(error)


class Subject:
    """A guard and the handlers that came out of it."""

    def __init__(self, **limits: int) -> None:
        self.faults = Faults()
        self.guard = CallGuard(
            self.faults, {f"/test.{name}": limit for name, limit in limits.items()}
        )

    async def guarded(self, method: str, handler: Any) -> Any:
        class Details:
            def __init__(self) -> None:
                self.method = method

        async def find(details: object) -> Any:
            return handler

        return await self.guard.intercept_service(find, Details())  # type: ignore[arg-type]


def unary(behavior: Callable[..., Any]) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        behavior, Envelope.FromString, Envelope.SerializeToString
    )


async def outcome(handler: Any, request: bytes = b"") -> tuple[Status, str] | None:
    """What the client of a unary call sees: None for a response."""
    context = FakeContext()
    with contextlib.suppress(Aborted):
        await handler.unary_unary(request, context)
    return context.status


async def answer(request: Envelope, context: object) -> Envelope:
    return request


def raising(error: BaseException) -> Callable[..., Any]:
    async def behavior(request: object, context: object) -> None:
        raise error

    return behavior


def test_a_response_passes_and_garbage_is_refused_without_reaching_the_service() -> None:
    async def work() -> None:
        subject = Subject()
        called: list[object] = []

        async def behavior(request: Envelope, context: object) -> Envelope:
            called.append(request)
            return request

        handler = await subject.guarded("/test.A/Do", unary(behavior))
        assert await outcome(handler, Envelope(payload=b"x").SerializeToString()) is None
        assert len(called) == 1
        status = await outcome(handler, b"\xff")
        assert status is not None and status[0] is Status.INVALID_ARGUMENT
        assert len(called) == 1
        assert subject.faults.found == []
        assert subject.guard.count_open() == {"/test.A": 0}

    asyncio.run(work())


def test_a_refusal_is_a_status_and_a_fault_reaches_the_supervisor() -> None:
    async def work() -> None:
        subject = Subject()
        refused = await subject.guarded(
            "/test.A/Refuse", unary(raising(MalformedMessage("x", "y")))
        )
        assert await outcome(refused) == (Status.INVALID_ARGUMENT, "x: y")
        assert subject.faults.found == []
        for number, error in enumerate(
            (AssertionError("broken"), CorruptLedgerError("/l", "bad", "restore"), KeyError("k"))
        ):
            faulty = await subject.guarded(f"/test.A/Fault{number}", unary(raising(error)))
            assert await outcome(faulty) == (Status.INTERNAL, FAULT_TEXT)
            assert subject.faults.found[-1] is error

    asyncio.run(work())


def test_a_fault_hidden_in_a_group_with_refusals_is_found() -> None:
    async def work() -> None:
        subject = Subject()
        fault = AssertionError("broken")
        group = ExceptionGroup("many", [MalformedMessage("x", "y"), ExceptionGroup("", [fault])])
        handler = await subject.guarded("/test.A/Do", unary(raising(group)))
        assert await outcome(handler) == (Status.INTERNAL, FAULT_TEXT)
        assert subject.faults.found == [fault]
        only = ExceptionGroup("one", [MalformedMessage("x", "y")])
        handler = await subject.guarded("/test.A/Other", unary(raising(only)))
        assert await outcome(handler) == (Status.INVALID_ARGUMENT, "x: y")

    asyncio.run(work())


@pytest.mark.parametrize(
    "service",
    [
        *("protos.Endorser", "protos.Deliver", "gateway.Gateway", "orderer.AtomicBroadcast"),
        *("tongban.gateway.Gateway", "tongban.peer.Peer", "tongban.orderer.Orderer"),
    ],
)
def test_no_service_is_without_a_limit(service: str) -> None:
    assert 0 < CONCURRENCY_LIMITS[f"/{service}"] <= 2_500


def test_calls_beyond_the_limit_are_refused_with_fabrics_text_and_room_comes_back() -> None:
    async def work() -> None:
        subject = Subject(Endorser=1)
        release = asyncio.Event()

        async def slow(request: object, context: object) -> Envelope:
            await release.wait()
            return Envelope()

        handler = await subject.guarded("/test.Endorser/ProcessProposal", unary(slow))
        first = asyncio.create_task(outcome(handler))
        await asyncio.sleep(0)
        assert await outcome(handler) == (
            Status.RESOURCE_EXHAUSTED,
            "too many requests for /test.Endorser, exceeding concurrency limit (1)",
        )
        release.set()
        assert await first is None
        assert await outcome(handler) is None

    asyncio.run(work())


def test_a_draining_node_takes_no_new_calls() -> None:
    async def work() -> None:
        subject = Subject()
        handler = await subject.guarded("/test.A/Do", unary(answer))
        subject.guard.drain()
        assert await outcome(handler) == (Status.UNAVAILABLE, "the node is shutting down")

    asyncio.run(work())


@pytest.mark.parametrize("error", [MalformedMessage("x", "y"), AssertionError("broken")])
def test_streams_are_guarded_whichever_way_they_answer(error: Exception) -> None:
    async def work() -> None:
        subject = Subject()

        async def yields(requests: object, context: object) -> AsyncIterator[bytes]:
            yield b"one"
            raise error

        async def writes(requests: object, context: object) -> None:
            raise error

        for name, behavior in (("Yields", yields), ("Writes", writes)):
            handler = await subject.guarded(
                f"/test.A/{name}", grpc.stream_stream_rpc_method_handler(behavior)
            )
            context = FakeContext()
            got: list[bytes] = []
            with pytest.raises(Aborted):
                if name == "Yields":
                    async for response in handler.stream_stream(None, context):
                        got.append(response)
                else:
                    await handler.stream_stream(None, context)
            assert got == ([b"one"] if name == "Yields" else [])
            assert context.status is not None
            assert subject.guard.count_open() == {"/test.A": 0}
        assert bool(subject.faults.found) == isinstance(error, AssertionError)

    asyncio.run(work())


def test_a_method_that_nobody_serves_is_left_to_grpc() -> None:
    async def work() -> None:
        assert await Subject().guarded("/test.A/Nothing", None) is None

    asyncio.run(work())
