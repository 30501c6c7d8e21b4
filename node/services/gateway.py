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

    async def Endorse(  # noqa: N802, the name on the wire
        self, request: gateway_pb2.EndorseRequest, context: Context
    ) -> gateway_pb2.EndorseResponse:
        return await self._gateway.endorse(request, _seconds_left(context))

    async def Submit(  # noqa: N802
        self, request: gateway_pb2.SubmitRequest, context: Context
    ) -> gateway_pb2.SubmitResponse:
        return await self._gateway.submit(request, _seconds_left(context))

    async def CommitStatus(  # noqa: N802
        self, request: gateway_pb2.SignedCommitStatusRequest, context: Context
    ) -> gateway_pb2.CommitStatusResponse:
        return await self._gateway.commit_status(request, _seconds_left(context))

    async def Evaluate(  # noqa: N802
        self, request: gateway_pb2.EvaluateRequest, context: Context
    ) -> gateway_pb2.EvaluateResponse:
        return await self._gateway.evaluate(request, _seconds_left(context))

    async def ChaincodeEvents(  # noqa: N802
        self, request: gateway_pb2.SignedChaincodeEventsRequest, context: Context
    ) -> AsyncGenerator[gateway_pb2.ChaincodeEventsResponse, None]:
        async with aclosing(self._gateway.chaincode_events(request)) as responses:
            async for response in responses:
                yield response


def _seconds_left(context: Context) -> float | None:
    """Until the client's deadline, None if it set none."""
    return context.time_remaining()
