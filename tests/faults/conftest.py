"""One network for all attacks that must leave it as it was."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.attacks import Cast, cast_of
from tests.support.load import CHANNEL, SOURCE
from tests.support.networks import RunningNetwork, running
from tests.support.processes import resident_bytes
from tongban.network.health import is_healthy
from tongban.network.topology import load_profile

BOTH = "AND('Org1MSP.peer','Org2MSP.peer')"


@dataclass
class Target:
    """A network under attack, and how it was before."""

    network: RunningNetwork
    cast: Cast
    pids: dict[str, int]

    @property
    def node_names(self) -> list[str]:
        return [name for name, _ in self.network.topology.nodes()]

    def heights(self) -> dict[str, int]:
        return {name: self.network.height(name, CHANNEL) for name in self.node_names}

    def memory(self) -> dict[str, int]:
        return {name: resident_bytes(pid) for name, pid in self.pids.items()}

    def check_alive(self) -> None:
        """All nodes are the processes that they were, and healthy."""
        for name, node in self.network.topology.nodes():
            assert self.network.pid(name) == self.pids[name], f"{name} was started again"
            assert is_healthy(node.operations_port), f"{name} is not healthy"


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    with running(load_profile("two-org"), tmp_path_factory.mktemp("attacked")) as network:
        network.deploy(CHANNEL, SOURCE, BOTH)
        yield network


@pytest.fixture
def target(attacked: RunningNetwork) -> Iterator[Target]:
    """The network, which must be as alive after the test as before it."""
    names = [name for name, _ in attacked.topology.nodes()]
    found = Target(attacked, cast_of(attacked), {name: attacked.pid(name) for name in names})
    attacked.wait_for_equal_heights(CHANNEL)
    yield found
    found.check_alive()
