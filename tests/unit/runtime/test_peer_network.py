"""Who is believed, who is forgotten, who returns, and which links are kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

import grpc
import pytest

from tests.support.channels import make_channel
from tests.support.gateway_ports import until
from tests.support.orderer_process import free_port
from tests.support.pki import Member, Organization, make_organization
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.errors import AccessDenied
from tongban.node.core.gateway.announcement import sign_announcement
from tongban.node.core.gateway.answer import EndorserAnswer
from tongban.node.core.gateway.directory import PEERS_MAX, ChannelPresence, PeerRecord
from tongban.node.core.identity import role_principal
from tongban.node.core.policy import SignatureVerifier, SignedBy
from tongban.node.core.received import ReceivedProposal
from tongban.node.runtime.block_source import ChannelBlocks
from tongban.node.runtime.catch_up import CatchUp
from tongban.node.runtime.dialing import Dialer
from tongban.node.runtime.peer_network import OwnPeer, PeerNetwork
from tongban.node.services.peer_stream import PeerStreamService
from tongban.protos.common_pb2 import ChannelHeader, Header
from tongban.protos.msp_principal_pb2 import MSPRole
from tongban.protos.proposal_pb2 import Proposal, SignedProposal
from tongban.protos.proposal_response_pb2 import ProposalResponse
from tongban.protos.stream_pb2 import SignedAnnouncement

CHANNEL = "mychannel"
SECONDS_MAX = 10.0


@pytest.fixture(scope="module")
def orgs() -> tuple[Organization, Organization, Organization]:
    return (
        make_organization("AMSP", peers=3, users=1),
        make_organization("BMSP", peers=1),
        make_organization("StrangerMSP", peers=1),
    )


@pytest.fixture(scope="module")
def config(orgs: tuple[Organization, ...]) -> ChannelConfig:
    return make_channel(orgs[:2], channel_id=CHANNEL)


def verifier(config: ChannelConfig) -> Callable[[Iterable[str], SignedBy], None]:
    """As a peer that has joined CHANNEL checks announcements."""
    signatures = SignatureVerifier()

    def verify(channel_ids: Iterable[str], signed: SignedBy) -> None:
        if CHANNEL not in set(channel_ids):
            raise AccessDenied("no channel in common")
        identity = config.msps.deserialize(signed.identity)
        config.msps.validate(identity)
        if not config.msps.satisfies(identity, role_principal(identity.mspid, MSPRole.PEER)):
            raise AccessDenied("not a peer")
        if not signatures.verify(identity, signed.data, signed.signature):
            raise AccessDenied("the signature does not hold")

    return verify


def presence(height: int = 3, *chaincodes: str) -> dict[str, ChannelPresence]:
    return {CHANNEL: ChannelPresence(height, dict.fromkeys(chaincodes or ("cc",), "1.0"))}


def record(member: Member, endpoint: str = "peer:1", incarnation: int = 1) -> PeerRecord:
    return PeerRecord(endpoint, member.mspid, member.identity, incarnation, 1, presence())


def announce(member: Member, **changes: object) -> SignedAnnouncement:
    return sign_announcement(replace(record(member), **changes), member.signer)  # type: ignore[arg-type]


def a_proposal() -> ReceivedProposal:
    header = Header(channel_header=ChannelHeader(channel_id=CHANNEL).SerializeToString())
    proposal = Proposal(header=header.SerializeToString())
    return ReceivedProposal(SignedProposal(proposal_bytes=proposal.SerializeToString()))


A_PROPOSAL = a_proposal()


class Node:
    """A peer's network with what it is made of. Nothing is dialled that is not there."""

    def __init__(self, member: Member, config: ChannelConfig, endpoint: str) -> None:
        self.height = 3
        self.blocks = ChannelBlocks(self.height, lambda number: b"", lambda: config)
        self.chaincodes: tuple[str, ...] = ("cc",)
        self.endpoint = endpoint
        own = OwnPeer(
            endpoint,
            member.mspid,
            member.signer,
            self._endorse,
            lambda: presence(self.height, *self.chaincodes),
            lambda channel_id: self.height,
        )
        self.network = PeerNetwork(own, Dialer(None).connect, verifier(config))

    async def _endorse(self, proposal: ReceivedProposal) -> EndorserAnswer:
        return EndorserAnswer(ProposalResponse(payload=self.endpoint.encode()))

    def endpoints(self, chaincode: str = "cc") -> list[str]:
        return [peer.endpoint for peer in self.network.with_chaincode(CHANNEL, chaincode)]

    def linked(self) -> list[str]:
        return sorted(link.endpoint for link in self.network.links)


