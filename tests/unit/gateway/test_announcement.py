"""Announcements survive the wire, and what is not one is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongban.node.core.gateway.announcement import (
    ANNOUNCEMENT_BYTES_MAX,
    read_announcement,
    sign_announcement,
    signed_bytes,
)
from tongban.node.core.gateway.directory import ChannelPresence, PeerRecord
from tongban.protos.errors import LimitExceeded, MalformedMessage, TongbanError
from tongban.protos.identities_pb2 import SerializedIdentity
from tongban.protos.stream_pb2 import PeerAnnouncement, SignedAnnouncement

IDENTITY = SerializedIdentity(mspid="AMSP", id_bytes=b"pem").SerializeToString()


class EchoSigner:
    """Signs by returning the message, so that a test sees what was signed."""

    creator = IDENTITY

    def sign(self, message: bytes) -> bytes:
        return message


def record(endpoint: str = "peer0.a:7051", msp_id: str = "AMSP") -> PeerRecord:
    presence = ChannelPresence(12, {"basic": "1.0", "rules": "2.1"})
    return PeerRecord(endpoint, msp_id, IDENTITY, 3, 4, {"mychannel": presence})


def test_a_record_survives_the_wire_and_is_signed_with_its_identity() -> None:
    signed = sign_announcement(record(), EchoSigner())
    assert read_announcement(signed) == record()
    assert signed.signature == signed_bytes(signed) == signed.announcement + IDENTITY


@pytest.mark.parametrize("endpoint", ["", "host", ":7051", "host:", "host:x", "host:70000"])
def test_an_endpoint_that_cannot_be_dialled_is_refused(endpoint: str) -> None:
    with pytest.raises(MalformedMessage, match="host:port"):
        read_announcement(sign_announcement(record(endpoint), EchoSigner()))


def test_an_announcement_for_another_organization_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="expected MSP id AMSP, found BMSP"):
        read_announcement(sign_announcement(record(msp_id="BMSP"), EchoSigner()))


def test_a_huge_announcement_is_refused() -> None:
    huge = PeerAnnouncement(endpoint="h:1" + "0" * ANNOUNCEMENT_BYTES_MAX).SerializeToString()
    with pytest.raises(LimitExceeded):
        read_announcement(SignedAnnouncement(announcement=huge, identity=IDENTITY))


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(announcement: bytes, identity: bytes) -> None:
    signed = SignedAnnouncement(announcement=announcement, identity=identity)
    try:
        read_announcement(signed)
    except TongbanError:
        return
    assert SerializedIdentity.FromString(identity).mspid == (
        PeerAnnouncement.FromString(announcement).msp_id
    )
