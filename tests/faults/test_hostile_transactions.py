"""Attacks with a purpose, on a network of real nodes: each is refused where it should be, or
ordered and found invalid, and changes nothing."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

import grpc
import pytest

from tests.faults.conftest import Target
from tests.support.attacks import (
    Actor,
    OpenedEnvelope,
    dial,
    sign_proposal,
    to_high_s,
    with_wrong_tx_id,
)
from tests.support.load import CHANNEL, CONTRACT, connect, counter_of
from tests.support.pki import make_organization
from tongban.protos.ab_pb2 import BroadcastResponse
from tongban.protos.common_pb2 import Envelope, Status
from tongban.protos.digest import compute_tx_id
from tongban.protos.gateway_pb2 import EndorseRequest, EvaluateRequest
from tongban.protos.kvrwset_pb2 import KVRWSet
from tongban.protos.proposal_pb2 import ChaincodeAction, SignedProposal
from tongban.protos.proposal_response_pb2 import (
    Endorsement,
    ProposalResponse,
    ProposalResponsePayload,
)
from tongban.protos.rwset_pb2 import TxReadWriteSet
from tongban.protos.transaction_pb2 import TxValidationCode as Code
from tongban.sdk.core.proposal import Invocation, Moment

pytestmark = pytest.mark.slow

KEY = "loot"
SECONDS_MAX = 20.0
PUT = Invocation(CHANNEL, CONTRACT, (b"Put", KEY.encode(), b"stolen"))

BadProposal = Callable[[Target], SignedProposal]


def by(role: str, invocation: Invocation = PUT) -> BadProposal:
    return lambda target: sign_proposal(getattr(target.cast, role), invocation)


def of_yesterday(target: Target) -> SignedProposal:
    return sign_proposal(
        target.cast.honest, PUT, Moment(b"n" * 24, time.time_ns() - 86_400 * 10**9)
    )


DENIED = f"error validating proposal: access denied: channel [{CHANNEL}] creator org [Org1MSP]"
UNKNOWN = f"error validating proposal: access denied: channel [{CHANNEL}] creator org unknown"
NOT_FOR_ENDORSERS = ("unknown channel", "unknown chaincode")
"""A gateway finds these out by itself and says so in its own words."""

REFUSALS = ("ABORTED", "FAILED_PRECONDITION", "UNAVAILABLE")

PROPOSALS: list[tuple[str, BadProposal, str]] = [
    ("wrong signature", by("careless"), DENIED),
    ("high S", by("high_s"), DENIED),
    ("expired certificate", by("expired"), "proposal client identity expired"),
    ("foreign certificate", by("foreign"), UNKNOWN),
    ("unknown MSP", by("unknown"), UNKNOWN),
    (
        "wrong transaction id",
        lambda target: with_wrong_tx_id(target.cast.honest, PUT),
        "error validating proposal: incorrectly computed txid",
    ),
    ("old timestamp", of_yesterday, "request unauthorized due to incorrect timestamp"),
    (
        "unknown channel",
        by("honest", replace(PUT, channel_id="nowhere")),
        "channel 'nowhere' not found",
    ),
    (
        "unknown chaincode",
        by("honest", replace(PUT, chaincode_name="nothing")),
        "make sure the chaincode nothing has been successfully defined",
    ),
]


def run(work: Callable[[], object]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(SECONDS_MAX):
            result = work()
            assert asyncio.iscoroutine(result)
            await result

    asyncio.run(bounded())


async def process_proposal(target: Target, name: str, signed: SignedProposal) -> str:
    """Why a peer refuses the proposal; empty if it endorses it."""
    async with dial(target.network, name) as channel:
        call = channel.unary_unary(
            "/protos.Endorser/ProcessProposal",
            SignedProposal.SerializeToString,
            ProposalResponse.FromString,
        )
        try:
            response = await call(signed)
        except grpc.aio.AioRpcError as error:
            return f"{error.details()}"
    return "" if response.endorsement.signature else response.response.message


async def ask_gateway(target: Target, name: str, method: str, request: bytes) -> str:
    """The code and everything that is said with it; empty if the call succeeds."""
    async with dial(target.network, name) as channel:
        try:
            await channel.unary_unary(f"/gateway.Gateway/{method}", bytes, bytes)(request)
        except grpc.aio.AioRpcError as error:
            details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
            assert isinstance(details, bytes)
            return f"{error.code().name} {error.details()} {details.decode(errors='replace')}"
    return ""


@pytest.mark.parametrize(("what", "make", "text"), PROPOSALS, ids=[row[0] for row in PROPOSALS])
def test_a_bad_proposal_is_refused_by_peers_and_gateways(
    target: Target, what: str, make: BadProposal, text: str
) -> None:
    heights = target.heights()

    async def work() -> None:
        for name in target.network.peer_names():
            assert (await process_proposal(target, name, make(target))).startswith(text)
            for organizations in ([], ["Org2MSP"], ["Org1MSP", "Org2MSP"]):
                endorse = EndorseRequest(
                    channel_id=CHANNEL,
                    proposed_transaction=make(target),
                    endorsing_organizations=organizations,
                ).SerializeToString()
                refusal = await ask_gateway(target, name, "Endorse", endorse)
                assert text in refusal or what in NOT_FOR_ENDORSERS, refusal
                assert refusal.split()[0] in REFUSALS
            evaluate = EvaluateRequest(channel_id=CHANNEL, proposed_transaction=make(target))
            assert await ask_gateway(target, name, "Evaluate", evaluate.SerializeToString())
        # Nobody is shunned for what somebody else has sent.
        await check_works(target)

    run(work)
    after = target.heights()
    assert after == {name: height + 1 for name, height in heights.items()}


def test_a_good_proposal_is_endorsed_once_its_transaction_is_committed_never_again(
    target: Target,
) -> None:
    async def work() -> None:
        organization = target.network.topology.organizations[0]
        async with connect(target.network, organization, organization.peers[0]) as gateway:
            proposal = counter_of(gateway).new_proposal("Put", "once", "1")
            transaction = await proposal.endorse()
            assert (await (await transaction.submit()).status()).is_valid
            signed = SignedProposal(proposal_bytes=proposal.message, signature=proposal.signature)
            await asyncio.to_thread(target.network.wait_for_equal_heights, CHANNEL)
            for name in target.network.peer_names():
                refusal = await process_proposal(target, name, signed)
                assert refusal.startswith(
                    f"duplicate transaction found [{proposal.transaction_id}]"
                )

    run(work)


async def check_works(target: Target) -> None:
    """A transaction of an honest client commits, and the attacker's key has no value."""
    organization = target.network.topology.organizations[0]
    async with connect(target.network, organization, organization.peers[0]) as gateway:
        contract = counter_of(gateway)
        await contract.submit("Put", "honest", "work")
    await asyncio.to_thread(target.network.wait_for_equal_heights, CHANNEL)
    for owner in target.network.topology.organizations:
        async with connect(target.network, owner, owner.peers[0]) as gateway:
            assert await counter_of(gateway).evaluate("Get", KEY) == b""


