"""Clients of a running network with our SDK: either driver, over the stream or in unary calls."""

from typing import Any, Literal, cast

from tests.support.facade import Facade, Loop
from tests.support.networks import RunningNetwork
from tongban.network.topology import Node, Organization
from tongban.sdk import Contract, Gateway, aio

CHANNEL = "mychannel"

Driver = Literal["blocking", "asyncio"]


class Clients:
    """Opens gateways and closes them all."""

    def __init__(self, network: RunningNetwork, driver: Driver, *, stream: bool) -> None:
        self.network = network
        self.stream = stream
        self._loop = Loop() if driver == "asyncio" else None
        self._opened: list[Gateway] = []

    def connect(
        self, org: int = 0, *, peer: int = 0, user: str = "User1", **options: Any
    ) -> Gateway:
        """A user of an organization at one of its peers. ``identity`` replaces the user's."""
        organization = self.network.topology.organizations[org]
        node = organization.peers[peer]
        identity = options.pop("identity", None) or self.identity(org, user)
        return self._open(organization, node, identity, options)

    def identity(self, org: int = 0, user: str = "User1") -> Any:
        return self.network.connections.identity(self.network.topology.organizations[org], user)

    def close(self) -> None:
        for gateway in self._opened:
            gateway.close()
        if self._loop is not None:
            self._loop.close()

    def _open(
        self, organization: Organization, node: Node, identity: Any, options: dict[str, Any]
    ) -> Gateway:
        target = f"127.0.0.1:{node.port}"
        tls = self.network.connections.tls(organization, node)
        options = {"tls": tls, "stream": self.stream, **options}
        loop = self._loop
        if loop is None:
            gateway: Any = Gateway.connect(target, identity, **options)
        else:
            inner = loop.do(lambda: aio.Gateway.connect(target, identity, **options))
            gateway = Facade(loop, inner)
        self._opened.append(cast(Gateway, gateway))
        return cast(Gateway, gateway)


def contract_of(gateway: Gateway, name: str) -> Contract:
    return gateway.get_network(CHANNEL).get_contract(name)
