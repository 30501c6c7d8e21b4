"""The events of one chaincode, block after block (fabric internal/pkg/gateway/chaincodeevents.go).

With ``after_transaction_id`` the stream starts in that transaction's block and withholds events up
to and including that transaction's. Fabric goes by the events alone and withholds for ever if the
transaction had none; here its place on the chain counts.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from tongban.node.core.gateway.errors import Code, GatewayError
from tongban.node.runtime.gateway.ports import GatewayChannel
from tongban.protos.chaincode_event_pb2 import ChaincodeEvent
from tongban.protos.gateway_pb2 import ChaincodeEventsRequest, ChaincodeEventsResponse


def start_block(request: ChaincodeEventsRequest, channel: GatewayChannel) -> int:
    """The first block to look at.

    Raises:
        GatewayError: the start position is of a kind that events cannot start from.
    """
    if request.after_transaction_id:
        found = channel.find_position(request.after_transaction_id)
        if found is not None:
            return found[0]
    kind = request.start_position.WhichOneof("Type")
    if kind == "specified":
        return request.start_position.specified.number
    if kind in (None, "next_commit"):
        return channel.height
    raise GatewayError(Code.INVALID_ARGUMENT, f"invalid start position type: {kind}")


class EventFilter:
    """Lets through the events of one chaincode, once the given transaction has been passed."""

    def __init__(self, request: ChaincodeEventsRequest, channel: GatewayChannel) -> None:
        self._chaincode = request.chaincode_id
        self._after_tx_id = request.after_transaction_id
        self._channel = channel

    def matching(self, number: int, events: Sequence[ChaincodeEvent]) -> list[ChaincodeEvent]:
        """The matching events of the next block; ``events`` are all of that block."""
        behind = self._behind(number, events) if self._after_tx_id else events
        return [event for event in behind if event.chaincode_id == self._chaincode]

    def _behind(self, number: int, events: Sequence[ChaincodeEvent]) -> Sequence[ChaincodeEvent]:
        passed = self._channel.find_position(self._after_tx_id)
        if passed is None or passed[0] > number:
            return ()
        self._after_tx_id = ""
        find = self._channel.find_position
        return [event for event in events if (find(event.tx_id) or (number, 0)) > passed]


async def chaincode_events(
    request: ChaincodeEventsRequest, channel: GatewayChannel, recheck: Callable[[], None]
) -> AsyncGenerator[ChaincodeEventsResponse, None]:
    """Answers for ever, one for each block that has matching events. ``recheck`` raises when the
    client may no longer read; it is asked before each answer."""
    number = start_block(request, channel)
    events = EventFilter(request, channel)
    while True:
        await channel.wait_for_block(number)
        matching = events.matching(number, await channel.chaincode_events(number))
        if matching:
            recheck()
            yield ChaincodeEventsResponse(events=matching, block_number=number)
        number += 1
        await asyncio.sleep(0)  # a long replay leaves the others their turn
