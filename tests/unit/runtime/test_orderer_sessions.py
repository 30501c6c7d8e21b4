"""Envelopes on the stream to an orderer."""

import asyncio
from typing import cast

from tests.support.gateway_ports import an_envelope, until
from tongban.node.runtime.dialing import ByteStream
from tongban.node.runtime.gateway.submit import OrdererUnreachable
from tongban.node.runtime.orderer_sessions import FramedSession
from tongban.node.runtime.pace import LOOK_SECONDS, OPEN_FOR_EACH, Pace
from tongban.protos.stream_pb2 import OrdererFrame

SECONDS_MAX = 5.0
WINDOW = 8


class Call:
    """Keeps how many messages were in each frame."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def write(self, data: bytes) -> None:
        self.sizes.append(len(OrdererFrame.FromString(data).messages))


def test_envelopes_of_a_busy_node_gather_and_every_caller_hears_when_the_stream_is_lost() -> None:
    async def work() -> None:
        looked, another = asyncio.Event(), asyncio.Event()

        async def pause(seconds: float) -> None:
            assert seconds == LOOK_SECONDS
            looked.set()
            await another.wait()

        session, call = FramedSession(WINDOW, Pace(lambda: 2 * OPEN_FOR_EACH, pause)), Call()
        writing = asyncio.create_task(session.write(cast(ByteStream, call)))
        first = asyncio.create_task(session.broadcast(an_envelope("t1")))
        await looked.wait()
        assert call.sizes == []
        second = asyncio.create_task(session.broadcast(an_envelope("t2")))
        await asyncio.sleep(0)
        another.set()
        await until(lambda: bool(call.sizes))
        assert call.sizes == [2]

        looked.clear()
        another.clear()
        third = asyncio.create_task(session.broadcast(an_envelope("t3")))
        await looked.wait()
        writing.cancel()
        session.lose("the stream is gone")
        found = await asyncio.gather(first, second, third, return_exceptions=True)
        assert [str(answer) for answer in found] == ["the stream is gone"] * 3
        assert all(isinstance(answer, OrdererUnreachable) for answer in found)
        await asyncio.gather(writing, return_exceptions=True)
        assert call.sizes == [2]

    async def bounded() -> None:
        async with asyncio.timeout(SECONDS_MAX):
            await work()

    asyncio.run(bounded())
