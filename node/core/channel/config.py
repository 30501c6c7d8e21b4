"""A channel's configuration, read once into one immutable bundle.

Reading refuses what no node can run on: unknown groups or values, a missing hash algorithm, an
organization without a usable MSP, batch limits of zero, a policy that cannot be read (fabric
common/channelconfig). Which capabilities this version supports is a question of its own, since a
node that meets an unknown one must stop rather than refuse a block.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf.message import Message

from tongban.node.core.channel.duration import parse_duration_ms
from tongban.node.core.channel.names import check_channel_id
from tongban.node.core.channel.organizations import (
    AnchorAddress,
    OrganizationReader,
    OrgConfig,
)
from tongban.node.core.channel.values import read_group_values, value_of
from tongban.node.core.errors import InvalidConfig, UnsupportedCapability
from tongban.node.core.identity import MspManager
from tongban.node.core.policy import PolicyManager
from tongban.protos import (
    application_values_pb2,
    channel_values_pb2,
    codec,
    common_pb2,
    orderer_values_pb2,
)
from tongban.protos.channel_values_pb2 import Capabilities
from tongban.protos.common_pb2 import Block, Envelope, HeaderType, Payload
from tongban.protos.configtx_pb2 import Config, ConfigEnvelope, ConfigGroup

CHANNEL_CAPABILITIES = frozenset(
    {"V1_1", "V1_3", "V1_4_2", "V1_4_3", "V2_0", "V3_0"},
)
ORDERER_CAPABILITIES = frozenset({"V1_1", "V1_4_2", "V2_0"})
APPLICATION_CAPABILITIES = frozenset(
    {"V1_1", "V1_2", "V1_3", "V1_4_2", "V2_0", "V2_5"},
)
"""Names that this version knows (fabric common/capabilities). Newer ones imply older ones."""

_BLOCK_DATA_WIDTH = 0xFFFFFFFF

__all__ = ["AnchorAddress", "ChannelConfig", "OrdererParameters", "OrgConfig"]


@dataclass(frozen=True, slots=True)
class OrdererParameters:
    """What the channel says about ordering."""

    consensus_type: str
    consensus_metadata: bytes
    in_maintenance: bool
    batch_count_max: int
    batch_bytes_absolute_max: int
    batch_bytes_preferred_max: int
    batch_timeout_ms: int
    consenters: tuple[channel_values_pb2.Consenter, ...] = ()
    """By their own ids, for BFT; empty otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class ChannelConfig:
    """One configuration of one channel."""

    channel_id: str
    config: Config
    """As received; not to be changed."""
    msps: MspManager
    policies: PolicyManager
    channel_capabilities: frozenset[str]
    orderer_capabilities: frozenset[str]
    application_capabilities: frozenset[str]
    application_orgs: Mapping[str, OrgConfig]
    """By the name of the group, which need not be the MSP id."""
    application_msp_ids: tuple[str, ...]
    """Of the same, in their order."""
    orderer_orgs: Mapping[str, OrgConfig]
    orderer: OrdererParameters
    orderer_addresses: tuple[str, ...]
    """``host:port`` of every orderer: those of the organizations, else the channel's own."""
    acls: Mapping[str, str]
    """Policy references by resource."""
    has_application: bool
    """Whether peers follow this channel at all."""

    @classmethod
    def from_config(cls, channel_id: str, config: Config) -> "ChannelConfig":
        """Read a configuration.

        Raises:
            InvalidConfig: it cannot be run on; names the element.
        """
        return _read(channel_id, config)

    @classmethod
    def from_envelope(cls, envelope: ConfigEnvelope, channel_id: str) -> "ChannelConfig":
        """As :meth:`from_config`, for the data of a config transaction."""
        return cls.from_config(channel_id, envelope.config)

    @classmethod
    def from_genesis(cls, block: Block) -> "ChannelConfig":
        """Read the configuration that a config block carries; the block is not verified.

        Raises:
            InvalidConfig: the block is not a config block, or its configuration cannot be run on.
            MalformedMessage: a layer of it cannot be read.
        """
        channel_id, envelope = config_of_block(block)
        return cls.from_config(channel_id, envelope.config)

    @property
    def sequence(self) -> int:
        """How often the configuration has been changed."""
        return self.config.sequence

    def orderer_msp_id(self, address: str) -> str:
        """Whose orderer this is; empty if the configuration does not say."""
        owners = (org for org in self.orderer_orgs.values() if address in org.orderer_endpoints)
        return next((org.mspid for org in owners), "")

    @property
    def batch_count_max(self) -> int:
        return self.orderer.batch_count_max

    @property
    def batch_bytes_absolute_max(self) -> int:
        return self.orderer.batch_bytes_absolute_max

    @property
    def batch_bytes_preferred_max(self) -> int:
        return self.orderer.batch_bytes_preferred_max

    @property
    def batch_timeout_ms(self) -> int:
        return self.orderer.batch_timeout_ms

    @property
    def consensus_type(self) -> str:
        return self.orderer.consensus_type

    @property
    def accepts_ed25519(self) -> bool:
        """Whether identities may have Ed25519 keys, and blocks BFT signatures."""
        return "V3_0" in self.channel_capabilities

    def check_supported(self) -> None:
        """Return if this version can follow the channel under this configuration.

        Raises:
            UnsupportedCapability: it asks for something that this version does not know.
        """
        for section, asked, known in (
            ("Channel", self.channel_capabilities, CHANNEL_CAPABILITIES),
            ("Orderer", self.orderer_capabilities, ORDERER_CAPABILITIES),
            ("Application", self.application_capabilities, APPLICATION_CAPABILITIES),
        ):
            unknown = tuple(sorted(asked - known))
            if unknown:
                raise UnsupportedCapability(section, unknown)

    def mspid_of(self, group: str) -> str | None:
        """The MSP id of an application organization by the name of its group."""
        org = self.application_orgs.get(group)
        return org.mspid if org is not None else None


