"""Commands as messages on one long stream, on asyncio.

The session decides; this opens streams, moves frames, and tells the time. A stream is opened when
something is asked, and again when it breaks while something is open.
"""

import asyncio
from contextlib import suppress

import grpc

from tongban.protos.errors import LimitExceeded, MalformedMessage

from ..channel import HELLO_TIMEOUT_S, STREAM_METHOD, failure_of, software_name
from ..core.backoff import Backoff
from ..core.commands import Command, Failure, Pause
from ..core.handles import Handle
from ..core.session import Session
from ..core.transport import OnAnswer, Withdrawal
from ..errors import StatusCode

GREETING_S = 0.25
"""How long our hello waits for the gateway's. Writing to a stream that the other side has just
refused makes grpc.aio forget why, and nothing else could be sent before the gateway's hello."""

_Call = grpc.aio.StreamStreamCall[bytes, bytes]


class StreamTransport:
    """Carries out commands on a stream to one gateway."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._method: grpc.aio.StreamStreamMultiCallable[bytes, bytes]
        self._method = channel.stream_stream(STREAM_METHOD, None, None)
        self._loop = asyncio.get_running_loop()
        self._session = Session(software_name())
        self._to_send = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unsupported: str | None = None

    def start(self, command: Command, on_answer: OnAnswer) -> Withdrawal:
        assert not isinstance(command, Pause)
        handle = self._session.open(command, on_answer, self._loop.time())
        if self._unsupported is not None:
            self._session.give_up(self._unsupported)
        elif not self._session.is_idle and (self._task is None or self._task.done()):
            self._task = self._loop.create_task(self._keep_streaming())
            self._task.add_done_callback(self._on_stopped)
        self._carry_on()
        return _Withdrawal(self, handle)

    def cancel(self, handle: Handle) -> None:
        self._session.cancel(handle)
        self._to_send.set()

    async def close(self) -> None:
        self._session.abort(Failure(StatusCode.CANCELLED, "the gateway connection was closed"))
        self._carry_on()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()

    def _on_stopped(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._session.abort(Failure(StatusCode.INTERNAL, f"the stream's task died: {fault!r}"))
            self._carry_on()

    def _carry_on(self) -> None:
        """Hand out answers, wake the writer, and set the alarm."""
        for answered in self._session.take_answers():
            assert callable(answered.waiter)
            answered.waiter(answered.answer)
        self._to_send.set()
        wake_at = self._session.wake_at
        if self._timer is None or wake_at < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            if not self._session.is_idle:
                self._timer = self._loop.call_at(wake_at, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._session.expire(self._loop.time())
        self._carry_on()

    async def _keep_streaming(self) -> None:
        backoff = Backoff()
        while not self._session.is_idle and self._unsupported is None:
            failure = await self._one_stream()
            if self._session.is_established:
                backoff.reset()
                self._session.stream_ended(failure, self._loop.time())
            elif failure.code == StatusCode.UNIMPLEMENTED:
                self._unsupported = failure.message
                self._session.give_up(failure.message)
            else:
                self._session.connect_failed(failure)
            self._carry_on()
            if not self._session.is_idle:
                await asyncio.sleep(backoff.next_s())

    async def _one_stream(self) -> Failure:
        """Open a stream and use it until it ends; how it ended."""
        call = self._method()
        self._session.stream_started()
        greeted = asyncio.Event()
        writer = self._loop.create_task(self._write(call, greeted))
        writer.add_done_callback(lambda _: call.cancel())
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                first = await call.read()
            greeted.set()
            await self._read(call, first)
        except TimeoutError:
            return Failure(
                StatusCode.UNAVAILABLE, f"the gateway said no hello within {HELLO_TIMEOUT_S:g} s"
            )
        except (MalformedMessage, LimitExceeded) as error:
            is_known = self._session.is_established
            code = StatusCode.INTERNAL if is_known else StatusCode.UNIMPLEMENTED
            return Failure(code, f"the gateway broke the stream's protocol: {error}")
        except grpc.aio.AioRpcError as error:
            return failure_of(error)
        finally:
            writer.cancel()
            call.cancel()
        return Failure(StatusCode.UNAVAILABLE, "the gateway ended the stream")

    async def _read(self, call: _Call, data: object) -> None:
        while isinstance(data, bytes):
            self._session.receive(data, self._loop.time())
            self._carry_on()
            data = await call.read()
        code = await call.code()
        if code != grpc.StatusCode.OK:
            raise grpc.aio.AioRpcError(
                code,
                await call.initial_metadata(),
                await call.trailing_metadata(),
                await call.details(),
            )

    async def _write(self, call: _Call, greeted: asyncio.Event) -> None:
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(greeted.wait(), GREETING_S)
            while True:
                self._to_send.clear()
                while frame := self._session.next_frame(self._loop.time()):
                    await call.write(frame)
                await self._to_send.wait()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return  # the reader learns why


class _Withdrawal:
    __slots__ = ("_handle", "_transport")

    def __init__(self, transport: StreamTransport, handle: Handle) -> None:
        self._transport = transport
        self._handle = handle

    def cancel(self) -> None:
        self._transport.cancel(self._handle)
