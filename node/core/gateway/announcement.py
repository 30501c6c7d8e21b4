"""What peers tell each other about themselves, as bytes and as records.

The signature covers the announcement followed by the identity. Whether the identity is a peer of an
organization on a common channel is for the caller to check, who knows the channels.
"""

from collections.abc import Mapping

from tongban.node.core.gateway.directory import ChannelPresence, PeerRecord
from tongban.protos.codec import parse
from tongban.protos.errors import LimitExceeded, MalformedMessage
from tongban.protos.identities_pb2 import SerializedIdentity
from tongban.protos.signing import Signer
from tongban.protos.stream_pb2 import (
    ChaincodeState,
    ChannelState,
    PeerAnnouncement,
    SignedAnnouncement,
)

ANNOUNCEMENT_BYTES_MAX = 256 * 1024
"""Bytes of one announcement: a few thousand chaincodes on a few hundred channels."""

ENDPOINT_CHARS_MAX = 262
"""A host name of 253 characters (RFC 1035), a colon and a port, and some room."""


def signed_bytes(signed: SignedAnnouncement) -> bytes:
    """What the signature covers."""
    return signed.announcement + signed.identity


def read_announcement(signed: SignedAnnouncement) -> PeerRecord:
    """The record an announcement carries; its signature is not checked here.

    Raises:
        MalformedMessage: it cannot be parsed, or names another organization than its identity.
        LimitExceeded: it is too large.
    """
    if len(signed.announcement) > ANNOUNCEMENT_BYTES_MAX:
        raise LimitExceeded("peer announcement", ANNOUNCEMENT_BYTES_MAX, len(signed.announcement))
    announcement = parse(PeerAnnouncement, signed.announcement)
    identity = parse(SerializedIdentity, signed.identity)
    if announcement.msp_id != identity.mspid:
        raise MalformedMessage(
            "peer announcement", f"expected MSP id {identity.mspid}, found {announcement.msp_id}"
        )
    host, colon, port = announcement.endpoint.rpartition(":")
    well_formed = host and colon and port.isdecimal() and int(port) < 65536
    if not well_formed or len(announcement.endpoint) > ENDPOINT_CHARS_MAX:
        raise MalformedMessage("peer announcement", "expected an endpoint of the form host:port")
    return PeerRecord(
        endpoint=announcement.endpoint,
        msp_id=announcement.msp_id,
        identity=signed.identity,
        incarnation=announcement.incarnation,
        sequence=announcement.sequence,
        channels={
            channel.channel_id: ChannelPresence(
                channel.height, {cc.name: cc.version for cc in channel.chaincodes}
            )
            for channel in announcement.channels
        },
    )


def sign_announcement(record: PeerRecord, signer: Signer) -> SignedAnnouncement:
    """What the peer itself sends. ``record.identity`` must be the signer's."""
    announcement = PeerAnnouncement(
        endpoint=record.endpoint,
        msp_id=record.msp_id,
        incarnation=record.incarnation,
        sequence=record.sequence,
        channels=[_state(name, presence) for name, presence in _sorted(record.channels)],
    ).SerializeToString()
    return SignedAnnouncement(
        announcement=announcement,
        identity=record.identity,
        signature=signer.sign(announcement + record.identity),
    )


def _sorted(channels: Mapping[str, ChannelPresence]) -> list[tuple[str, ChannelPresence]]:
    return sorted(channels.items())


def _state(channel_id: str, presence: ChannelPresence) -> ChannelState:
    return ChannelState(
        channel_id=channel_id,
        height=presence.height,
        chaincodes=[
            ChaincodeState(name=name, version=version)
            for name, version in sorted(presence.chaincodes.items())
        ],
    )