@asynccontextmanager
async def running(*nodes: Node, serve: bool = False) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(node.network.run()) for node in nodes]
    servers = [await start_server(node) for node in nodes] if serve else []
    try:
        async with asyncio.timeout(SECONDS_MAX):
            yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # links end with their network
        for server in servers:
            await server.stop(None)


class Faults:
    def fault(self, error: BaseException) -> None:
        raise error


async def start_server(node: Node) -> grpc.aio.Server:
    server = grpc.aio.server()
    catch_up = CatchUp(lambda channel_id: node.blocks if channel_id == CHANNEL else None)
    service = PeerStreamService(node._endorse, node.network, catch_up, asyncio.Event(), Faults())
    service.register(server)
    server.add_insecure_port(node.endpoint)
    await server.start()
    return server


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


def test_a_signed_announcement_is_believed_and_passed_on(
    orgs: tuple[Organization, ...], config: ChannelConfig
) -> None:
    async def work() -> None:
        node = Node(orgs[0].peers[0], config, "local:1")
        async with running(node):
            news = announce(orgs[1].peers[0])
            node.network.learn([news])
            await until(lambda: "local:1" in node.endpoints())
            assert node.endpoints() == ["local:1", "peer:1"]
            assert news in node.network.known_announcements()
            assert node.linked() == ["peer:1"]

    run(work)


def test_what_is_not_properly_signed_is_ignored(
    orgs: tuple[Organization, ...], config: ChannelConfig
) -> None:
    good = announce(orgs[1].peers[0])
    other = announce(orgs[1].peers[0], endpoint="evil:1")
    forged = [
        SignedAnnouncement(
            announcement=other.announcement, identity=other.identity, signature=good.signature
        ),
        SignedAnnouncement(announcement=good.announcement, identity=good.identity, signature=b""),
        announce(orgs[2].peers[0]),
        announce(orgs[0].users[0]),
        announce(orgs[1].peers[0], msp_id="AMSP"),
        announce(orgs[1].peers[0], channels={"elsewhere": ChannelPresence(1, {"cc": "1"})}),
        announce(orgs[1].peers[0], endpoint="nowhere"),
        SignedAnnouncement(),
        SignedAnnouncement(announcement=b"\xff", identity=b"\xff", signature=b"\xff"),
    ]

    async def work() -> None:
        node = Node(orgs[0].peers[0], config, "local:1")
        node.network.learn(forged)
        assert (node.endpoints(), node.linked()) == ([], [])
        assert node.network.known_announcements() == []

    run(work)


def test_of_many_announcements_at_once_only_so_many_are_looked_at(
    orgs: tuple[Organization, ...], config: ChannelConfig
) -> None:
    async def work() -> None:
        node = Node(orgs[0].peers[0], config, "local:1")
        last = announce(orgs[1].peers[0])
        node.network.learn([*[SignedAnnouncement()] * PEERS_MAX, last])
        assert node.endpoints() == []

    run(work)


def test_a_forgotten_peer_returns_with_what_it_says_next(
    orgs: tuple[Organization, ...], config: ChannelConfig
) -> None:
    async def work() -> None:
        node, other = Node(orgs[0].peers[0], config, "local:1"), orgs[1].peers[0]
        async with running(node):
            before = announce(other, sequence=4)
            node.network.learn([before])
            (peer,) = [p for p in node.network.with_chaincode(CHANNEL, "cc") if p.msp_id == "BMSP"]
            answer = await node.network.call(peer, A_PROPOSAL)
            assert answer.is_unreachable
            node.network.forget(peer)
            assert "peer:1" not in node.endpoints()
            assert before not in node.network.known_announcements()
            node.network.learn([before, announce(other, sequence=3)])
            assert "peer:1" not in node.endpoints(), "others still tell what it said earlier"
            node.network.learn([announce(other, incarnation=2, sequence=1)])
            assert "peer:1" in node.endpoints()

    run(work)


