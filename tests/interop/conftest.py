"""One network for all tests with the official client: two organizations, sample and program."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.networks import RunningNetwork, running
from tests.support.official_client import OfficialClient
from tongban.network.topology import load_profile

BOTH = "AND('Org1MSP.peer','Org2MSP.peer')"


@dataclass
class Bench:
    """The network and a client that is connected to it."""

    network: RunningNetwork
    client: OfficialClient

    def connect(self, org: int = 0, user: str = "User1", **more: Any) -> dict[str, Any]:
        """Handles of a new gateway connection of a user at the peer of its organization."""
        topology = self.network.topology
        organization = topology.organizations[org]
        peer = organization.peers[0]
        tree = self.network.layout.tree_of(organization)
        msp = tree.user(user) / "msp"
        arguments: dict[str, Any] = {
            "endpoint": f"localhost:{peer.port}",
            "hostAlias": f"{peer.name}.{organization.domain}",
            "tlsRoot": str(tree.node(peer.name) / "tls" / "ca.crt"),
            "mspId": organization.msp_id,
            "certificate": str(next((msp / "signcerts").iterdir())),
            "key": str(next((msp / "keystore").iterdir())),
        }
        return self.client.do("connect", **{**arguments, **more})


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    root: Path = tmp_path_factory.mktemp("interop")
    with running(load_profile("two-org"), root) as found:
        found.deploy("mychannel", "samples/asset_transfer", BOTH)
        found.deploy("mychannel", "samples/program", BOTH)
        yield found


@pytest.fixture
def bench(network: RunningNetwork) -> Iterator[Bench]:
    with OfficialClient() as client:
        yield Bench(network, client)
