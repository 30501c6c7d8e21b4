"""Counting the fields of a message before it is parsed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongban.protos.elements import check_element_count
from tongban.protos.errors import LimitExceeded
from tongban.protos.gateway_pb2 import EndorseRequest
from tongban.protos.stream_pb2 import (
    Announcements,
    GatewayFrame,
    GatewayMessage,
    Hello,
    PeerFrame,
    PeerMessage,
    SignedAnnouncement,
)

FRAME = GatewayFrame.DESCRIPTOR


def holds_exactly(data: bytes, count: int, kind: type[GatewayFrame | PeerFrame]) -> None:
    check_element_count(kind.DESCRIPTOR, data, count)
    with pytest.raises(LimitExceeded, match=rf"{kind.DESCRIPTOR.name}: {count} fields"):
        check_element_count(kind.DESCRIPTOR, data, count - 1)


def test_fields_of_all_levels_count() -> None:
    request = EndorseRequest(transaction_id="t", endorsing_organizations=["", "", ""])
    frame = GatewayFrame(
        hello=Hello(version=1), messages=[GatewayMessage(id=7, propose=request), GatewayMessage()]
    )
    holds_exactly(frame.SerializeToString(), 1 + 1 + 2 + 2 + 4, GatewayFrame)


def test_empty_messages_in_messages_count() -> None:
    many = Announcements(announcements=[SignedAnnouncement()] * 1000)
    frame = PeerFrame(messages=[PeerMessage(announcements=many)]).SerializeToString()
    assert len(frame) < 2100
    holds_exactly(frame, 1002, PeerFrame)


def test_bytes_that_happen_to_be_a_message_count_once() -> None:
    inner = GatewayFrame(messages=[GatewayMessage(id=1)] * 50).SerializeToString()
    signed = SignedAnnouncement(announcement=inner)
    frame = PeerFrame(
        messages=[PeerMessage(announcements=Announcements(announcements=[signed]))]
    ).SerializeToString()
    holds_exactly(frame, 4, PeerFrame)


def test_nothing_hides_behind_a_group() -> None:
    group = b"\x7b" + b"\x12\x00" * 20 + b"\x7c"  # field 15, with empty messages in it
    check_element_count(FRAME, group, 22)
    with pytest.raises(LimitExceeded):
        check_element_count(FRAME, group + b"\x12\x00" * 20, 41)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_counted(data: bytes) -> None:
    check_element_count(FRAME, data, 200)