def config_of_block(block: Block) -> tuple[str, ConfigEnvelope]:
    """The channel id and the config envelope that a config block carries.

    Raises:
        InvalidConfig: it is not a config block.
        MalformedMessage: a layer of it cannot be read.
    """
    if len(block.data.data) != 1:
        raise InvalidConfig(
            f"block {block.header.number}",
            f"expected one config transaction, found {len(block.data.data)}",
        )
    payload = codec.parse(Payload, codec.parse(Envelope, block.data.data[0]).payload)
    header = codec.parse(common_pb2.ChannelHeader, payload.header.channel_header)
    if header.type != HeaderType.CONFIG:
        raise InvalidConfig(
            f"block {block.header.number}",
            f"expected header type {HeaderType.CONFIG} (CONFIG), found {header.type}",
        )
    return header.channel_id, codec.parse(ConfigEnvelope, payload.data)


def _read(channel_id: str, config: Config) -> ChannelConfig:
    check_channel_id(channel_id)
    if not config.HasField("channel_group"):
        raise InvalidConfig("/Channel", "the configuration has no channel group")
    group = config.channel_group
    unknown = set(group.groups) - {"Application", "Orderer"}
    if unknown:
        raise InvalidConfig("/Channel", f"disallowed channel group: {', '.join(sorted(unknown))}")
    values = read_group_values("/Channel", group, "channel")
    _check_hashing(values)
    capabilities = _capabilities(values)
    reader = OrganizationReader(ed25519="V3_0" in capabilities)
    orderer = _section(group, "Orderer")
    orderer_values = read_group_values("/Channel/Orderer", orderer, "orderer")
    orderer_orgs = reader.read_all("/Channel/Orderer", orderer, "orderer_org")
    application = _section(group, "Application")
    application_values = read_group_values("/Channel/Application", application, "application")
    application_orgs = reader.read_all("/Channel/Application", application, "application_org")
    has_orderer = "Orderer" in group.groups
    if (
        has_orderer
        and "Capabilities" not in orderer_values
        and ("Capabilities" in values or "Capabilities" in application_values)
    ):
        raise InvalidConfig("/Channel", "cannot enable capabilities without orderer support first")
    addresses = value_of(values, "OrdererAddresses", channel_values_pb2.OrdererAddresses).addresses
    if "V3_0" in capabilities:
        _check_endpoints(tuple(addresses), orderer_orgs)
    msps = MspManager(reader.msps)
    return ChannelConfig(
        channel_id=channel_id,
        config=config,
        msps=msps,
        policies=PolicyManager(group, msps),
        channel_capabilities=capabilities,
        orderer_capabilities=_capabilities(orderer_values),
        application_capabilities=_capabilities(application_values),
        application_orgs=application_orgs,
        application_msp_ids=tuple(org.mspid for org in application_orgs.values()),
        orderer_orgs=orderer_orgs,
        orderer=_orderer_parameters(orderer_values) if has_orderer else _NO_ORDERER,
        orderer_addresses=_own_addresses(orderer_orgs) or tuple(addresses),
        acls=_acls(application_values),
        has_application="Application" in group.groups,
    )


