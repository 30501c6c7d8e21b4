"""Load over ``tongban.gateway.Gateway/Stream``, spoken directly.

One coroutine reads frames, and every answer moves its caller one step on: prepared, signed and
submitted, committed, next. What the answers of a frame lead to goes out in few frames. No task, no
future and no timer belongs to a single call.
"""

import grpc

from tests.bench.callers import LIMITS, Caller, Run
from tongban.protos.stream_pb2 import GatewayFrame, GatewayMessage
from tongban.sdk.channel import STREAM_METHOD
from tongban.sdk.core.frames import checked_window, encode_hello, encode_message

FRAME_MESSAGES_MAX = 64
"""So that the gateway has work while the rest is being signed."""

ENDORSE_MS = int(1000 * LIMITS.endorse_s)
EVALUATE_MS = int(1000 * LIMITS.evaluate_s)
SUBMIT_MS = int(1000 * (LIMITS.submit_s + LIMITS.commit_status_s))


class StreamLoad:
    """All callers on one stream."""

    def __init__(self, channel: grpc.aio.Channel, run: Run) -> None:
        method: grpc.aio.StreamStreamMultiCallable[bytes, bytes]
        method = channel.stream_stream(STREAM_METHOD, None, None)
        self._call = method()
        self._run = run
        self.tally = run.tally
        self._open: dict[int, Caller] = {}
        self._next_id = 1
        self._parts: list[bytes] = []

    async def connect(self) -> None:
        """Say hello and hear the gateway's.

        Raises:
            ValueError: it allows fewer requests than there are callers.
        """
        await self._call.write(encode_hello("tongban-bench"))
        window = checked_window(GatewayFrame.FromString(await self._read()))
        if window < len(self._run.callers):
            raise ValueError(f"the gateway allows {window} requests on one stream")

    async def work(self) -> None:
        """Return when every caller's time is up and its last call has been answered.

        Raises:
            ConnectionError, grpc.aio.AioRpcError: the stream ended.
        """
        self._run.start()
        for caller in self._run.callers:
            self._begin(caller)
            await self._flush(FRAME_MESSAGES_MAX)
        await self._flush()
        while self._open:
            for message in GatewayFrame.FromString(await self._read()).messages:
                self._answered(message)
                await self._flush(FRAME_MESSAGES_MAX)
            await self._flush()

    async def _read(self) -> bytes:
        data = await self._call.read()
        if not isinstance(data, bytes):
            code, text = await self._call.code(), await self._call.details()
            raise ConnectionError(f"the gateway ended the stream: {code} {text}")
        return data

    async def _flush(self, count_min: int = 1) -> None:
        if len(self._parts) >= count_min:
            await self._call.write(b"".join(self._parts))
            self._parts.clear()

    def _begin(self, caller: Caller) -> None:
        request = self._run.begin(caller)
        if request is not None and self._run.is_query:
            self._send(caller, "evaluate", EVALUATE_MS, request)
        elif request is not None:
            self._send(caller, "propose", ENDORSE_MS, request)

    def _send(self, caller: Caller, body: str, limit_ms: int, request: bytes) -> None:
        self._open[self._next_id] = caller
        self._parts.append(encode_message(self._next_id, limit_ms, body, request))
        self._next_id += 1

    def _answered(self, message: GatewayMessage) -> None:
        kind = message.WhichOneof("body")
        if kind == "accepted":
            return
        caller, run = self._open.pop(message.id), self._run
        if kind == "prepared":
            payload = message.prepared.prepared_transaction.payload
            submission = run.proposer.submission(caller.proposed, payload)
            self._send(caller, "submit", SUBMIT_MS, submission)
            return
        if kind == "committed":
            run.end_by_verdict(caller, message.committed.result)
        elif kind == "evaluated":
            run.end_by_result(
                caller, message.evaluated.result.status, message.evaluated.result.message
            )
        else:
            run.tally.fail(f"{kind}: {message.failed.message}")
        self._begin(caller)
