"""``gateway.Gateway``: the unary calls of official Fabric clients."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from tongban.node.runtime.gateway.gateway import Gateway
from tongban.node.services.guard import Context
from tongban.protos import gateway_pb2
from tongban.protos.services.gateway_pb2_grpc import GatewayServicer


class GatewayService(GatewayServicer):
    """Deadlines are those that clients set; a call without one waits as long as its parts do."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._open = _Open()

    @property
    def count_open(self) -> int:
        """Calls that are being served, without those that wait for events."""
        return self._open.count

    async def Endorse(  # noqa: N802, the name on the wire
        self, request: gateway_pb2.EndorseRequest, context: Context
    ) -> gateway_pb2.EndorseResponse:
        with self._open:
            return await self._gateway.endorse(request, _seconds_left(context))

    async def Submit(  # noqa: N802
        self, request: gateway_pb2.SubmitRequest, context: Context
    ) -> gateway_pb2.SubmitResponse:
        with self._open:
            return await self._gateway.submit(request, _seconds_left(context))

    async def CommitStatus(  # noqa: N802
        self, request: gateway_pb2.SignedCommitStatusRequest, context: Context
    ) -> gateway_pb2.CommitStatusResponse:
        with self._open:
            return await self._gateway.commit_status(request, _seconds_left(context))

    async def Evaluate(  # noqa: N802
        self, request: gateway_pb2.EvaluateRequest, context: Context
    ) -> gateway_pb2.EvaluateResponse:
        with self._open:
            return await self._gateway.evaluate(request, _seconds_left(context))

    async def ChaincodeEvents(  # noqa: N802
        self, request: gateway_pb2.SignedChaincodeEventsRequest, context: Context
    ) -> AsyncGenerator[gateway_pb2.ChaincodeEventsResponse, None]:
        async with aclosing(self._gateway.chaincode_events(request)) as responses:
            async for response in responses:
                yield response


class _Open:
    """Counts who is inside."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, *error: object) -> None:
        self.count -= 1


def _seconds_left(context: Context) -> float | None:
    """Until the client's deadline, None if it set none."""
    return context.time_remaining()
