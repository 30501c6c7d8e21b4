"""``orderer.AtomicBroadcast/Broadcast``: one answer for each envelope, in order.

Envelopes may be pipelined. After the first answer that is not SUCCESS the stream ends, as on
Fabric's orderers (fabric orderer/common/broadcast/broadcast.go).
"""

import asyncio
from functools import partial

import grpc

from tongban.node.runtime.broadcaster import Broadcaster
from tongban.node.services.framing import serve_stream
from tongban.node.services.guard import Context
from tongban.protos.ab_pb2 import BroadcastResponse
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import Envelope, Status

PIPELINE_MAX = 256
"""Envelopes of one stream that wait for their answer; reading pauses then."""

_Answers = asyncio.Queue[asyncio.Future[BroadcastResponse] | None]


class BroadcastService:
    """Serves the stream; transport-free but for its edges."""

    def __init__(self, broadcaster: Broadcaster, draining: asyncio.Event) -> None:
        self._broadcaster = broadcaster
        self._draining = draining

    async def broadcast(self, requests: object, context: Context) -> None:
        """One stream, until the client ends it, an envelope is refused, or the node drains."""
        answers: _Answers = asyncio.Queue(PIPELINE_MAX)
        await serve_stream(self._read(context, answers), _write(context, answers), self._draining)

    async def _read(self, context: Context, answers: _Answers) -> None:
        loop = asyncio.get_running_loop()
        try:
            while (data := await context.read()) is not grpc.aio.EOF:
                answer: asyncio.Future[BroadcastResponse] = loop.create_future()
                waits = self._broadcaster.broadcast(
                    parse(Envelope, data), partial(_resolve, answer)
                )
                await answers.put(answer)
                if not waits:
                    break
        finally:
            await answers.put(None)


def _resolve(answer: asyncio.Future[BroadcastResponse], response: BroadcastResponse) -> None:
    if not answer.done():
        answer.set_result(response)


async def _write(context: Context, answers: _Answers) -> None:
    while (answer := await answers.get()) is not None:
        response = await answer
        await context.write(response.SerializeToString())
        if response.status != Status.SUCCESS:
            return
