"""Hand a signed envelope to the orderers of its channel (fabric internal/pkg/gateway/submit.go)."""

import asyncio
import math
import random

from tongban.node.core.gateway.errors import Code, GatewayError, NodeError
from tongban.node.runtime.gateway.ports import GatewayChannel
from tongban.protos.common_pb2 import Envelope, Status
from tongban.protos.errors import TongbanError

TOO_LATE = "submit timeout expired while broadcasting to ordering service"

_SUCCESS = Status.SUCCESS


class OrdererUnreachable(TongbanError):
    """An orderer gave no answer."""


async def submit(
    envelope: Envelope, channel: GatewayChannel, limit: float, deadline: float | None
) -> None:
    """Returns when an orderer has accepted the envelope. It is not committed then. Each orderer may
    take ``limit`` seconds to answer, and all together may take ``deadline`` seconds.

    Raises:
        GatewayError: no orderer accepted it.
    """
    loop = asyncio.get_running_loop()
    ends = math.inf if deadline is None else loop.time() + deadline
    orderers = channel.orderers
    addresses = list(orderers.addresses)
    if not addresses:
        raise GatewayError(Code.UNAVAILABLE, "no orderer nodes available")
    random.shuffle(addresses)
    errors: list[NodeError] = []
    for address in addresses:
        until = min(loop.time() + limit, ends)
        try:
            async with asyncio.timeout_at(until):
                answer = await orderers.broadcast(address, envelope)
        except (OrdererUnreachable, TimeoutError) as error:
            if isinstance(error, TimeoutError) and until == ends:
                raise GatewayError(Code.DEADLINE_EXCEEDED, TOO_LATE) from None
            text = str(error) or "no answer in time"
            errors.append(NodeError(address, channel.orderer_msp_id(address), text))
            continue
        if answer.status == _SUCCESS:
            return
        text = (
            "received unsuccessful response from orderer: "
            f"status={Status.Name(answer.status)}, info={answer.info}"
        )
        if 400 <= answer.status < 500:
            raise GatewayError(Code.ABORTED, text)
        errors.append(NodeError(address, channel.orderer_msp_id(address), text))
    raise GatewayError(
        Code.UNAVAILABLE, "no orderers could successfully process transaction", errors
    )
