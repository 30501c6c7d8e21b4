"""Bytes that are not what they should be are refused, within limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongban.protos import codec, limits
from tongban.protos.common_pb2 import Block, ChannelHeader, Envelope
from tongban.protos.digest import encode_uvarint
from tongban.protos.errors import LimitExceeded, MalformedMessage
from tongban.protos.policies_pb2 import SignaturePolicy


def test_a_message_comes_back() -> None:
    envelope = Envelope(payload=b"p", signature=b"s")
    assert codec.parse(Envelope, envelope.SerializeToString()) == envelope


def test_a_message_at_the_limit_is_parsed_and_one_beyond_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(codec, "MESSAGE_BYTES_MAX", 100)
    fitting = Envelope(payload=b"x" * 98).SerializeToString()
    assert len(fitting) == 100
    codec.parse(Envelope, fitting)
    with pytest.raises(LimitExceeded) as refused:
        codec.parse(Envelope, fitting + b"\x00", "what was sent")
    assert (refused.value.limit, refused.value.found) == (100, 101)
    assert "what was sent" in str(refused.value)
    assert limits.MESSAGE_BYTES_MAX == 100 * 1024 * 1024


def test_nesting_that_is_too_deep_is_refused() -> None:
    def nested(depth: int) -> bytes:
        rule = SignaturePolicy(signed_by=0).SerializeToString()
        for _ in range(depth):
            gate = b"\x08\x01" + b"\x12" + encode_uvarint(len(rule)) + rule
            rule = b"\x12" + encode_uvarint(len(gate)) + gate
        return rule

    codec.parse(SignaturePolicy, nested(limits.POLICY_DEPTH_MAX))
    with pytest.raises(MalformedMessage):
        codec.parse(SignaturePolicy, nested(60))


def test_strings_must_be_utf8() -> None:
    with pytest.raises(MalformedMessage, match="channel header"):
        codec.parse(ChannelHeader, b"\x22\x02\xff\xff", "channel header")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_refusal(data: bytes) -> None:
    for kind in (Envelope, Block, SignaturePolicy):
        try:
            codec.parse(kind, data)
        except MalformedMessage as error:
            assert kind.DESCRIPTOR.name in str(error)
