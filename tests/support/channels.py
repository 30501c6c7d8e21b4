"""Channels of organizations made in memory, for tests."""

from collections.abc import Sequence

from tests.support.pki import Member, Organization, make_organization
from tongban.node.core.channel import (
    ChannelConfig,
    ChannelDescription,
    OrganizationDescription,
    build_channel_config,
    compute_update,
)
from tongban.protos.common_pb2 import (
    ChannelHeader,
    Envelope,
    Header,
    HeaderType,
    Payload,
    SignatureHeader,
)
from tongban.protos.configtx_pb2 import (
    Config,
    ConfigEnvelope,
    ConfigSignature,
    ConfigUpdate,
    ConfigUpdateEnvelope,
)


def describe(
    organizations: Sequence[Organization],
    orderers: Sequence[Organization] = (),
    **changes: object,
) -> ChannelDescription:
    """A channel whose groups are named after the MSP ids; ``changes`` are fields."""
    return ChannelDescription(
        organizations=[OrganizationDescription(org.mspid, org.msp_config) for org in organizations],
        orderers=[
            OrganizationDescription(
                org.mspid, org.msp_config, endpoints=("orderer.example.com:7050",)
            )
            for org in orderers or [make_organization("OrdererMSP", orderers=1)]
        ],
        **changes,  # type: ignore[arg-type]
    )


def make_channel(
    organizations: Sequence[Organization],
    orderers: Sequence[Organization] = (),
    channel_id: str = "mychannel",
    **changes: object,
) -> ChannelConfig:
    """The configuration of a new channel."""
    config = build_channel_config(describe(organizations, orderers, **changes))
    return ChannelConfig.from_config(channel_id, config)


def signed_update(
    channel: ChannelConfig, wanted: Config, signers: Sequence[Member]
) -> ConfigUpdateEnvelope:
    """The update from the channel's configuration to ``wanted``, signed."""
    return sign_update(compute_update(channel.config, wanted, channel.channel_id), signers)


def sign_update(update: ConfigUpdate, signers: Sequence[Member]) -> ConfigUpdateEnvelope:
    body = update.SerializeToString()
    envelope = ConfigUpdateEnvelope(config_update=body)
    for number, member in enumerate(signers):
        header = SignatureHeader(creator=member.identity, nonce=bytes([number]) * 24)
        signed = header.SerializeToString()
        envelope.signatures.append(
            ConfigSignature(signature_header=signed, signature=member.signer.sign(signed + body))
        )
    return envelope


def wrap_update(channel_id: str, update: ConfigUpdateEnvelope, member: Member) -> Envelope:
    """The envelope that a client broadcasts to change a configuration."""
    header = ChannelHeader(type=HeaderType.CONFIG_UPDATE, channel_id=channel_id)
    payload = Payload(
        header=Header(
            channel_header=header.SerializeToString(),
            signature_header=SignatureHeader(
                creator=member.identity, nonce=b"n" * 24
            ).SerializeToString(),
        ),
        data=update.SerializeToString(),
    ).SerializeToString()
    return Envelope(payload=payload, signature=member.signer.sign(payload))


def config_envelope(config: Config, last_update: Envelope) -> ConfigEnvelope:
    return ConfigEnvelope(config=config, last_update=last_update)
