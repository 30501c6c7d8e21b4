"""However a request of a stream ends, it is open no longer."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.support.gateway_ports import until
from tongban.node.runtime.stream_session import Places, StreamSession, Work
from tongban.protos.stream_pb2 import GatewayMessage

SECONDS_MAX = 5.0


class Subject:
    """A session, with the places that it shares and the faults that it found."""

    def __init__(self) -> None:
        self.found: list[BaseException] = []
        self.places = Places("/a.Service", 10)
        self.session: StreamSession[GatewayMessage] = StreamSession(10, self, self.places)

    def fault(self, error: BaseException) -> None:
        self.found.append(error)

    async def end(self) -> None:
        """The stream ends in order: its outbox closes when nothing is open."""
        self.session.finish()
        async with asyncio.timeout(SECONDS_MAX):
            assert await self.session.outbox.take() == []
        assert self.places.count == 0


def run(work: Callable[[Subject], Awaitable[None]]) -> None:
    async def bounded() -> None:
        subject = Subject()
        async with asyncio.timeout(SECONDS_MAX):
            await work(subject)

    asyncio.run(bounded())


async def answer() -> None:
    """Nothing is left to do."""


async def hang() -> None:
    await asyncio.Event().wait()


async def lose_what_it_waits_for() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def break_an_invariant() -> None:
    raise AssertionError("an invariant")


@pytest.mark.parametrize("work", [answer, lose_what_it_waits_for, break_an_invariant])
def test_a_request_that_ends_by_itself_gives_its_place_back(work: Work) -> None:
    async def scenario(subject: Subject) -> None:
        subject.session.start(1, work)
        assert subject.places.count == 1
        await subject.end()
        assert not subject.session.is_open(1)
        assert len(subject.found) == (work is break_an_invariant)

    run(scenario)


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_a_request_that_is_cancelled_gives_its_place_back_once(turns: int) -> None:
    async def scenario(subject: Subject) -> None:
        subject.session.start(1, hang)
        for _ in range(turns):
            await asyncio.sleep(0)
        subject.session.cancel(1)
        subject.session.cancel(1)
        subject.session.start(2, answer)
        await subject.end()
        assert not subject.found

    run(scenario)


def test_the_id_of_a_cancelled_request_is_free_for_another_one() -> None:
    async def scenario(subject: Subject) -> None:
        subject.session.start(1, hang)
        subject.session.cancel(1)
        subject.session.cancel(1)
        await until(lambda: not subject.session.is_open(1))
        subject.session.start(1, hang)
        await asyncio.sleep(0)
        assert subject.session.is_open(1), "late callbacks of the first one end nothing"
        assert subject.places.count == 1
        subject.session.cancel(1)
        await subject.end()

    run(scenario)
