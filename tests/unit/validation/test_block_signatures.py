"""Which blocks may follow: number, chain, data hash, form, and the orderers' signatures."""

from collections.abc import Callable

import pytest

from tests.support.builders import (
    EITHER,
    TestChannel,
    a_block,
    a_channel,
    a_tx,
    channel_config,
    organizations,
    sign_block,
)
from tests.support.pki import Member, make_organization
from tongban.node.core.block import BlockRefused, parse_block
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.policy import SignatureVerifier
from tongban.node.core.validation.block_signatures import verify_block
from tongban.protos.channel_values_pb2 import Consenter, Orderers
from tongban.protos.common_pb2 import (
    Block,
    Envelope,
    IdentifierHeader,
    Metadata,
    MetadataSignature,
)
from tongban.protos.configtx_pb2 import Config
from tongban.protos.digest import compute_data_hash, encode_block_header
from tongban.protos.errors import MalformedMessage

PREVIOUS = b"p" * 32


@pytest.fixture
def channel() -> TestChannel:
    found = a_channel()
    found.define("cc", EITHER)
    return found


def signed(channel: TestChannel, *orderers: Member) -> Block:
    return a_block(channel).with_tx(a_tx(channel).writing("key", b"value")).signed(*orderers)


def verify(channel: TestChannel, block: Block, config: ChannelConfig | None = None) -> None:
    verify_block(
        parse_block(block),
        PREVIOUS,
        channel.height,
        config or channel.config,
        SignatureVerifier(),
    )


def test_a_signed_block_is_accepted(channel: TestChannel) -> None:
    verify(channel, signed(channel))


def other_number(block: Block) -> None:
    block.header.number += 1


def other_previous(block: Block) -> None:
    block.header.previous_hash = b"q" * 32


def few_slots(block: Block) -> None:
    del block.metadata.metadata[4:]


def other_data(block: Block) -> None:
    block.data.data[0] = Envelope(payload=b"p", signature=b"s").SerializeToString()


def no_signature_on_an_envelope(block: Block) -> None:
    block.data.data[0] = Envelope(payload=b"p").SerializeToString()


def bytes_in_front(block: Block) -> None:
    """A signature that the real one, coming later, replaces."""
    block.data.data[0] = b"\x12\x01s" + block.data.data[0]


def no_data(block: Block) -> None:
    del block.data.data[:]


def no_signatures(block: Block) -> None:
    block.metadata.metadata[0] = b""


def garbled_signatures(block: Block) -> None:
    block.metadata.metadata[0] = b"\xff\xff"


def changed_value(block: Block) -> None:
    metadata = Metadata.FromString(block.metadata.metadata[0])
    metadata.value = b"\x0a\x02\x08\x05"
    block.metadata.metadata[0] = metadata.SerializeToString()


REFUSED: list[tuple[Callable[[Block], None], str]] = [
    (other_number, "expected number"),
    (other_previous, "previous hash"),
    (few_slots, "expected 5 metadata entries, found 4"),
    (other_data, "the data hashes to"),
    (no_signature_on_an_envelope, "transaction 0 has no signature"),
    (bytes_in_front, "transaction 0 is not in its shortest form"),
    (no_data, "it has no transactions"),
    (no_signatures, "signatures do not do"),
    (garbled_signatures, "its signatures are unreadable"),
    (changed_value, "signatures do not do"),
]


@pytest.mark.parametrize(("spoil", "reason"), REFUSED, ids=[c[0].__name__ for c in REFUSED])
def test_a_block_is_refused(
    channel: TestChannel, spoil: Callable[[Block], None], reason: str
) -> None:
    block = signed(channel)
    spoil(block)
    with pytest.raises(BlockRefused, match=reason):
        verify(channel, block)


def test_an_application_member_does_not_sign_blocks(channel: TestChannel) -> None:
    with pytest.raises(BlockRefused, match="signatures do not do"):
        verify(channel, signed(channel, organizations()[0].peers[0]))


def test_an_orderer_of_a_foreign_authority_does_not_sign_blocks(channel: TestChannel) -> None:
    stranger = make_organization("OrdererMSP", orderers=1).orderers[0]
    with pytest.raises(BlockRefused, match="signatures do not do"):
        verify(channel, signed(channel, stranger))


def test_a_block_without_a_header_is_no_block() -> None:
    with pytest.raises(MalformedMessage, match="no header"):
        parse_block(b"")


def with_consenters(capability: str) -> ChannelConfig:
    """Two orderers with numbers 7 and 8."""
    config = Config.FromString(
        channel_config(channel_capabilities=(capability,)).config.SerializeToString()
    )
    orderers = Orderers(
        consenter_mapping=[
            Consenter(id=7 + index, msp_id="OrdererMSP", identity=member.pem)
            for index, member in enumerate(organizations()[2].orderers)
        ]
    )
    values = config.channel_group.groups["Orderer"].values
    values["Orderers"].value = orderers.SerializeToString()
    values["Orderers"].mod_policy = "Admins"
    return ChannelConfig.from_config("mychannel", config)


def sign_by_number(block: Block, number: int, orderer: Member) -> Block:
    header = IdentifierHeader(identifier=number, nonce=b"n").SerializeToString()
    value = Metadata.FromString(block.metadata.metadata[0]).value
    given = block.header
    signed = encode_block_header(given.number, given.previous_hash, given.data_hash)
    signature = orderer.signer.sign(value + header + signed)
    metadata = Metadata(value=value)
    metadata.signatures.append(MetadataSignature(identifier_header=header, signature=signature))
    block.metadata.metadata[0] = metadata.SerializeToString()
    return block


def test_a_consenter_may_sign_by_its_number(channel: TestChannel) -> None:
    orderer = organizations()[2].orderers[1]
    block = sign_by_number(signed(channel), 8, orderer)
    verify(channel, block, with_consenters("V3_0"))
    with pytest.raises(BlockRefused):
        verify(channel, block, with_consenters("V2_0"))


@pytest.mark.parametrize("number", [7, 9, 0])
def test_the_wrong_number_is_refused(channel: TestChannel, number: int) -> None:
    block = sign_by_number(signed(channel), number, organizations()[2].orderers[1])
    with pytest.raises(BlockRefused, match="signatures do not do"):
        verify(channel, block, with_consenters("V3_0"))


def test_one_good_signature_of_two_does(channel: TestChannel) -> None:
    block = signed(channel)
    metadata = Metadata.FromString(block.metadata.metadata[0])
    wrong = sign_block(block, b"another value", organizations()[2].orderers[1])
    metadata.signatures.insert(0, wrong)
    block.metadata.metadata[0] = metadata.SerializeToString()
    verify(channel, block)


def test_a_config_block_may_have_an_envelope_in_any_form(channel: TestChannel) -> None:
    block = a_block(channel).with_tx(a_tx(channel, type=1)).signed()
    raw = block.data.data[0] + b"\x12\x00"
    del block.data.data[:]
    block.data.data.append(raw)
    block.header.data_hash = compute_data_hash([raw])
    value = Metadata.FromString(block.metadata.metadata[0]).value
    metadata = Metadata(value=value)
    metadata.signatures.append(sign_block(block, value, organizations()[2].orderers[0]))
    block.metadata.metadata[0] = metadata.SerializeToString()
    verify(channel, block)
