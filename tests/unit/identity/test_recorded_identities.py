"""The creators of a channel recorded from Fabric: read, judged and verified as it did."""

from collections import Counter

import pytest

from tests.support.recorded import recorded_block, recorded_genesis
from tongban.node.core.channel import ChannelConfig, config_of_block
from tongban.node.core.errors import AccessDenied
from tongban.protos import codec
from tongban.protos.common_pb2 import Envelope, Payload, SignatureHeader
from tongban.protos.errors import InvalidSignature, MalformedMessage

BAD_CREATOR_SIGNATURE = 4

FOREIGN_CHANNEL_BLOCK = 89
"""Holds a transaction of another channel, which gets the same code for another reason."""


@pytest.fixture(scope="module")
def channel() -> ChannelConfig:
    return ChannelConfig.from_genesis(recorded_genesis())


def test_exactly_the_creators_that_fabric_refused_are_refused(channel: ChannelConfig) -> None:
    verdicts: Counter[bool] = Counter()
    for number in range(1, FOREIGN_CHANNEL_BLOCK):
        block = recorded_block(number)
        assert block.header.number == number
        flags = block.metadata.metadata[2]
        for flag, data in zip(flags, block.data.data, strict=True):
            accepted = _is_accepted(channel, data)
            if accepted is None:
                continue
            verdicts[accepted] += 1
            if flag == BAD_CREATOR_SIGNATURE or not accepted:
                assert (flag == BAD_CREATOR_SIGNATURE) == (not accepted), (number, flag)
    assert verdicts[True] > 700
    assert verdicts[False] == 12


def test_the_recorded_organizations_are_read(channel: ChannelConfig) -> None:
    assert sorted(channel.msps.msps) == ["OrdererMSP", "Org1MSP", "Org2MSP"]
    assert channel.accepts_ed25519


def _is_accepted(channel: ChannelConfig, data: bytes) -> bool | None:
    """None for bodies that are refused before anybody looks at the creator, and config updates,
    which the orderer signs."""
    try:
        envelope = codec.parse(Envelope, data)
        payload = codec.parse(Payload, envelope.payload)
        creator = codec.parse(SignatureHeader, payload.header.signature_header).creator
    except MalformedMessage:
        return None
    if not payload.HasField("header") or not creator:
        return None
    try:
        identity = channel.msps.deserialize(creator)
        channel.msps.validate(identity)
        identity.verify(envelope.payload, envelope.signature)
    except (AccessDenied, InvalidSignature):
        return False
    return True


def test_the_genesis_block_carries_the_first_configuration() -> None:
    channel_id, envelope = config_of_block(recorded_genesis())
    assert channel_id == "goldchan"
    assert envelope.config.sequence == 0
