"""Whom the gateway can ask: this peer, peers that announce themselves, and anchors that cannot."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.support.orderer_process import free_port
from tests.unit.runtime.test_peer_link import SECONDS_MAX, foreign, ours, start_server
from tongban.node.core.gateway.answer import EndorserAnswer
from tongban.node.core.gateway.directory import ChannelPresence
from tongban.node.runtime.dialing import Dialer
from tongban.node.runtime.peer_network import OwnPeer, PeerNetwork
from tongban.protos.proposal_pb2 import SignedProposal

OWN = "localhost:1"
CHANNEL = "mychannel"
PROPOSAL = SignedProposal(proposal_bytes=b"p")


class OwnSigner:
    creator = b"own identity"

    def sign(self, message: bytes) -> bytes:
        return b"signature"


async def endorse_here(signed: SignedProposal) -> EndorserAnswer:
    return EndorserAnswer(error="not asked for in these tests")


def run(check: Callable[[PeerNetwork, str], Awaitable[None]]) -> None:
    async def body() -> None:
        own = OwnPeer(
            endpoint=OWN,
            msp_id="Org1MSP",
            signer=OwnSigner(),
            endorse=endorse_here,
            presence=lambda: {CHANNEL: ChannelPresence(3, {"basic": "1.0"})},
            height=lambda channel_id: 3,
        )
        network = PeerNetwork(own, Dialer(None).connect, lambda channels, signed: None)
        task = asyncio.create_task(network.run())
        try:
            async with asyncio.timeout(SECONDS_MAX):
                await check(network, f"127.0.0.1:{free_port()}")
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(body())


def endpoints(network: PeerNetwork, channel_id: str, chaincode: str) -> list[tuple[str, str]]:
    found = network.with_chaincode(channel_id, chaincode)
    return [(peer.endpoint, peer.msp_id) for peer in found]


def test_an_anchor_peer_of_another_kind_is_asked_last_and_for_anything_on_its_channel() -> None:
    async def check(network: PeerNetwork, endpoint: str) -> None:
        server = await start_server(foreign, int(endpoint.rpartition(":")[2]))
        network.seed(CHANNEL, {OWN: "Org1MSP", endpoint: "Org2MSP"})
        (link,) = network.links
        assert (await link.endorse(PROPOSAL)).response is not None
        assert endpoints(network, CHANNEL, "basic") == [(OWN, "Org1MSP"), (endpoint, "Org2MSP")]
        assert endpoints(network, CHANNEL, "elsewhere") == [(endpoint, "Org2MSP")]
        assert endpoints(network, "another", "basic") == []
        answer = await network.call(network.with_chaincode(CHANNEL, "basic")[1], PROPOSAL)
        assert answer.response is not None and answer.response.payload == b"p"
        await server.stop(None)

    run(check)


def test_an_anchor_peer_that_is_away_is_not_asked() -> None:
    async def check(network: PeerNetwork, endpoint: str) -> None:
        server = await start_server(foreign, int(endpoint.rpartition(":")[2]))
        network.seed(CHANNEL, {endpoint: "Org2MSP"})
        (link,) = network.links
        assert (await link.endorse(PROPOSAL)).response is not None
        await server.stop(None)
        while endpoints(network, CHANNEL, "elsewhere"):
            assert (await link.endorse(PROPOSAL)).is_unreachable

    run(check)


def test_an_anchor_peer_of_our_kind_is_asked_when_it_has_announced_itself() -> None:
    async def check(network: PeerNetwork, endpoint: str) -> None:
        server = await start_server(ours, int(endpoint.rpartition(":")[2]))
        network.seed(CHANNEL, {endpoint: "Org2MSP"})
        (link,) = network.links
        assert (await link.endorse(PROPOSAL)).response is not None
        assert endpoints(network, CHANNEL, "basic") == [(OWN, "Org1MSP")]
        await server.stop(None)

    run(check)


def test_a_peer_that_is_no_anchor_any_more_is_not_asked() -> None:
    async def check(network: PeerNetwork, endpoint: str) -> None:
        server = await start_server(foreign, int(endpoint.rpartition(":")[2]))
        network.seed(CHANNEL, {endpoint: "Org2MSP"})
        (link,) = network.links
        assert (await link.endorse(PROPOSAL)).response is not None
        network.seed(CHANNEL, {})
        assert endpoints(network, CHANNEL, "elsewhere") == []
        await server.stop(None)

    run(check)