Forge = Callable[[Target, OpenedEnvelope], Envelope]


def rewritten(envelope: OpenedEnvelope, value: bytes) -> bytes:
    """The proposal response payload with another value written."""
    payload = ProposalResponsePayload.FromString(envelope.action.action.proposal_response_payload)
    action = ChaincodeAction.FromString(payload.extension)
    results = TxReadWriteSet.FromString(action.results)
    for namespace in results.ns_rwset:
        if namespace.namespace == CONTRACT:
            writes = KVRWSet.FromString(namespace.rwset)
            writes.writes[0].value = value
            namespace.rwset = writes.SerializeToString()
    action.results = results.SerializeToString()
    payload.extension = action.SerializeToString()
    return payload.SerializeToString()


def as_it_is(target: Target, opened: OpenedEnvelope) -> Envelope:
    return opened.signed_by(target.cast.honest)


def with_endorsements(*chosen: int) -> Forge:
    def forge(target: Target, opened: OpenedEnvelope) -> Envelope:
        endorsements = [opened.action.action.endorsements[index] for index in chosen]
        del opened.action.action.endorsements[:]
        opened.action.action.endorsements.extend(endorsements)
        return opened.signed_by(target.cast.honest)

    return forge


def endorsed_by(actor: Callable[[Target], Actor], which: int) -> Forge:
    """Somebody else's endorsement in place of a peer's, over the same bytes."""

    def forge(target: Target, opened: OpenedEnvelope) -> Envelope:
        signer = actor(target)
        message = opened.action.action.proposal_response_payload + signer.creator
        opened.action.action.endorsements[which].CopyFrom(
            Endorsement(endorser=signer.creator, signature=signer.sign(message))
        )
        return opened.signed_by(target.cast.honest)

    return forge


