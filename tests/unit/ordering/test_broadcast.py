"""Which envelopes an orderer admits, with Fabric's statuses and texts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from tests.support.ordering import CHANNEL, SmallNetwork, envelope, small_network
from tests.support.pki import EXPIRED
from tongban.node.core.broadcast_checks import Admission, parse_broadcast
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.errors import ShuttingDown
from tongban.node.ordering.batcher import WaitingEnvelope
from tongban.node.runtime.broadcaster import Broadcaster, OrderedChannel
from tongban.protos.ab_pb2 import BroadcastResponse
from tongban.protos.common_pb2 import Envelope, Header, HeaderType, Payload, Status
from tongban.protos.signing import GROUP_ORDERS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Queue:
    def __init__(self, refuses: bool = False) -> None:
        self.taken: list[WaitingEnvelope] = []
        self.refuses = refuses

    def submit(self, envelope: WaitingEnvelope) -> None:
        if self.refuses:
            raise ShuttingDown("the orderer is shutting down")
        self.taken.append(envelope)


def orderer(queue: Queue, config: ChannelConfig | None = None) -> Broadcaster:
    found = config or ChannelConfig.from_genesis(small_network().genesis)
    admission = Admission(found)
    channel = OrderedChannel(lambda: admission, queue)
    return Broadcaster({CHANNEL: channel}, now=lambda: NOW)


def unsigned() -> Envelope:
    return Envelope(payload=envelope(small_network().client).payload)


def tampered() -> Envelope:
    good = envelope(small_network().client)
    payload = Payload.FromString(good.payload)
    payload.data = b"other"
    return Envelope(payload=payload.SerializeToString(), signature=good.signature)


def high_s() -> Envelope:
    good = envelope(small_network().client)
    r, s = decode_dss_signature(good.signature)
    return Envelope(
        payload=good.payload, signature=encode_dss_signature(r, GROUP_ORDERS["secp256r1"] - s)
    )


def of(kind: int) -> Envelope:
    return envelope(small_network().client, kind=kind)


NO_WRITER = (
    "implicit policy evaluation failed - 0 sub-policies were satisfied, but this policy requires 1 "
    "of the 'Writers' sub-policies to be satisfied: permission denied"
)


class Case(NamedTuple):
    name: str
    make: Callable[[], Envelope]
    status: int
    info: str


CASES = [
    Case("an empty envelope", Envelope, 400, "could not determine channel ID: Payload: header not"),
    Case(
        "a payload that is no message",
        lambda: Envelope(payload=b"\xff\xff"),
        400,
        "could not determine channel ID: ",
    ),
    Case(
        "a header without a channel header",
        lambda: Envelope(payload=Payload(header=Header()).SerializeToString()),
        400,
        "could not determine channel ID: Payload: channel header not set",
    ),
    Case(
        "an unknown channel",
        lambda: envelope(small_network().client, channel_id="other"),
        400,
        "channel does not exist",
    ),
    Case(
        "a configuration", lambda: of(HeaderType.CONFIG), 400, "message is of type that cannot be"
    ),
    Case(
        "a retired kind",
        lambda: of(HeaderType.ORDERER_TRANSACTION),
        400,
        "message is of type that is no longer supported",
    ),
    Case(
        "a configuration update",
        lambda: of(HeaderType.CONFIG_UPDATE),
        400,
        "this orderer does not apply channel configuration updates",
    ),
    Case("no signature", unsigned, 403, NO_WRITER),
    Case("another payload", tampered, 403, NO_WRITER),
    Case("a high S", high_s, 403, NO_WRITER),
    Case(
        "an unknown organization",
        lambda: envelope(small_network().stranger.users[0]),
        403,
        NO_WRITER,
    ),
    Case(
        "an expired creator",
        lambda: envelope(small_network().org.issue("old", not_after=EXPIRED)),
        400,
        "broadcast client identity expired",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_what_is_refused_is_answered_and_not_queued(case: Case) -> None:
    queue, answers = Queue(), list[BroadcastResponse]()
    assert not orderer(queue).broadcast(case.make(), answers.append)
    assert [answer.status for answer in answers] == [case.status]
    assert answers[0].info.startswith(case.info)
    assert queue.taken == []


def test_a_good_envelope_waits_in_canonical_form_and_is_answered_when_ordered() -> None:
    queue, answers = Queue(), list[BroadcastResponse]()
    good = envelope(small_network().client)
    # An unknown field would make the block's entry differ from its own serialization.
    received = Envelope.FromString(good.SerializeToString() + b"\x1a\x01x")
    assert orderer(queue).broadcast(received, answers.append)
    assert answers == []
    (waiting,) = queue.taken
    assert waiting.serialized == good.SerializeToString()
    assert waiting.size_bytes == len(good.payload) + len(good.signature)
    waiting.on_ordered(7)
    assert [answer.status for answer in answers] == [Status.SUCCESS]


def test_the_largest_envelope_is_the_channels_absolute_maximum() -> None:
    base = ChannelConfig.from_genesis(small_network().genesis)
    sent = envelope(small_network().client)
    size = parse_broadcast(sent).size_bytes
    for limit, status in ((size, None), (size - 1, 400)):
        config = replace(base, orderer=replace(base.orderer, batch_bytes_absolute_max=limit))
        queue, answers = Queue(), list[BroadcastResponse]()
        orderer(queue, config).broadcast(sent, answers.append)
        assert [answer.status for answer in answers] == ([status] if status else [])
        assert len(queue.taken) == (0 if status else 1)
        if status:
            assert answers[0].info == (
                f"message payload is {size} bytes and exceeds maximum allowed {limit} bytes"
            )


def test_maintenance_and_a_closed_queue_are_unavailable() -> None:
    base = ChannelConfig.from_genesis(small_network().genesis)
    maintained = replace(base, orderer=replace(base.orderer, in_maintenance=True))
    for subject in (orderer(Queue(), maintained), orderer(Queue(refuses=True))):
        answers = list[BroadcastResponse]()
        assert not subject.broadcast(envelope(small_network().client), answers.append)
        assert [answer.status for answer in answers] == [Status.SERVICE_UNAVAILABLE]


def test_without_the_capability_expiry_is_left_to_the_policy() -> None:
    network = SmallNetwork()
    base = ChannelConfig.from_genesis(network.genesis)
    queue, answers = Queue(), list[BroadcastResponse]()
    old = network.org.issue("old", not_after=EXPIRED)
    subject = orderer(queue, replace(base, orderer_capabilities=frozenset()))
    assert subject.broadcast(envelope(old), answers.append)
    assert len(queue.taken) == 1
