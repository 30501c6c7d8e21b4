"""The link to another peer, against servers of our kind and of Fabric's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import pytest

from tests.support.gateway_ports import until
from tests.support.orderer_process import free_port
from tongban.node.runtime.dialing import Dialer
from tongban.node.runtime.pace import LOOKS_MAX, Pace
from tongban.node.runtime.peer_link import CONNECT_SECONDS_MAX, PeerLink
from tongban.node.services.guard import Handler
from tongban.protos.proposal_pb2 import SignedProposal
from tongban.protos.proposal_response_pb2 import ProposalResponse, Response
from tongban.protos.stream_pb2 import Hello, PeerFrame, PeerMessage

SECONDS_MAX = 10.0

Serve = Callable[[grpc.aio.Server], None]


async def greet_and_endorse(
    requests: AsyncIterator[bytes], context: object
) -> AsyncIterator[bytes]:
    """A peer of our kind, which answers every proposal with its bytes."""
    yield PeerFrame(hello=Hello(version=1, window=8)).SerializeToString()
    async for data in requests:
        answers = [
            PeerMessage(
                id=message.id,
                endorsed=ProposalResponse(payload=message.endorse.proposal_bytes),
            )
            for message in PeerFrame.FromString(data).messages
            if message.HasField("endorse")
        ]
        if answers:
            yield PeerFrame(messages=answers).SerializeToString()


def ours(server: grpc.aio.Server) -> None:
    handler: Handler = grpc.stream_stream_rpc_method_handler(greet_and_endorse)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("tongban.peer.Peer", {"Stream": handler}),)
    )


def foreign(server: grpc.aio.Server) -> None:
    async def process(request: bytes, context: object) -> bytes:
        signed = SignedProposal.FromString(request)
        response = ProposalResponse(payload=signed.proposal_bytes, response=Response(status=200))
        return response.SerializeToString()

    handler: Handler = grpc.unary_unary_rpc_method_handler(process)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("protos.Endorser", {"ProcessProposal": handler}),)
    )


def of_the_future(server: grpc.aio.Server) -> None:
    async def stream(requests: object, context: object) -> AsyncIterator[bytes]:
        yield PeerFrame(hello=Hello(version=2, window=8)).SerializeToString()

    handler: Handler = grpc.stream_stream_rpc_method_handler(stream)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("tongban.peer.Peer", {"Stream": handler}),)
    )


async def start_server(serve: Serve, port: int) -> grpc.aio.Server:
    server = grpc.aio.server()
    serve(server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server


def run(check: Callable[[PeerLink, int], Awaitable[None]], pace: Pace | None = None) -> None:
    async def body() -> None:
        port = free_port()
        link = PeerLink(f"127.0.0.1:{port}", Dialer(None).connect, list, lambda news: None, pace)
        task = asyncio.create_task(link.run())
        try:
            async with asyncio.timeout(SECONDS_MAX):
                await check(link, port)
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(body())


@pytest.mark.parametrize("serve", [ours, foreign])
def test_a_link_speaks_what_the_other_peer_speaks(serve: Serve) -> None:
    async def check(link: PeerLink, port: int) -> None:
        server = await start_server(serve, port)
        answer = await link.endorse(SignedProposal(proposal_bytes=b"p"))
        assert answer.response is not None, answer.error
        assert answer.response.payload == b"p"
        assert link.is_foreign is (serve is foreign)
        await server.stop(None)

    run(check)


def test_while_the_node_is_busy_a_call_waits_for_others_and_is_then_answered_alone() -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def check(link: PeerLink, port: int) -> None:
        server = await start_server(ours, port)
        for _ in range(2):
            pauses.clear()
            answer = await link.endorse(SignedProposal(proposal_bytes=b"p"))
            assert answer.response is not None, answer.error
            assert len(pauses) >= LOOKS_MAX
        await server.stop(None)

    run(check, Pace(lambda: 10_000, pause))


def test_a_peer_that_was_away_is_reached_by_the_next_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tongban.node.runtime.peer_link.BACKOFF_SECONDS_FIRST", 60.0)

    async def check(link: PeerLink, port: int) -> None:
        assert "no connection" in str((await link.endorse(SignedProposal())).error)
        for _ in range(2):
            server = await start_server(ours, port)
            answer = await link.endorse(SignedProposal(proposal_bytes=b"p"))
            assert answer.response is not None, answer.error
            await server.stop(None)
            assert (await link.endorse(SignedProposal())).error

    run(check)


def test_a_peer_of_an_unknown_protocol_is_not_used() -> None:
    async def check(link: PeerLink, port: int) -> None:
        server = await start_server(of_the_future, port)
        answer = await link.endorse(SignedProposal())
        assert answer.response is None
        assert not link.is_up
        await server.stop(None)

    run(check)


def test_a_unary_call_under_which_the_connection_is_closed_was_not_answered() -> None:
    async def body() -> None:
        arrived = asyncio.Event()

        async def hang(request: bytes, context: object) -> bytes:
            arrived.set()
            await asyncio.Event().wait()
            raise AssertionError("nobody ends this wait")

        def serve(server: grpc.aio.Server) -> None:
            handler: Handler = grpc.unary_unary_rpc_method_handler(hang)
            handlers = {"ProcessProposal": handler}
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler("protos.Endorser", handlers),)
            )

        port = free_port()
        server = await start_server(serve, port)
        link = PeerLink(f"127.0.0.1:{port}", Dialer(None).connect, list, lambda news: None)
        running = asyncio.create_task(link.run())
        async with asyncio.timeout(SECONDS_MAX):
            calls = [asyncio.create_task(link.endorse(SignedProposal())) for _ in range(2)]
            await arrived.wait()
            calls[0].cancel()
            running.cancel()
            gone, answer = await asyncio.gather(*calls, return_exceptions=True)
            await asyncio.gather(running, return_exceptions=True)
        assert isinstance(gone, asyncio.CancelledError)
        assert not isinstance(answer, BaseException), repr(answer)
        assert answer.is_unreachable
        await server.stop(None)

    asyncio.run(body())


def silent(server: grpc.aio.Server) -> None:
    """A peer that greets and then neither reads nor answers."""

    async def stream(requests: object, context: object) -> AsyncIterator[bytes]:
        yield PeerFrame(hello=Hello(version=1, window=8)).SerializeToString()
        await asyncio.Event().wait()

    handler: Handler = grpc.stream_stream_rpc_method_handler(stream)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("tongban.peer.Peer", {"Stream": handler}),)
    )


def test_withdrawn_calls_do_not_pile_up_behind_a_peer_that_does_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tongban.node.runtime.peer_link.OPEN_CALLS_MAX", 20)

    async def check(link: PeerLink, port: int) -> None:
        server = await start_server(silent, port)
        proposal = SignedProposal(proposal_bytes=b"x" * 1_000_000)
        refused = 0
        for _ in range(100):
            call = asyncio.create_task(link.endorse(proposal))
            done, _ = await asyncio.wait([call], timeout=0.01)
            call.cancel()
            if done:
                assert "too many open calls" in str(call.result().error)
                assert not call.result().is_unreachable
                refused += 1
        assert refused > 50
        await server.stop(None)

    run(check)


def test_calls_that_were_open_when_the_link_was_lost_are_answered() -> None:
    async def check(link: PeerLink, port: int) -> None:
        server = await start_server(silent, port)
        call = asyncio.create_task(link.endorse(SignedProposal()))
        await until(lambda: link.is_up)
        await asyncio.wait([call], timeout=0.05)
        assert not call.done()
        await server.stop(None)
        answer = await call
        assert answer.is_unreachable
        assert f"127.0.0.1:{port}: " in str(answer.error)

    run(check)


def test_a_foreign_peer_that_becomes_one_of_our_kind_is_noticed() -> None:
    async def check(link: PeerLink, port: int) -> None:
        for serve in (foreign, ours):
            server = await start_server(serve, port)
            answer = await link.endorse(SignedProposal(proposal_bytes=b"p"))
            assert answer.response is not None, answer.error
            assert link.is_foreign is (serve is foreign)
            await server.stop(None)
            await until(lambda: not link.is_up)

    run(check)


def test_waiting_for_a_peer_that_refuses_connections_is_short() -> None:
    async def check(link: PeerLink, port: int) -> None:
        loop = asyncio.get_running_loop()
        await link.endorse(SignedProposal())
        started = loop.time()
        assert (await link.endorse(SignedProposal())).is_unreachable
        assert loop.time() - started < CONNECT_SECONDS_MAX / 2

    run(check)
