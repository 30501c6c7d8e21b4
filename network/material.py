"""Everything a network needs on disk before its nodes start; what exists already is kept."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import yaml

from tongban.network.crypto_tree import write_public
from tongban.network.genesis import build_genesis
from tongban.network.layout import NetworkLayout, dial_overrides, endpoint, full_name
from tongban.network.topology import Node, Organization, Topology


def ensure_material(topology: Topology, layout: NetworkLayout, now: dt.datetime) -> None:
    """Afterwards keys, certificates, genesis blocks and configurations of all nodes exist."""
    layout.tree_of_orderer(topology.orderer).ensure(now)
    for organization in topology.organizations:
        layout.tree_of(organization).ensure(now)
    for channel in topology.channels:
        path = layout.genesis(channel.id)
        if not path.exists():
            block = build_genesis(topology, channel, layout)
            write_public(path, block.SerializeToString(deterministic=True))
    for name, config in _Configurations(topology, layout).build():
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        write_public(layout.node_config(name), text.encode())
    document = yaml.safe_dump(topology.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_public(layout.topology, document.encode())


class _Configurations:
    """The configuration files of all nodes."""

    def __init__(self, topology: Topology, layout: NetworkLayout) -> None:
        self._topology = topology
        self._root = layout.root.absolute()
        self._layout = NetworkLayout(self._root)

    def build(self) -> Iterator[tuple[str, dict[str, object]]]:
        """Full name and content of each node's file."""
        orderer = self._topology.orderer
        tree = self._layout.tree_of_orderer(orderer)
        all_channels = [channel.id for channel in self._topology.channels]
        for node in orderer.nodes:
            config = self._common(node, tree.node(node.name), orderer.msp_id, all_channels)
            yield full_name(node, orderer.domain), config
        for organization in self._topology.organizations:
            yield from self._of_peers(organization)

    def _of_peers(self, organization: Organization) -> Iterator[tuple[str, dict[str, object]]]:
        tree = self._layout.tree_of(organization)
        joined = [
            channel.id
            for channel in self._topology.channels
            if organization.group in channel.organizations
        ]
        for node in organization.peers:
            config = self._common(node, tree.node(node.name), organization.msp_id, joined)
            config["external_endpoint"] = endpoint(node, organization.domain)
            yield full_name(node, organization.domain), config

    def _common(
        self, node: Node, material: Path, msp_id: str, channels: list[str]
    ) -> dict[str, object]:
        return {
            "format": 1,
            "listen": f"127.0.0.1:{node.port}",
            "tls": {
                "certificate": str(material / "tls" / "server.crt"),
                "key": str(material / "tls" / "server.key"),
            },
            "msp": {"id": msp_id, "directory": str(material / "msp")},
            "data": str(self._layout.node(material.name) / "data"),
            "channels": [str(self._layout.genesis(channel)) for channel in channels],
            "dial_overrides": dial_overrides(self._topology),
            "operations": {"listen": f"127.0.0.1:{node.operations_port}"},
        }
