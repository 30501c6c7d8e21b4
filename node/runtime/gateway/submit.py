"""Hand a signed envelope to the orderers of its channel (fabric internal/pkg/gateway/submit.go)."""

import asyncio
import random

from tongban.node.core.gateway.errors import Code, GatewayError, NodeError
from tongban.node.runtime.gateway.ports import GatewayChannel
from tongban.protos.common_pb2 import Envelope, Status
from tongban.protos.errors import TongbanError


class OrdererUnreachable(TongbanError):
    """An orderer gave no answer."""


async def submit(envelope: Envelope, channel: GatewayChannel, limit: float | None) -> None:
    """Returns when an orderer has accepted the envelope. It is not committed then. Each orderer may
    take ``limit`` seconds to answer, any time if that is None.

    Raises:
        GatewayError: no orderer accepted it.
    """
    orderers = channel.orderers
    addresses = list(orderers.addresses)
    if not addresses:
        raise GatewayError(Code.UNAVAILABLE, "no orderer nodes available")
    random.shuffle(addresses)
    errors: list[NodeError] = []
    for address in addresses:
        try:
            async with asyncio.timeout(limit):
                answer = await orderers.broadcast(address, envelope)
        except (OrdererUnreachable, TimeoutError) as error:
            text = str(error) or "no answer in time"
            errors.append(NodeError(address, channel.orderer_msp_id(address), text))
            continue
        if answer.status == Status.SUCCESS:
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
