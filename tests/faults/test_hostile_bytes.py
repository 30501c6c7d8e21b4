"""Bytes that are no messages, or almost, at every RPC of peers and orderers."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
import pytest

from tests.faults.conftest import Target
from tests.support.attacks import Actor, dial, seek_all, sign_proposal
from tests.support.load import CHANNEL, CONTRACT, connect, counter_of
from tests.support.mutations import Mutator
from tongban.protos.ab_pb2 import BroadcastResponse, SeekInfo
from tongban.protos.common_pb2 import Envelope, Status
from tongban.protos.gateway_pb2 import (
    ChaincodeEventsRequest,
    CommitStatusRequest,
    EndorseRequest,
    EvaluateRequest,
    SignedChaincodeEventsRequest,
    SignedCommitStatusRequest,
    SubmitRequest,
)
from tongban.protos.stream_pb2 import (
    Announcements,
    GatewayFrame,
    GatewayMessage,
    Hello,
    OrdererFrame,
    OrdererMessage,
    PeerFrame,
    PeerMessage,
    SignedAnnouncement,
)
from tongban.sdk.core.proposal import Invocation

pytestmark = pytest.mark.slow

CALLS = 60
"""Of each method."""

AT_ONCE = 8
CALL_SECONDS_MAX = 1.0
GROWTH_BYTES_MAX = 24 * 1024 * 1024
"""Of any node, from the second round of all attacks to the last."""

GET = Invocation(CHANNEL, CONTRACT, (b"Get", b"honest"))
HELLO = Hello(version=1, window=10)


@dataclass(frozen=True)
class Method:
    """A method, and requests of the right form that a client could send on one call."""

    name: str
    requests: Sequence[bytes]
    is_unary: bool = False


class _Requests:
    """Requests of an honest client; those that would be ordered are not signed by it."""

    def __init__(self, actor: Actor, payload: bytes) -> None:
        self.actor = actor
        self.signed = sign_proposal(actor, GET)
        self.unsigned = Envelope(payload=payload, signature=b"not signed")
        request = CommitStatusRequest(
            transaction_id="0" * 64, channel_id=CHANNEL, identity=actor.creator
        ).SerializeToString()
        self.status = SignedCommitStatusRequest(request=request, signature=actor.sign(request))
        events = ChaincodeEventsRequest(
            channel_id=CHANNEL, chaincode_id=CONTRACT, identity=actor.creator
        ).SerializeToString()
        self.events = SignedChaincodeEventsRequest(request=events, signature=actor.sign(events))

    def of_peers(self) -> list[Method]:
        endorse = EndorseRequest(channel_id=CHANNEL, proposed_transaction=self.signed)
        evaluate = EvaluateRequest(channel_id=CHANNEL, proposed_transaction=self.signed)
        submit = SubmitRequest(channel_id=CHANNEL, prepared_transaction=self.unsigned)
        frame = GatewayFrame(
            messages=[
                GatewayMessage(id=1, deadline_ms=500, propose=endorse),
                GatewayMessage(id=2, deadline_ms=500, submit=submit),
                GatewayMessage(id=3, deadline_ms=500, evaluate=evaluate),
                GatewayMessage(id=4, deadline_ms=500, commit_status=self.status),
            ]
        )
        news = Announcements(announcements=[SignedAnnouncement(identity=self.actor.creator)])
        peers = PeerFrame(
            messages=[
                PeerMessage(id=1, endorse=self.signed),
                PeerMessage(announcements=news),
            ]
        )
        seek = seek_all(self.actor, SeekInfo.FAIL_IF_NOT_READY)
        return [
            _unary("/gateway.Gateway/Endorse", endorse.SerializeToString()),
            _unary("/gateway.Gateway/Evaluate", evaluate.SerializeToString()),
            _unary("/gateway.Gateway/Submit", submit.SerializeToString()),
            _unary("/gateway.Gateway/CommitStatus", self.status.SerializeToString()),
            Method("/gateway.Gateway/ChaincodeEvents", [self.events.SerializeToString()]),
            _unary("/protos.Endorser/ProcessProposal", self.signed.SerializeToString()),
            Method("/protos.Deliver/Deliver", [seek, seek]),
            Method("/protos.Deliver/DeliverFiltered", [seek, seek]),
            Method("/protos.Deliver/DeliverWithPrivateData", [seek, seek]),
            Method(
                "/tongban.gateway.Gateway/Stream",
                [GatewayFrame(hello=HELLO).SerializeToString(), frame.SerializeToString()],
            ),
            Method(
                "/tongban.peer.Peer/Stream",
                [PeerFrame(hello=HELLO).SerializeToString(), peers.SerializeToString()],
            ),
        ]

    def of_orderers(self) -> list[Method]:
        envelope = self.unsigned.SerializeToString()
        frame = OrdererFrame(messages=[OrdererMessage(id=1, broadcast=self.unsigned)])
        seek = seek_all(self.actor, SeekInfo.FAIL_IF_NOT_READY)
        return [
            Method("/orderer.AtomicBroadcast/Broadcast", [envelope, envelope]),
            Method("/orderer.AtomicBroadcast/Deliver", [seek, seek]),
            Method(
                "/tongban.orderer.Orderer/Stream",
                [OrdererFrame(hello=HELLO).SerializeToString(), frame.SerializeToString()],
            ),
        ]


def _unary(name: str, request: bytes) -> Method:
    return Method(name, [request], is_unary=True)


async def call(channel: grpc.aio.Channel, method: Method, requests: Sequence[bytes]) -> str:
    """Send the requests and read to the end; how the call ended."""
    try:
        async with asyncio.timeout(CALL_SECONDS_MAX):
            if method.is_unary:
                await channel.unary_unary(method.name, bytes, bytes)(requests[0])
                return "OK"
            stream = channel.stream_stream(method.name, bytes, bytes)()
            try:
                for request in requests:
                    await stream.write(request)
                await stream.done_writing()
                while await stream.read() is not grpc.aio.EOF:
                    pass
                return (await stream.code()).name
            finally:
                stream.cancel()
    except grpc.aio.AioRpcError as error:
        # The client's own library says so if its write met the end of the call.
        is_own = error.details() == "Internal error from Core"
        return "REFUSED EARLY" if is_own else error.code().name
    except asyncio.InvalidStateError:
        return "REFUSED EARLY"
    except TimeoutError:
        return "STILL SERVED"


async def attack(channel: grpc.aio.Channel, method: Method, mutator: Mutator) -> set[str]:
    """Spoilt requests at one method; how the calls ended."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(turn: int) -> str:
        requests = list(method.requests)
        spoilt = turn % len(requests)
        is_random = turn % 5 == 0
        requests[spoilt] = mutator.random() if is_random else mutator.spoil(requests[spoilt])
        async with places:
            return await call(channel, method, requests)

    return set(await asyncio.gather(*(one(turn) for turn in range(CALLS))))


