"""Where a network's files are.

DIR/topology.yaml                what this network is
DIR/organizations/…              keys and certificates, see crypto_tree.py
DIR/channels/ID/genesis.block    the first block of a channel
DIR/nodes/NAME/config.yaml       a node's configuration; data/ and log beside it
DIR/secrets, DIR/reactions       what the departments of a demonstration keep for themselves
DIR/supervisor.*                 what the supervisor says of itself
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tongban.network.crypto_tree import CryptoTree, NodeNames, OrganizationSpec, UserSpec

if TYPE_CHECKING:  # its models take a quarter of a second, which `network down` need not wait for
    from tongban.network.topology import Node, OrdererOrganization, Organization, Topology


@dataclass(frozen=True, slots=True)
class NetworkLayout:
    """The folders of one network."""

    root: Path

    @property
    def topology(self) -> Path:
        return self.root / "topology.yaml"

    @property
    def organizations(self) -> Path:
        return self.root / "organizations"

    def genesis(self, channel_id: str) -> Path:
        return self.root / "channels" / channel_id / "genesis.block"

    def node(self, full_name: str) -> Path:
        return self.root / "nodes" / full_name

    def node_config(self, full_name: str) -> Path:
        return self.node(full_name) / "config.yaml"

    def node_log(self, full_name: str) -> Path:
        return self.node(full_name) / "node.log"

    @property
    def supervisor_socket(self) -> Path:
        return self.root / "supervisor.sock"

    @property
    def supervisor_log(self) -> Path:
        return self.root / "supervisor.log"

    @property
    def supervisor_pid(self) -> Path:
        return self.root / "supervisor.pid"

    @property
    def own(self) -> tuple[Path, ...]:
        """What a network makes here. Beside it may lie what is somebody else's, such as the rest of
        Fabric's sample network, in whose folder its applications look for keys."""
        return (
            self.root / "nodes",
            self.root / "channels",
            self.root / "secrets",
            self.root / "reactions",
            self.organizations / "peerOrganizations",
            self.organizations / "ordererOrganizations",
            self.supervisor_socket,
            self.supervisor_log,
            self.supervisor_pid,
            self.topology,
        )

    def tree_of(self, organization: "Organization") -> CryptoTree:
        spec = OrganizationSpec(
            organization.domain,
            "peer",
            tuple(NodeNames(peer.name, peer.sans) for peer in organization.peers),
            tuple(
                UserSpec(user.name, user.role, tuple(sorted(user.attributes.items())))
                for user in organization.users
            ),
        )
        return CryptoTree(self.organizations, spec)

    def tree_of_orderer(self, organization: "OrdererOrganization") -> CryptoTree:
        spec = OrganizationSpec(
            organization.domain,
            "orderer",
            tuple(NodeNames(node.name, node.sans) for node in organization.nodes),
            (UserSpec("Admin", "admin"),),
        )
        return CryptoTree(self.organizations, spec)


def full_name(node: "Node", domain: str) -> str:
    return f"{node.name}.{domain}"


def endpoint(node: "Node", domain: str) -> str:
    """host:port as the channel's configuration names the node."""
    return f"{full_name(node, domain)}:{node.port}"


def dial_overrides(topology: "Topology") -> dict[str, str]:
    """The names of all nodes to addresses on this machine."""
    return {f"{name}:{node.port}": f"127.0.0.1:{node.port}" for name, node in topology.nodes()}