def foreign_peer(target: Target) -> Actor:
    signer = make_organization("Org2MSP", peers=1).peers[0].signer
    return Actor(signer.creator, signer.sign)


def client_of_second(target: Target) -> Actor:
    organization = target.network.topology.organizations[1]
    user = target.network.connections.identity(organization, "User1")
    return Actor(user.creator, user.sign)


def with_another_result(target: Target, opened: OpenedEnvelope) -> Envelope:
    opened.action.action.proposal_response_payload = rewritten(opened, b"stolen and more")
    return opened.signed_by(target.cast.honest)


def with_high_s_endorsement(target: Target, opened: OpenedEnvelope) -> Envelope:
    endorsement = opened.action.action.endorsements[1]
    endorsement.signature = to_high_s(endorsement.signature)
    return opened.signed_by(target.cast.honest)


def with_another_tx_id(target: Target, opened: OpenedEnvelope) -> Envelope:
    opened.channel.tx_id = compute_tx_id(b"another", target.cast.honest.creator)
    return opened.signed_by(target.cast.honest)


def with_another_call(target: Target, opened: OpenedEnvelope) -> Envelope:
    opened.action.chaincode_proposal_payload += b"\x1a\x00"
    return opened.signed_by(target.cast.honest)


def of_another_creator(target: Target, opened: OpenedEnvelope) -> Envelope:
    """Somebody submits what was endorsed for another one, under his own name."""
    thief = client_of_second(target)
    opened.signature.creator = thief.creator
    opened.channel.tx_id = compute_tx_id(opened.signature.nonce, thief.creator)
    return opened.signed_by(thief)


FORGERIES: list[tuple[str, Forge, Code.ValueType]] = [
    ("endorsed by one", with_endorsements(0), Code.ENDORSEMENT_POLICY_FAILURE),
    ("endorsed twice by one", with_endorsements(0, 0), Code.ENDORSEMENT_POLICY_FAILURE),
    ("endorsed by nobody", with_endorsements(), Code.ENDORSEMENT_POLICY_FAILURE),
    ("endorsed by a client", endorsed_by(client_of_second, 1), Code.ENDORSEMENT_POLICY_FAILURE),
    ("endorsed by a stranger", endorsed_by(foreign_peer, 1), Code.ENDORSEMENT_POLICY_FAILURE),
    ("another result", with_another_result, Code.ENDORSEMENT_POLICY_FAILURE),
    ("high S of an endorser", with_high_s_endorsement, Code.ENDORSEMENT_POLICY_FAILURE),
    ("wrong transaction id", with_another_tx_id, Code.BAD_PROPOSAL_TXID),
    ("another call", with_another_call, Code.INVALID_ENDORSER_TRANSACTION),
    ("another creator", of_another_creator, Code.INVALID_ENDORSER_TRANSACTION),
]


async def endorsed(target: Target, key: str, value: str) -> tuple[str, bytes]:
    """Transaction id and payload of an honestly endorsed transaction."""
    organization = target.network.topology.organizations[0]
    async with connect(target.network, organization, organization.peers[0]) as gateway:
        transaction = await counter_of(gateway).new_proposal("Put", key, value).endorse()
        return transaction.transaction_id, transaction.message


async def broadcast(target: Target, envelope: Envelope) -> BroadcastResponse:
    async with dial(target.network, target.node_names[0]) as channel:
        call = channel.stream_stream(
            "/orderer.AtomicBroadcast/Broadcast",
            Envelope.SerializeToString,
            BroadcastResponse.FromString,
        )()
        await call.write(envelope)
        await call.done_writing()
        response = await call.read()
        assert isinstance(response, BroadcastResponse)
        return response