def _own_addresses(orderer_orgs: Mapping[str, OrgConfig]) -> tuple[str, ...]:
    return tuple(address for org in orderer_orgs.values() for address in org.orderer_endpoints)


_NO_ORDERER = OrdererParameters("", b"", False, 0, 0, 0, 0)


def _section(group: ConfigGroup, name: str) -> ConfigGroup:
    return group.groups[name] if name in group.groups else ConfigGroup()


def _check_hashing(values: Mapping[str, Message]) -> None:
    name = value_of(values, "HashingAlgorithm", channel_values_pb2.HashingAlgorithm).name
    if name != "SHA256":
        raise InvalidConfig("/Channel/HashingAlgorithm", f"expected SHA256, found '{name}'")
    width = value_of(
        values, "BlockDataHashingStructure", channel_values_pb2.BlockDataHashingStructure
    ).width
    if width != _BLOCK_DATA_WIDTH:
        raise InvalidConfig(
            "/Channel/BlockDataHashingStructure", f"expected {_BLOCK_DATA_WIDTH}, found {width}"
        )


def _check_endpoints(addresses: tuple[str, ...], orderers: Mapping[str, OrgConfig]) -> None:
    """With V3_0, orderers are found through their organizations only."""
    if addresses:
        raise InvalidConfig(
            "/Channel/OrdererAddresses", "expected none with capability V3_0, but in organizations"
        )
    for name, org in orderers.items():
        if not org.orderer_endpoints:
            raise InvalidConfig(f"/Channel/Orderer/{name}", "expected Endpoints with V3_0")


def _capabilities(values: Mapping[str, Message]) -> frozenset[str]:
    return frozenset(value_of(values, "Capabilities", Capabilities).capabilities)


def _acls(values: Mapping[str, Message]) -> dict[str, str]:
    acls = value_of(values, "ACLs", application_values_pb2.ACLs).acls
    return {name: acl.policy_ref for name, acl in acls.items() if acl.policy_ref}


def _orderer_parameters(values: Mapping[str, Message]) -> OrdererParameters:
    size = value_of(values, "BatchSize", orderer_values_pb2.BatchSize)
    kind = value_of(values, "ConsensusType", orderer_values_pb2.ConsensusType)
    timeout = value_of(values, "BatchTimeout", orderer_values_pb2.BatchTimeout)
    _check_batch_size(size)
    return OrdererParameters(
        consensus_type=kind.type,
        consensus_metadata=kind.metadata,
        in_maintenance=kind.state == orderer_values_pb2.ConsensusType.STATE_MAINTENANCE,
        batch_count_max=size.max_message_count,
        batch_bytes_absolute_max=size.absolute_max_bytes,
        batch_bytes_preferred_max=size.preferred_max_bytes,
        batch_timeout_ms=parse_duration_ms(timeout.timeout),
        consenters=tuple(
            value_of(values, "Orderers", channel_values_pb2.Orderers).consenter_mapping
        ),
    )


def _check_batch_size(size: orderer_values_pb2.BatchSize) -> None:
    place = "/Channel/Orderer/BatchSize"
    for name, found in (
        ("max message count", size.max_message_count),
        ("absolute max bytes", size.absolute_max_bytes),
        ("preferred max bytes", size.preferred_max_bytes),
    ):
        if found == 0:
            raise InvalidConfig(place, f"expected a positive {name}, found 0")
    if size.preferred_max_bytes > size.absolute_max_bytes:
        raise InvalidConfig(
            place,
            f"preferred max bytes {size.preferred_max_bytes} are more than the absolute max bytes "
            f"{size.absolute_max_bytes}",
        )