def test_garbage_at_every_rpc_changes_nothing(target: Target) -> None:
    organization = target.network.topology.organizations[0]

    async def work() -> None:
        async with connect(target.network, organization, organization.peers[0]) as gateway:
            contract = counter_of(gateway)
            await contract.submit("Put", "honest", "work")
            payload = (await contract.new_proposal("Put", "loot", "x").endorse()).message
        await asyncio.to_thread(target.network.wait_for_equal_heights, CHANNEL)
        heights = target.heights()
        requests = _Requests(target.cast.honest, payload)
        orderer, peer, _ = target.node_names
        for round_number in range(3):
            mutator = Mutator(round_number)
            for name, methods in (
                (orderer, requests.of_orderers()),
                (peer, requests.of_peers()),
            ):
                async with dial(target.network, name) as channel:
                    for method in methods:
                        endings = await attack(channel, method, mutator)
                        print(method.name, endings)
                        assert "INTERNAL" not in endings, method.name
            if round_number == 0:
                before = target.memory()
        print({name: used - before[name] for name, used in target.memory().items()})
        assert target.heights() == heights
        for name, used in target.memory().items():
            assert used - before[name] < GROWTH_BYTES_MAX, f"{name} grows"

    asyncio.run(work())


def test_signed_garbage_in_blocks_is_found_invalid_by_all_peers_alike(target: Target) -> None:
    """A writer of the channel sends envelopes whose contents are broken at every depth. The orderer
    does not look into them, so they come to the peers in blocks."""
    organization = target.network.topology.organizations[0]
    count, ordered = 300, 0

    async def work() -> None:
        nonlocal ordered
        mutator = Mutator(77)
        honest = target.cast.honest
        async with (
            connect(target.network, organization, organization.peers[0]) as gateway,
            dial(target.network, target.node_names[0]) as orderer,
        ):
            contract = counter_of(gateway)
            payload = (await contract.new_proposal("Put", "loot", "stolen").endorse()).message
            # What is left of it could be the transaction itself, where the mutation is harmless.
            await contract.submit("Put", "loot", "")
            for _ in range(count):
                spoilt = mutator.spoil(payload)
                if spoilt == payload:
                    continue
                envelope = Envelope(payload=spoilt, signature=honest.sign(spoilt))
                ordered += await _broadcast(orderer, envelope) == Status.SUCCESS
            await contract.submit("Put", "honest", "work")

    before = target.network.wait_for_equal_heights(CHANNEL)
    asyncio.run(work())
    after = target.network.wait_for_equal_heights(CHANNEL)
    print(f"{ordered} of {count} were ordered")
    assert ordered > count // 3
    assert after - before == ordered + 2
    target.check_alive()


async def _broadcast(orderer: grpc.aio.Channel, envelope: Envelope) -> int:
    call = orderer.stream_stream(
        "/orderer.AtomicBroadcast/Broadcast",
        Envelope.SerializeToString,
        BroadcastResponse.FromString,
    )()
    await call.write(envelope)
    await call.done_writing()
    response = await call.read()
    assert isinstance(response, BroadcastResponse)
    return response.status
