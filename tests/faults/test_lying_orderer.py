"""A real peer whose orderer lies: it refuses, stays up, and goes on when it is told the truth."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import yaml

from tests.support.attacks import dial
from tests.support.load import CHANNEL, CONTRACT, SOURCE
from tests.support.lying_orderer import Lie, LyingOrderer, truth
from tests.support.networks import RunningNetwork, running
from tests.support.pki import make_organization
from tongban.network.health import is_healthy
from tongban.network.topology import load_profile
from tongban.node.core.block_build import ChainEnd, build_block, read_last_config_num
from tongban.node.core.policy import SignatureVerifier
from tongban.node.runtime.channels import Channels
from tongban.node.runtime.deliver_client import BlockFollower, Following
from tongban.protos.ab_pb2 import DeliverResponse
from tongban.protos.common_pb2 import Block, Metadata, SignatureHeader, Status
from tongban.protos.digest import compute_data_hash
from tongban.protos.signing import KeySigner

pytestmark = pytest.mark.slow

ANYBODY = "OR('Org1MSP.peer','Org2MSP.peer')"
SECONDS_MAX = 30.0
LIES_TOLD = 3
"""As often the peer must have asked and refused."""


@dataclass
class Deceived:
    """A network of which one peer follows the liar."""

    network: RunningNetwork
    liar: LyingOrderer
    victim: str
    port: int

    def commit(self) -> None:
        """One more block, committed by the other organization alone."""
        owner = self.network.topology.organizations[0]
        with self.network.connections.gateway(owner, "User1") as gateway:
            contract = gateway.get_network(CHANNEL).get_contract(CONTRACT)
            contract.submit("Put", "key", "value")

    def height(self) -> int:
        return self.network.height(self.victim, CHANNEL)

    def wait_until(self, what: str, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SECONDS_MAX
        while not is_so():
            assert time.monotonic() < deadline, f"not {what} within {SECONDS_MAX} s"
            time.sleep(0.02)


@pytest.fixture(scope="module")
def deceived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deceived]:
    with running(load_profile("two-org"), tmp_path_factory.mktemp("lies")) as network:
        network.deploy(CHANNEL, SOURCE, ANYBODY)
        orderer, _, victim = [name for name, _ in network.topology.nodes()]
        folder = network.layout.tree_of_orderer(network.topology.orderer).node("orderer") / "tls"
        with LyingOrderer(
            folder / "server.crt", folder / "server.key", lambda: dial(network, orderer)
        ) as liar:
            redirect(network, victim, orderer, liar)
            port = dict(network.topology.nodes())[victim].operations_port
            found = Deceived(network, liar, victim, port)
            found.wait_until("healthy", lambda: is_healthy(port))
            yield found


def redirect(network: RunningNetwork, victim: str, orderer: str, liar: LyingOrderer) -> None:
    """Start the peer again, with the liar behind the orderer's name."""
    network.control.stop(victim)
    path = network.layout.node_config(victim)
    config = yaml.safe_load(path.read_text())
    named = f"{orderer}:{dict(network.topology.nodes())[orderer].port}"
    config["dial_overrides"][named] = liar.address
    path.write_text(yaml.safe_dump(config))
    network.control.start(victim)


def of_blocks(change: Callable[[Block], object]) -> Lie:
    def lie(response: bytes) -> Iterable[bytes]:
        block = DeliverResponse.FromString(response).block
        change(block)
        yield DeliverResponse(block=block).SerializeToString()

    return lie


def alter_envelope(block: Block) -> None:
    block.data.data[0] = block.data.data[0][:-1] + b"!"


def alter_and_hash_again(block: Block) -> None:
    alter_envelope(block)
    block.header.data_hash = compute_data_hash(block.data.data)


def forge_by(signer: KeySigner) -> Callable[[Block], None]:
    """The same envelopes in a block of somebody else's making."""

    def forge(block: Block) -> None:
        end = ChainEnd(block.header.number, block.header.previous_hash, read_last_config_num(block))
        block.CopyFrom(build_block(end, list(block.data.data), signer, b"n" * 24, 1))

    return forge


def sign_with_wrong_key(block: Block) -> None:
    """The orderer's name with another one's signature."""
    metadata = Metadata.FromString(block.metadata.metadata[0])
    (signature,) = metadata.signatures
    creator = SignatureHeader.FromString(signature.signature_header).creator
    stranger = make_organization("OrdererMSP", orderers=1).orderers[0].signer
    signature.signature = stranger.sign(metadata.value + creator)
    block.metadata.metadata[0] = metadata.SerializeToString()


def foreign_orderer() -> KeySigner:
    return make_organization("OrdererMSP", orderers=1).orderers[0].signer


