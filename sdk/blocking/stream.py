"""Commands as messages on one long stream, on threads.

The session decides; this opens streams and moves frames. One thread of ours reads; one of grpc's
writes and keeps the time. While no stream stands, callers keep the time while they wait. A stream
is opened when something is asked, and again when it breaks while something is open.
"""

import math
import threading
import time
from collections.abc import Iterator

import grpc

from tongban.protos.errors import LimitExceeded, MalformedMessage

from ..channel import HELLO_TIMEOUT_S, STREAM_METHOD, AnswerStream, failure_of, software_name
from ..core.backoff import Backoff
from ..core.commands import Command, Failure, Pause
from ..core.handles import Answered, Handle
from ..core.session import Session
from ..core.transport import OnAnswer, Withdrawal
from ..errors import StatusCode

_CLOSED = Failure(StatusCode.CANCELLED, "the gateway connection was closed")


class StreamTransport:
    """Carries out commands on a stream to one gateway. Answers arrive on the reading thread, or on
    the caller's."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._method: grpc.StreamStreamMultiCallable[bytes, bytes]
        self._method = channel.stream_stream(STREAM_METHOD, None, None)
        self._session = Session(software_name())
        self._changed = threading.Condition()
        """Guards everything here; tells the writer that there may be something to send."""
        self._thread: threading.Thread | None = None
        self._is_running = False
        self._is_closed = False
        self._unsupported: str | None = None
        self._stream: _Stream | None = None

    def start(self, command: Command, on_answer: OnAnswer) -> Withdrawal:
        assert not isinstance(command, Pause)
        with self._changed:
            handle = self._session.open(command, on_answer, time.monotonic())
            if self._is_closed:
                self._session.abort(_CLOSED)
            elif self._unsupported is not None:
                self._session.give_up(self._unsupported)
            elif not self._session.is_idle and not self._is_running:
                self._is_running = True
                self._thread = threading.Thread(
                    target=self._keep_streaming, name="tongban-sdk-stream", daemon=True
                )
                self._thread.start()
            answers = self._session.take_answers()
            self._changed.notify_all()
        _hand_out(answers)
        return _Withdrawal(self, handle)

    def cancel(self, handle: Handle) -> None:
        with self._changed:
            self._session.cancel(handle)
            self._changed.notify_all()

    def tick(self) -> float | None:
        """End what has run out of time; seconds until the next time, None when nothing is open."""
        now = time.monotonic()
        with self._changed:
            if self._session.wake_at <= now:
                self._session.expire(now)
                self._changed.notify_all()
            wake_at = self._session.wake_at
            stream = self._stream
            if stream is not None and not self._session.is_established:
                wake_at = min(wake_at, stream.hello_by)
                if stream.hello_by <= now and stream.call is not None:
                    stream.is_late = True
                    stream.call.cancel()
                    wake_at = self._session.wake_at
            answers = self._session.take_answers()
        _hand_out(answers)
        return None if math.isinf(wake_at) else max(0.0, wake_at - now)

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._session.abort(_CLOSED)
            answers = self._session.take_answers()
            stream = self._stream
            self._changed.notify_all()
        _hand_out(answers)
        if stream is not None and stream.call is not None:
            stream.call.cancel()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(HELLO_TIMEOUT_S)

    def _keep_streaming(self) -> None:
        backoff = Backoff()
        while True:
            failure = self._one_stream()
            with self._changed:
                if self._session.is_established:
                    backoff.reset()
                    self._session.stream_ended(failure, time.monotonic())
                elif failure.code == StatusCode.UNIMPLEMENTED:
                    self._unsupported = failure.message
                    self._session.give_up(failure.message)
                else:
                    self._session.connect_failed(failure)
                answers = self._session.take_answers()
                self._is_running = not (self._session.is_idle or self._is_closed)
                is_running = self._is_running
            _hand_out(answers)
            if not is_running:
                return
            with self._changed:
                self._changed.wait_for(self._was_closed, backoff.next_s())

    def _was_closed(self) -> bool:
        return self._is_closed

    def _one_stream(self) -> Failure:
        """Open a stream and use it until it ends; how it ended."""
        with self._changed:
            if self._is_closed:
                return _CLOSED
            self._session.stream_started()
            stream = self._stream = _Stream(time.monotonic() + HELLO_TIMEOUT_S)
        call = self._method(self._frames(stream))
        with self._changed:
            stream.call = call
            is_closed = self._is_closed
        if is_closed:
            call.cancel()
        try:
            for data in call:
                self._receive(data)
        except (MalformedMessage, LimitExceeded) as error:
            call.cancel()
            is_known = self._session.is_established
            code = StatusCode.INTERNAL if is_known else StatusCode.UNIMPLEMENTED
            return Failure(code, f"the gateway broke the stream's protocol: {error}")
        except grpc.RpcError as error:
            if stream.is_late:
                text = f"the gateway said no hello within {HELLO_TIMEOUT_S:g} s"
                return Failure(StatusCode.UNAVAILABLE, text)
            return failure_of(error)
        finally:
            with self._changed:
                self._stream = None
                self._changed.notify_all()
        return Failure(StatusCode.UNAVAILABLE, "the gateway ended the stream")

    def _receive(self, data: bytes) -> None:
        with self._changed:
            self._session.receive(data, time.monotonic())
            answers = self._session.take_answers()
            self._changed.notify_all()
        _hand_out(answers)

    def _frames(self, stream: "_Stream") -> Iterator[bytes]:
        """What grpc's thread sends, until the stream is another one."""
        while True:
            answers: list[Answered] = []
            with self._changed:
                while True:
                    if self._stream is not stream:
                        return
                    now = time.monotonic()
                    if self._session.wake_at <= now:
                        self._session.expire(now)
                        answers = self._session.take_answers()
                    frame = self._session.next_frame(now)
                    if frame or answers:
                        break
                    wake_at = self._session.wake_at
                    self._changed.wait(None if math.isinf(wake_at) else wake_at - now)
            _hand_out(answers)
            if frame:
                yield frame


class _Stream:
    """One attempt."""

    __slots__ = ("call", "hello_by", "is_late")

    def __init__(self, hello_by: float) -> None:
        self.hello_by = hello_by
        self.is_late = False
        self.call: AnswerStream | None = None


class _Withdrawal:
    __slots__ = ("_handle", "_transport")

    def __init__(self, transport: StreamTransport, handle: Handle) -> None:
        self._transport = transport
        self._handle = handle

    def cancel(self) -> None:
        self._transport.cancel(self._handle)


def _hand_out(answers: list[Answered]) -> None:
    for answered in answers:
        assert callable(answered.waiter)
        answered.waiter(answered.answer)