async def verdict(target: Target, tx_id: str) -> str:
    """What every peer found."""
    found = set()
    for owner in target.network.topology.organizations:
        async with connect(target.network, owner, owner.peers[0]) as gateway:
            status = await gateway.get_network(CHANNEL).commit_status(tx_id, timeout_s=10)
            found.add(status.code_name)
    (one,) = found
    return one


@pytest.mark.parametrize(("what", "forge", "code"), FORGERIES, ids=[row[0] for row in FORGERIES])
def test_a_forged_transaction_is_ordered_and_found_invalid(
    target: Target, what: str, forge: Forge, code: Code.ValueType
) -> None:
    async def work() -> None:
        _, payload = await endorsed(target, KEY, "stolen")
        opened = OpenedEnvelope.of(payload)
        envelope = forge(target, opened)
        response = await broadcast(target, envelope)
        assert response.status == Status.SUCCESS, response
        assert await verdict(target, opened.channel.tx_id) == Code.Name(code)
        await check_works(target)

    run(work)


def test_an_envelope_that_is_sent_again_has_no_second_effect(target: Target) -> None:
    async def work() -> None:
        tx_id, payload = await endorsed(target, "replayed", "first")
        envelope = as_it_is(target, OpenedEnvelope.of(payload))
        assert (await broadcast(target, envelope)).status == Status.SUCCESS
        assert await verdict(target, tx_id) == "VALID"
        _, later = await endorsed(target, "replayed", "second")
        await broadcast(target, as_it_is(target, OpenedEnvelope.of(later)))
        await check_works(target)
        height = target.network.wait_for_equal_heights(CHANNEL)
        assert (await broadcast(target, envelope)).status == Status.SUCCESS
        await check_works(target)
        assert target.network.wait_for_equal_heights(CHANNEL) == height + 2
        assert await verdict(target, tx_id) == "VALID"
        owner = target.network.topology.organizations[1]
        async with connect(target.network, owner, owner.peers[0]) as gateway:
            assert await counter_of(gateway).evaluate("Get", "replayed") == b"second"

    run(work)


def by_role(role: str) -> Forge:
    def forge(target: Target, opened: OpenedEnvelope) -> Envelope:
        actor: Actor = getattr(target.cast, role)
        opened.signature.creator = actor.creator
        opened.channel.tx_id = compute_tx_id(opened.signature.nonce, actor.creator)
        return opened.signed_by(actor)

    return forge


def signed_by_another(target: Target, opened: OpenedEnvelope) -> Envelope:
    return opened.signed_by(client_of_second(target))


def to_unknown_channel(target: Target, opened: OpenedEnvelope) -> Envelope:
    opened.channel.channel_id = "nowhere"
    return opened.signed_by(target.cast.honest)


REFUSED_BY_ORDERERS: list[tuple[str, Forge, Status.ValueType]] = [
    ("wrong signature", by_role("careless"), Status.FORBIDDEN),
    ("high S", by_role("high_s"), Status.FORBIDDEN),
    ("expired certificate", by_role("expired"), Status.BAD_REQUEST),
    ("foreign certificate", by_role("foreign"), Status.FORBIDDEN),
    ("unknown MSP", by_role("unknown"), Status.FORBIDDEN),
    ("signed by another one", signed_by_another, Status.FORBIDDEN),
    ("unknown channel", to_unknown_channel, Status.BAD_REQUEST),
    ("nothing", lambda target, opened: Envelope(), Status.BAD_REQUEST),
]


@pytest.mark.parametrize(
    ("what", "forge", "status"), REFUSED_BY_ORDERERS, ids=[row[0] for row in REFUSED_BY_ORDERERS]
)
def test_an_envelope_of_the_wrong_sender_is_refused_by_the_orderer(
    target: Target, what: str, forge: Forge, status: Status.ValueType
) -> None:
    heights = target.heights()

    async def work() -> None:
        _, payload = await endorsed(target, KEY, "stolen")
        response = await broadcast(target, forge(target, OpenedEnvelope.of(payload)))
        assert Status.Name(response.status) == Status.Name(status), response
        assert target.heights() == heights
        await check_works(target)

    run(work)