def repeat_first(block: Block) -> None:
    block.header.number -= 1


LIES: list[tuple[str, Lie]] = [
    ("an envelope is altered", of_blocks(alter_envelope)),
    ("an envelope is altered and hashed again", of_blocks(alter_and_hash_again)),
    ("a foreign orderer signs", of_blocks(forge_by(foreign_orderer()))),
    ("the wrong key signs", of_blocks(sign_with_wrong_key)),
    ("nobody signs", of_blocks(lambda block: block.metadata.Clear())),
    ("another number", of_blocks(repeat_first)),
    (
        "a chain of its own",
        of_blocks(lambda block: setattr(block.header, "previous_hash", b"p" * 32)),
    ),
    ("an empty block", of_blocks(lambda block: block.data.Clear())),
    ("no block", of_blocks(lambda block: block.Clear())),
    ("garbage", lambda response: [b"\xff" * 100]),
    ("a good end", lambda response: [DeliverResponse(status=Status.SUCCESS).SerializeToString()]),
    ("a refusal", lambda response: [DeliverResponse(status=Status.FORBIDDEN).SerializeToString()]),
]


@pytest.mark.parametrize(("what", "lie"), LIES, ids=[row[0] for row in LIES])
def test_a_lie_is_refused_and_the_truth_is_followed(
    deceived: Deceived, what: str, lie: Lie
) -> None:
    height = deceived.network.wait_for_equal_heights(CHANNEL)
    pid = deceived.network.pid(deceived.victim)
    deceived.liar.tell(lie)
    deceived.commit()
    deceived.wait_until("lied to", lambda: deceived.liar.told >= LIES_TOLD)
    assert deceived.height() == height
    assert is_healthy(deceived.port)
    deceived.liar.tell(truth)
    assert deceived.network.wait_for_equal_heights(CHANNEL) == height + 1
    assert deceived.network.pid(deceived.victim) == pid


def test_a_block_that_is_left_out_is_asked_for_again(deceived: Deceived) -> None:
    height = deceived.network.wait_for_equal_heights(CHANNEL)
    left_out = height

    def lie(response: bytes) -> Iterable[bytes]:
        if DeliverResponse.FromString(response).block.header.number != left_out:
            yield response

    deceived.liar.tell(lie)
    deceived.commit()
    deceived.commit()
    deceived.wait_until("lied to", lambda: deceived.liar.told >= 2 * LIES_TOLD)
    assert deceived.height() == height
    deceived.liar.tell(truth)
    assert deceived.network.wait_for_equal_heights(CHANNEL) == height + 2


def test_an_orderer_that_falls_silent_is_left_when_its_stream_ends(deceived: Deceived) -> None:
    height = deceived.network.wait_for_equal_heights(CHANNEL)
    deceived.liar.tell(lambda response: [])
    deceived.commit()
    deceived.wait_until("lied to", lambda: deceived.liar.told >= 1)
    assert deceived.height() == height
    deceived.liar.tell(truth)
    assert deceived.network.wait_for_equal_heights(CHANNEL) == height + 1


def test_another_orderer_is_followed_when_one_lies(deceived: Deceived, tmp_path: Path) -> None:
    """Two addresses: at each turn the follower may come to the liar first."""
    network = deceived.network
    orderer = next(name for name, _ in network.topology.nodes())
    height = network.wait_for_equal_heights(CHANNEL)
    assert height > 10
    deceived.liar.tell(of_blocks(alter_envelope))
    user = network.connections.identity(network.topology.organizations[0], "User1")

    def connect(address: str) -> grpc.aio.Channel:
        return dial(network, orderer, deceived.liar.address if address == "liar" else "")

    async def work() -> None:
        channels = Channels(tmp_path, "Org1MSP", SignatureVerifier(), ThreadPoolExecutor(1))
        channels.join_at_start(network.layout.genesis(CHANNEL).read_bytes())
        channel = channels.get(CHANNEL)
        following = Following(
            channel_id=CHANNEL,
            signer=user,
            addresses=lambda: ["liar", "honest"],
            connect=connect,
            height=lambda: channel.height,
            on_block=channel.commit_block,
        )
        follower = asyncio.create_task(BlockFollower(following).run())
        async with asyncio.timeout(SECONDS_MAX):
            await channel.blocks.wait_for(height - 1)
        assert not follower.done()
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        channels.close()

    asyncio.run(work())
    deceived.liar.tell(truth)


def test_lies_are_told_in_the_log_without_stack_traces(deceived: Deceived) -> None:
    log = deceived.network.layout.node_log(deceived.victim).read_text()
    assert log.count(" WARNING tongban.node.runtime.deliver_client ") >= LIES_TOLD
    assert "Traceback" not in log
