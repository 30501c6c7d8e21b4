"""The first configuration of a channel, and the block that carries it.

The tree and its policies are those of Fabric's sample test network (fabric-samples
test-network/configtx/configtx.yaml, fabric internal/configtxgen/encoder/encoder.go). The same
description gives the same block on every machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf.message import Message

from tongban.node.core.channel.config import ChannelConfig
from tongban.node.core.channel.duration import format_duration_ms
from tongban.node.core.errors import InvalidConfig, InvalidPolicy
from tongban.node.core.policy.language import parse_implicit_meta, parse_policy
from tongban.protos import application_values_pb2, channel_values_pb2, orderer_values_pb2
from tongban.protos.common_pb2 import (
    Block,
    BlockData,
    BlockHeader,
    BlockMetadata,
    ChannelHeader,
    Envelope,
    Header,
    HeaderType,
    LastConfig,
    Metadata,
    OrdererBlockMetadata,
    Payload,
    SignatureHeader,
)
from tongban.protos.configtx_pb2 import Config, ConfigEnvelope, ConfigGroup
from tongban.protos.digest import compute_data_hash, compute_tx_id, sha256
from tongban.protos.msp_config_pb2 import FabricMSPConfig, MSPConfig
from tongban.protos.policies_pb2 import Policy

ADMINS = "Admins"
"""The mod_policy of every element."""

_BLOCK_DATA_WIDTH = 0xFFFFFFFF
_GENESIS_NONCE_BYTES = 24
_MEGABYTE = 1024 * 1024

_META_POLICIES = {"Readers": "ANY Readers", "Writers": "ANY Writers", "Admins": "MAJORITY Admins"}


@dataclass(frozen=True, slots=True)
class OrganizationDescription:
    """An organization that joins a channel with its first block."""

    name: str
    """Of the group."""
    msp: MSPConfig
    anchor_peers: Sequence[tuple[str, int]] = ()
    endpoints: Sequence[str] = ()
    """``host:port`` of its orderers."""
    policies: Mapping[str, str] = field(default_factory=dict)
    """In words, by name; those given replace the defaults of the section."""

    @property
    def mspid(self) -> str:
        return FabricMSPConfig.FromString(self.msp.config).name


@dataclass(frozen=True, slots=True)
class ChannelDescription:
    """A channel before its first block."""

    organizations: Sequence[OrganizationDescription]
    """Those with peers or clients."""
    orderers: Sequence[OrganizationDescription]
    consensus_type: str = "solo"
    consensus_metadata: bytes = b""
    batch_count_max: int = 500
    batch_bytes_absolute_max: int = 10 * _MEGABYTE
    batch_bytes_preferred_max: int = 2 * _MEGABYTE
    batch_timeout_ms: int = 2_000
    channel_capabilities: Sequence[str] = ("V2_0",)
    orderer_capabilities: Sequence[str] = ("V2_0",)
    application_capabilities: Sequence[str] = ("V2_5",)
    acls: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)
    """By path, as ``/Channel/Application/Endorsement``: replaces a default, in words."""


def build_channel_config(description: ChannelDescription) -> Config:
    """The first configuration of a channel.

    Raises:
        InvalidConfig: an element cannot be made; names it.
    """
    root = ConfigGroup(mod_policy=ADMINS)
    _put_value(root, "HashingAlgorithm", channel_values_pb2.HashingAlgorithm(name="SHA256"))
    _put_value(
        root,
        "BlockDataHashingStructure",
        channel_values_pb2.BlockDataHashingStructure(width=_BLOCK_DATA_WIDTH),
    )
    _put_capabilities(root, description.channel_capabilities)
    _put_policies(root, "/Channel", _META_POLICIES, description)
    root.groups["Orderer"].CopyFrom(_orderer_group(description))
    root.groups["Application"].CopyFrom(_application_group(description))
    return Config(sequence=0, channel_group=root)


def build_genesis_block(channel_id: str, config: Config, timestamp_seconds: int = 0) -> Block:
    """Block 0 of a channel. Peers and orderers that get the same block are on the same channel.

    Raises:
        InvalidConfig: no node could run on this configuration.
    """
    ChannelConfig.from_config(channel_id, config).check_supported()
    data = _serialize(ConfigEnvelope(config=config))
    nonce = sha256(channel_id.encode() + data)[:_GENESIS_NONCE_BYTES]
    channel_header = ChannelHeader(
        type=HeaderType.CONFIG,
        version=1,
        channel_id=channel_id,
        tx_id=compute_tx_id(nonce, b""),
    )
    if timestamp_seconds:
        channel_header.timestamp.seconds = timestamp_seconds
    header = Header(
        channel_header=_serialize(channel_header),
        signature_header=_serialize(SignatureHeader(nonce=nonce)),
    )
    envelope = Envelope(payload=_serialize(Payload(header=header, data=data)))
    content = [_serialize(envelope)]
    signed_value = OrdererBlockMetadata(last_config=LastConfig(index=0))
    return Block(
        header=BlockHeader(number=0, data_hash=compute_data_hash(content)),
        data=BlockData(data=content),
        metadata=BlockMetadata(
            metadata=[
                _serialize(Metadata(value=_serialize(signed_value))),
                _serialize(Metadata(value=_serialize(LastConfig(index=0)))),
                b"",
                b"",
                b"",
            ]
        ),
    )


def _orderer_group(description: ChannelDescription) -> ConfigGroup:
    group = ConfigGroup(mod_policy=ADMINS)
    kind = orderer_values_pb2.ConsensusType(
        type=description.consensus_type, metadata=description.consensus_metadata
    )
    size = orderer_values_pb2.BatchSize(
        max_message_count=description.batch_count_max,
        absolute_max_bytes=description.batch_bytes_absolute_max,
        preferred_max_bytes=description.batch_bytes_preferred_max,
    )
    timeout = orderer_values_pb2.BatchTimeout(
        timeout=format_duration_ms(description.batch_timeout_ms)
    )
    _put_value(group, "ConsensusType", kind)
    _put_value(group, "BatchSize", size)
    _put_value(group, "BatchTimeout", timeout)
    _put_value(group, "ChannelRestrictions", orderer_values_pb2.ChannelRestrictions())
    _put_capabilities(group, description.orderer_capabilities)
    _put_policies(
        group,
        "/Channel/Orderer",
        {**_META_POLICIES, "BlockValidation": "ANY Writers"},
        description,
    )
    for org in description.orderers:
        member = _organization_group(org, "/Channel/Orderer", _orderer_policies(org))
        if org.endpoints:
            endpoints = channel_values_pb2.OrdererAddresses(addresses=org.endpoints)
            _put_value(member, "Endpoints", endpoints)
        _put_group(group, "/Channel/Orderer", org.name, member)
    return group


def _application_group(description: ChannelDescription) -> ConfigGroup:
    group = ConfigGroup(mod_policy=ADMINS)
    _put_capabilities(group, description.application_capabilities)
    if description.acls:
        acls = application_values_pb2.ACLs()
        for resource, reference in description.acls.items():
            acls.acls[resource].policy_ref = reference
        _put_value(group, "ACLs", acls)
    _put_policies(
        group,
        "/Channel/Application",
        {
            **_META_POLICIES,
            "Endorsement": "MAJORITY Endorsement",
            "LifecycleEndorsement": "MAJORITY Endorsement",
        },
        description,
    )
    for org in description.organizations:
        member = _organization_group(org, "/Channel/Application", _peer_policies(org))
        if org.anchor_peers:
            anchors = application_values_pb2.AnchorPeers(
                anchor_peers=[
                    application_values_pb2.AnchorPeer(host=host, port=port)
                    for host, port in org.anchor_peers
                ]
            )
            _put_value(member, "AnchorPeers", anchors)
        _put_group(group, "/Channel/Application", org.name, member)
    return group


def _organization_group(
    org: OrganizationDescription, path: str, policies: Mapping[str, str]
) -> ConfigGroup:
    group = ConfigGroup(mod_policy=ADMINS)
    _put_value(group, "MSP", org.msp)
    for name, text in {**policies, **org.policies}.items():
        _put_policy(group, f"{path}/{org.name}/{name}", text)
    return group


def _peer_policies(org: OrganizationDescription) -> dict[str, str]:
    mspid = org.mspid
    return {
        "Readers": f"OR('{mspid}.admin', '{mspid}.peer', '{mspid}.client')",
        "Writers": f"OR('{mspid}.admin', '{mspid}.client')",
        "Admins": f"OR('{mspid}.admin')",
        "Endorsement": f"OR('{mspid}.peer')",
    }


def _orderer_policies(org: OrganizationDescription) -> dict[str, str]:
    mspid = org.mspid
    return {
        "Readers": f"OR('{mspid}.member')",
        "Writers": f"OR('{mspid}.member')",
        "Admins": f"OR('{mspid}.admin')",
    }


def _put_group(section: ConfigGroup, path: str, name: str, member: ConfigGroup) -> None:
    if name in section.groups:
        raise InvalidConfig(f"{path}/{name}", "two organizations have this name")
    section.groups[name].CopyFrom(member)


def _put_value(group: ConfigGroup, name: str, value: Message) -> None:
    group.values[name].value = _serialize(value)
    group.values[name].mod_policy = ADMINS


def _put_capabilities(group: ConfigGroup, names: Sequence[str]) -> None:
    if not names:
        return
    capabilities = channel_values_pb2.Capabilities()
    for name in names:
        capabilities.capabilities[name].SetInParent()
    _put_value(group, "Capabilities", capabilities)


def _put_policies(
    group: ConfigGroup, path: str, defaults: Mapping[str, str], description: ChannelDescription
) -> None:
    chosen = {f"{path}/{name}": text for name, text in defaults.items()}
    for place, text in description.policies.items():
        if place.rpartition("/")[0] == path:
            chosen[place] = text
    for place, text in chosen.items():
        _put_policy(group, place, text)


def _put_policy(group: ConfigGroup, place: str, text: str) -> None:
    """A text that begins with a gate is a signature policy, else it is an implicit meta policy."""
    try:
        if "(" in text:
            policy = Policy(type=Policy.SIGNATURE, value=_serialize(parse_policy(text)))
        else:
            policy = Policy(type=Policy.IMPLICIT_META, value=_serialize(parse_implicit_meta(text)))
    except InvalidPolicy as error:
        raise InvalidConfig(place, str(error)) from None
    holder = group.policies[place.rpartition("/")[2]]
    holder.policy.CopyFrom(policy)
    holder.mod_policy = ADMINS


def _serialize(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)
