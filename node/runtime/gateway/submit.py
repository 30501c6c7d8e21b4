"""Hand a signed envelope to the orderers of its channel (fabric internal/pkg/gateway/submit.go)."""

import asyncio
import random

from tongban.node.core.gateway.errors import Code, GatewayError, NodeError
from tongban.node.runtime.gateway.ports import GatewayChannel
from tongban.protos.common_pb2 import Envelope, Status
from tongban.protos.errors import TongbanError

BROADCAST_SECONDS = 30.0
"""How long one orderer may take to answer (fabric sampleconfig/core.yaml, broadcastTimeout)."""


class OrdererUnreachable(TongbanError):
    """An orderer gave no answer."""


async def submit(envelope: Envelope, channel: GatewayChannel, deadline: float | None) -> None:
    """Returns when an orderer has accepted the envelope. It is not committed then. The caller gives
    up after ``deadline`` seconds, so that no orderer needs a shorter limit of its own then.

    Raises:
        GatewayError: no orderer accepted it.
    """
    if not envelope.signature:
        raise GatewayError(Code.INVALID_ARGUMENT, "prepared transaction must be signed")
    orderers = channel.orderers
    addresses = list(orderers.addresses)
    if not addresses:
        raise GatewayError(Code.UNAVAILABLE, "no orderer nodes available")
    random.shuffle(addresses)
    errors: list[NodeError] = []
    limit = None if deadline is not None and deadline <= BROADCAST_SECONDS else BROADCAST_SECONDS
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
