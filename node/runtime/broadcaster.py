"""What an orderer does with an envelope, whichever stream it came by.

A caller hands over an envelope and a callback. The callback is called exactly once: at once for an
envelope that is refused, and after the sync of its block for one that is ordered.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from tongban.node.core.broadcast_checks import (
    Admission,
    BroadcastRefused,
    parse_broadcast,
)
from tongban.node.core.errors import Overloaded, ShuttingDown
from tongban.node.ordering.batcher import WaitingEnvelope
from tongban.protos.ab_pb2 import BroadcastResponse
from tongban.protos.common_pb2 import Envelope, Status

OnAnswer = Callable[[BroadcastResponse], None]

ORDERED = BroadcastResponse(status=Status.SUCCESS)
"""The one answer to every envelope that was ordered; nobody changes it."""


class EnvelopeQueue(Protocol):
    """Where admitted envelopes wait for the engine."""

    def submit(self, envelope: WaitingEnvelope) -> None: ...


@dataclass(frozen=True, slots=True)
class OrderedChannel:
    """A channel that this orderer orders."""

    admission: Callable[[], Admission]
    """For the configuration in force now."""
    queue: EnvelopeQueue


class Broadcaster:
    """Admits envelopes to the channels of this orderer."""

    def __init__(
        self,
        channels: Mapping[str, OrderedChannel],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_refusal: Callable[[BroadcastRefused], None] = lambda refused: None,
    ) -> None:
        self._channels = channels
        self._now = now
        self._on_refusal = on_refusal

    def broadcast(self, envelope: Envelope, on_answer: OnAnswer) -> bool:
        """Whether the envelope waits to be ordered. If it does not, its refusal has been told."""
        try:
            self._admit(envelope, on_answer)
        except BroadcastRefused as refused:
            self._on_refusal(refused)
            on_answer(BroadcastResponse(status=refused.status, info=refused.info))
            return False
        return True

    def _admit(self, envelope: Envelope, on_answer: OnAnswer) -> None:
        request = parse_broadcast(envelope)
        channel = self._channels.get(request.channel_id)
        if channel is None:
            raise BroadcastRefused(Status.BAD_REQUEST, "channel does not exist")
        channel.admission().check(request, self._now())
        waiting = WaitingEnvelope(
            request.serialize(), request.size_bytes, lambda position: on_answer(ORDERED)
        )
        try:
            channel.queue.submit(waiting)
        except (Overloaded, ShuttingDown) as error:
            raise BroadcastRefused(Status.SERVICE_UNAVAILABLE, str(error)) from None
