"""Commands as unary calls, on threads."""

from collections.abc import Callable
from concurrent.futures import CancelledError

import grpc

from ..channel import failure_of
from ..core.commands import Command, Failure
from ..core.transport import OnAnswer, Withdrawal
from ..core.unary import Calls, Reply, perform
from ..errors import StatusCode

Method = Callable[[str], "grpc.UnaryUnaryMultiCallable[bytes, bytes]"]


class UnaryTransport:
    """Carries out commands in the calls that every Fabric gateway serves. Answers arrive on grpc's
    threads."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._methods: dict[str, grpc.UnaryUnaryMultiCallable[bytes, bytes]] = {}

    def start(self, command: Command, on_answer: OnAnswer) -> Withdrawal:
        running = _Running(self._method, perform(command), on_answer)
        running.go_on(None)
        return running

    def _method(self, name: str) -> "grpc.UnaryUnaryMultiCallable[bytes, bytes]":
        method = self._methods.get(name)
        if method is None:
            method = self._channel.unary_unary(name, None, None)
            self._methods[name] = method
        return method


class _Running:
    """One command under way; at most one call of it at a time."""

    def __init__(self, method: Method, calls: Calls, on_answer: OnAnswer) -> None:
        self._method = method
        self._calls = calls
        self._on_answer = on_answer
        self._future: grpc.Future[bytes] | None = None
        self._is_cancelled = False

    def go_on(self, reply: Reply | None) -> None:
        try:
            call = next(self._calls) if reply is None else self._calls.send(reply)
        except StopIteration as stop:
            self._on_answer(stop.value)
            return
        self._future = self._method(call.method).future(call.request, timeout=call.timeout_s)
        self._future.add_done_callback(self._on_done)

    def cancel(self) -> None:
        self._is_cancelled = True
        if self._future is not None:
            self._future.cancel()

    def _on_done(self, future: "grpc.Future[bytes]") -> None:
        if self._is_cancelled:
            return
        reply: Reply
        try:
            reply = future.result()
        except grpc.RpcError as error:
            reply = failure_of(error)
        except (grpc.FutureCancelledError, CancelledError):
            reply = Failure(StatusCode.CANCELLED, "the gateway connection was closed")
        self.go_on(reply)
