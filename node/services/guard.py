"""Every call of every service passes here: limits, refusals to statuses, faults to the supervisor.

``grpc.aio`` alone would answer UNKNOWN to whatever a handler raises and go on serving, also when an
invariant is broken. Here a refusal becomes its status, and anything unexpected stops the node.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import DecodeError

from tongban.node.core.errors import Overloaded, ShuttingDown
from tongban.node.runtime.faults import FaultSink
from tongban.node.services.status import to_status
from tongban.protos.errors import MalformedMessage, TongbanError

# Requests and responses are of any message type here, and grpc's own types say no more.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behavior: TypeAlias = Callable[[Any, Any], Any]

CONCURRENCY_LIMITS: Mapping[str, int] = {
    "/protos.Endorser": 2_500,
    "/protos.Deliver": 2_500,
    "/gateway.Gateway": 500,
    "/orderer.AtomicBroadcast": 2_500,
    "/tongban.gateway.Gateway": 2_500,
    "/tongban.orderer.Orderer": 2_500,
    "/tongban.peer.Peer": 1_000,
}
"""Calls in flight for each service. The first three are those of Go peers by default (fabric
sampleconfig/core.yaml, peer.limits.concurrency); a Go orderer has no limit. Of the others each call
is a long stream of one client, orderer's follower or peer."""

FAULT_TEXT = "the node is stopping after an internal fault; its log says which"


class CallGuard(grpc.aio.ServerInterceptor):
    """The one interceptor of a server."""

    def __init__(self, faults: FaultSink, limits: Mapping[str, int] = CONCURRENCY_LIMITS) -> None:
        self._faults = faults
        self._limits = dict(limits)
        self._open: dict[str, int] = {}
        self._draining = False
        self._guarded: dict[str, Handler] = {}

    def drain(self) -> None:
        """New calls are refused from now on."""
        self._draining = True

    def count_open(self) -> dict[str, int]:
        """Calls that are being served, by ``/package.Service``."""
        return dict(self._open)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:  # None for a method that nobody serves, which the stubs do not say
        method = handler_call_details.method
        guarded = self._guarded.get(method)
        if guarded is None:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            guarded = self._guarded[method] = self._guard(handler, method)
        return guarded

    def _guard(self, handler: Any, method: str) -> Handler:  # has fields the stubs leave out
        service = method[: method.rindex("/")]
        parse_request = handler.request_deserializer
        serializer = handler.response_serializer
        if handler.request_streaming:
            assert handler.response_streaming, f"{method}: no service streams requests only"
            guarded = self._guard_any(handler.stream_stream, service, None)
            return grpc.stream_stream_rpc_method_handler(guarded, parse_request, serializer)
        # A request that cannot be parsed must come to the guard, so it is parsed inside of it.
        if handler.response_streaming:
            guarded = self._guard_any(handler.unary_stream, service, parse_request)
            return grpc.unary_stream_rpc_method_handler(guarded, None, serializer)
        guarded = self._guard_call(handler.unary_unary, service, parse_request)
        return grpc.unary_unary_rpc_method_handler(guarded, None, serializer)

    def _guard_any(
        self, behavior: Behavior, service: str, parse_request: Callable[[bytes], Any] | None
    ) -> Behavior:
        if inspect.isasyncgenfunction(behavior):
            return self._guard_yielding(behavior, service, parse_request)
        return self._guard_call(behavior, service, parse_request)

    def _guard_call(
        self, behavior: Behavior, service: str, parse_request: Callable[[bytes], Any] | None
    ) -> Behavior:
        """For a behavior that returns its response, or writes its responses to the context."""

        async def call(request: Any, context: Context) -> Any:
            entered = False
            try:
                self._enter(service)
                entered = True
                if parse_request is not None:
                    request = parse_request(request)
                return await behavior(request, context)
            except Exception as error:
                await self._fail(error, context)
            finally:
                if entered:
                    self._open[service] -= 1

        return call

    def _guard_yielding(
        self, behavior: Behavior, service: str, parse_request: Callable[[bytes], Any] | None
    ) -> Behavior:
        """For a behavior that yields its responses."""

        async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
            entered = False
            try:
                self._enter(service)
                entered = True
                if parse_request is not None:
                    request = parse_request(request)
                async with aclosing(behavior(request, context)) as responses:
                    async for response in responses:
                        yield response
            except Exception as error:
                await self._fail(error, context)
            finally:
                if entered:
                    self._open[service] -= 1

        return stream

    def _enter(self, service: str) -> None:
        if self._draining:
            raise ShuttingDown("the node is shutting down")
        count = self._open.get(service, 0)
        limit = self._limits.get(service)
        if limit is not None and count >= limit:
            raise Overloaded(service, limit)
        self._open[service] = count + 1

    async def _fail(self, error: Exception, context: Context) -> NoReturn:
        """End the call with what the error means to its client."""
        if isinstance(error, ExceptionGroup):
            error = _most_serious(error)
        if isinstance(error, grpc.aio.BaseError | asyncio.TimeoutError):
            raise error  # aborted by the handler, or the client has gone
        if isinstance(error, DecodeError):
            error = MalformedMessage("request", str(error))
        if isinstance(error, TongbanError):
            status = to_status(error)
            await context.abort(status.code, status.message, status.trailers())
        self._faults.fault(error)
        await context.abort(grpc.StatusCode.INTERNAL, FAULT_TEXT)
        raise AssertionError("abort raises")


def _most_serious(group: ExceptionGroup[Exception]) -> Exception:
    """A fault if there is one in the group, else a refusal, else anything."""
    leaves: list[Exception] = []
    for error in group.exceptions:
        leaves.append(_most_serious(error) if isinstance(error, ExceptionGroup) else error)
    harmless = (grpc.aio.BaseError, TongbanError, DecodeError)
    faults = [error for error in leaves if not isinstance(error, harmless)]
    refusals = [error for error in leaves if isinstance(error, TongbanError | DecodeError)]
    return (faults or refusals or leaves)[0]
