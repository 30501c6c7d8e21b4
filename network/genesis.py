"""From a topology and its certificates to the first block of each channel."""

from pathlib import Path

from tongban.network.crypto_tree import ROLES
from tongban.network.layout import NetworkLayout, endpoint, full_name
from tongban.network.topology import Channel, OrdererOrganization, Organization, Topology
from tongban.node.core.channel.genesis import (
    ChannelDescription,
    OrganizationDescription,
    build_channel_config,
    build_genesis_block,
)
from tongban.protos.common_pb2 import Block
from tongban.protos.msp_config_pb2 import (
    FabricCryptoConfig,
    FabricMSPConfig,
    FabricNodeOUs,
    FabricOUIdentifier,
    MSPConfig,
)


def msp_of(folder: Path, msp_id: str) -> MSPConfig:
    """The definition of an organization whose material the network made: one root, one TLS root,
    and roles by organizational unit."""
    (root,) = sorted((folder / "cacerts").iterdir())
    (tls_root,) = sorted((folder / "tlscacerts").iterdir())
    certificate = root.read_bytes()
    units = {
        f"{role}_ou_identifier": FabricOUIdentifier(
            certificate=certificate, organizational_unit_identifier=role
        )
        for role in ROLES
    }
    config = FabricMSPConfig(
        name=msp_id,
        root_certs=[certificate],
        tls_root_certs=[tls_root.read_bytes()],
        crypto_config=FabricCryptoConfig(
            signature_hash_family="SHA2", identity_identifier_hash_function="SHA256"
        ),
        fabric_node_ous=FabricNodeOUs(enable=True, **units),
    )
    return MSPConfig(type=0, config=config.SerializeToString(deterministic=True))


def build_genesis(topology: Topology, channel: Channel, layout: NetworkLayout) -> Block:
    """Block 0 of a channel; the same files give the same block."""
    members = [topology.organization(group) for group in channel.organizations]
    description = ChannelDescription(
        organizations=[_describe(member, layout) for member in members],
        orderers=[_describe_orderer(topology.orderer, layout)],
        batch_count_max=channel.batch.count_max,
        batch_bytes_absolute_max=channel.batch.bytes_max,
        batch_bytes_preferred_max=channel.batch.bytes_preferred,
        batch_timeout_ms=channel.batch.timeout_ms,
        policies=channel.policies,
    )
    return build_genesis_block(channel.id, build_channel_config(description))


def _describe(organization: Organization, layout: NetworkLayout) -> OrganizationDescription:
    tree = layout.tree_of(organization)
    anchors = [
        (full_name(peer, organization.domain), peer.port)
        for peer in organization.peers
        if peer.anchor
    ]
    msp = msp_of(tree.msp, organization.msp_id)
    return OrganizationDescription(organization.group, msp, anchor_peers=anchors)


def _describe_orderer(
    organization: OrdererOrganization, layout: NetworkLayout
) -> OrganizationDescription:
    tree = layout.tree_of_orderer(organization)
    endpoints = [endpoint(node, organization.domain) for node in organization.nodes]
    msp = msp_of(tree.msp, organization.msp_id)
    return OrganizationDescription(organization.group, msp, endpoints=endpoints)
