"""The events of one chaincode, block after block (fabric internal/pkg/gateway/chaincodeevents.go).

With ``after_transaction_id`` the stream starts in that transaction's block and withholds events up
to and including that transaction's. Fabric withholds for ever if the transaction had no event; here
the end of its block releases the rest.
"""

from collections.abc import AsyncGenerator, Callable

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
        found = channel.find_block_of(request.after_transaction_id)
        if found is not None:
            return found
    kind = request.start_position.WhichOneof("Type")
    if kind == "specified":
        return request.start_position.specified.number
    if kind in (None, "next_commit"):
        return channel.height
    raise GatewayError(Code.INVALID_ARGUMENT, f"invalid start position type: {kind}")


class EventFilter:
    """Lets through the events of one chaincode, once the given transaction has been passed."""

    def __init__(self, chaincode: str, after_tx_id: str) -> None:
        self._chaincode = chaincode
        self._after_tx_id = after_tx_id

    def matching(self, events: list[ChaincodeEvent]) -> list[ChaincodeEvent]:
        """The matching events of the next block; ``events`` are all of that block."""
        if self._after_tx_id:
            passed = [
                index for index, event in enumerate(events) if event.tx_id == self._after_tx_id
            ]
            events = events[passed[-1] + 1 :] if passed else []
            self._after_tx_id = ""
        return [event for event in events if event.chaincode_id == self._chaincode]


async def chaincode_events(
    request: ChaincodeEventsRequest, channel: GatewayChannel, recheck: Callable[[], None]
) -> AsyncGenerator[ChaincodeEventsResponse, None]:
    """Answers for ever, one for each block that has matching events. ``recheck`` raises when the
    client may no longer read; it is asked before each answer."""
    number = start_block(request, channel)
    events = EventFilter(request.chaincode_id, request.after_transaction_id)
    while True:
        await channel.wait_for_block(number)
        matching = events.matching(channel.chaincode_events(number))
        if matching:
            recheck()
            yield ChaincodeEventsResponse(events=matching, block_number=number)
        number += 1