def test_this_peer_is_never_forgotten_and_counts_as_it_is_now(
    orgs: tuple[Organization, ...], config: ChannelConfig
) -> None:
    async def work() -> None:
        node = Node(orgs[0].peers[0], config, "local:1")
        async with running(node):
            node.network.learn([announce(orgs[0].peers[1], channels=presence(9))])
            await until(lambda: "local:1" in node.endpoints())
            assert node.endpoints() == ["peer:1", "local:1"]
            node.height = 9
            assert node.endpoints() == ["local:1", "peer:1"]
            node.network.forget(node.network.local)
            assert node.endpoints() == ["local:1", "peer:1"]
            answer = await node.network.call(node.network.local, A_PROPOSAL)
            assert answer.response is not None and answer.response.payload == b"local:1"

    run(work)


def test_a_peer_without_the_package_is_not_offered_until_it_has_it(
    orgs: tuple[Organization, ...], config: ChannelConfig
) -> None:
    async def work() -> None:
        node = Node(orgs[0].peers[0], config, "local:1")
        node.chaincodes = ("else",)
        async with running(node):
            await until(lambda: node.endpoints("qscc") == ["local:1"])
            assert node.endpoints() == []
            node.chaincodes = ("cc", "else")
            node.network.changed()
            await until(lambda: node.endpoints() == ["local:1"])

    run(work)


def test_links_of_peers_that_moved_are_dropped_and_those_of_anchors_kept(
    orgs: tuple[Organization, ...], config: ChannelConfig
) -> None:
    async def work() -> None:
        node, other = Node(orgs[0].peers[0], config, "local:1"), orgs[1].peers[0]
        async with running(node):
            node.network.seed(CHANNEL, {"anchor:1": "BMSP", "local:1": "AMSP"})
            for number in range(20):
                moved = announce(other, endpoint=f"peer:{number}", sequence=number)
                node.network.learn([moved])
            assert node.linked() == ["anchor:1", "peer:19"]

    run(work)


def test_a_peer_whose_clock_was_set_back_goes_beyond_its_earlier_life(
    orgs: tuple[Organization, ...], config: ChannelConfig
) -> None:
    async def work() -> None:
        member = orgs[0].peers[0]
        node = Node(member, config, "local:1")
        async with running(node):
            await until(lambda: node.network.local.sequence == 1)
            later = node.network.local.incarnation + 10**18
            node.network.learn([announce(member, endpoint="clone:1", incarnation=later)])
            assert node.network.local.incarnation < later, "another place is another peer's affair"
            node.network.learn([announce(member, endpoint="local:1", incarnation=later)])
            await until(lambda: node.network.local.sequence == 1)
            assert node.network.local.incarnation == later + 1

    run(work)


def test_peers_find_each_other_through_one_that_both_know(
    orgs: tuple[Organization, ...], config: ChannelConfig
) -> None:
    async def work() -> None:
        members = [*orgs[0].peers[:2], orgs[1].peers[0]]
        nodes = [Node(member, config, f"127.0.0.1:{free_port()}") for member in members]
        anchor, *others = nodes
        async with running(*nodes, serve=True):
            for node in others:
                node.network.seed(CHANNEL, {anchor.endpoint: "AMSP"})
            for node in nodes:
                await until(lambda: len(node.endpoints()) == len(nodes))  # noqa: B023
            first, last = others
            (peer,) = [
                p
                for p in first.network.with_chaincode(CHANNEL, "cc")
                if p.endpoint == last.endpoint
            ]
            answer = await first.network.call(peer, A_PROPOSAL)
            assert answer.response is not None, answer.error
            assert answer.response.payload == last.endpoint.encode()

    run(work)


def test_a_peer_that_is_behind_the_asking_one_catches_up_first(
    orgs: tuple[Organization, ...], config: ChannelConfig
) -> None:
    async def work() -> None:
        first, last = (
            Node(member, config, f"127.0.0.1:{free_port()}")
            for member in (orgs[0].peers[0], orgs[1].peers[0])
        )
        async with running(first, last, serve=True):
            first.network.seed(CHANNEL, {last.endpoint: "BMSP"})
            await until(lambda: last.endpoint in first.endpoints())
            (peer,) = [p for p in first.network.with_chaincode(CHANNEL, "cc") if p.msp_id == "BMSP"]
            first.height = 4
            behind = asyncio.ensure_future(first.network.call(peer, A_PROPOSAL))
            await asyncio.sleep(0)  # it has been sent
            first.height = 3
            level = await first.network.call(peer, A_PROPOSAL)
            assert level.response is not None, level.error
            assert not behind.done()
            last.blocks.advance(3, b"block")
            answer = await behind
            assert answer.response is not None, answer.error

    run(work)
