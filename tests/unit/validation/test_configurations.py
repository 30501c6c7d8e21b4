"""Configurations in blocks: the first one, updates, and what a block looks like afterwards."""

import pytest

from tests.support.builders import (
    EITHER,
    TestChannel,
    TxBuilder,
    a_block,
    a_channel,
    a_tx,
    channel_config,
    code_names,
    organizations,
)
from tests.support.channels import config_envelope, signed_update, wrap_update
from tests.support.pki import Member
from tongban.node.core.block import BlockRefused, parse_block
from tongban.node.core.channel import build_genesis_block
from tongban.node.core.commit_hash import compute_block_commit_hash
from tongban.node.core.state import CONFIG_KEY, CONFIG_NAMESPACE, Version
from tongban.node.core.validation.genesis import accept_genesis
from tongban.node.core.validation.verdict import build_commit_input
from tongban.protos.channel_values_pb2 import Capabilities
from tongban.protos.common_pb2 import Block, HeaderType, Metadata
from tongban.protos.configtx_pb2 import Config, ConfigEnvelope
from tongban.protos.errors import TongbanError


@pytest.fixture
def channel() -> TestChannel:
    found = a_channel()
    found.define("cc", EITHER)
    return found


def changed(channel: TestChannel) -> Config:
    """The next configuration: another limit for batches."""
    config = Config.FromString(channel.config.config.SerializeToString())
    config.channel_group.groups["Orderer"].values[
        "BatchSize"
    ].value = b"\x08\x07\x10\x80\x80\x80\x01\x18\x80\x08"
    return config


def admin_of_orderers() -> list[Member]:
    return [organizations()[2].admin]


def config_tx(
    channel: TestChannel, wanted: Config, signers: list[Member] | None = None
) -> TxBuilder:
    """As the orderer orders it: the update that was signed beside what it makes."""
    update = signed_update(channel.config, wanted, signers or admin_of_orderers())
    result = Config.FromString(wanted.SerializeToString())
    result.sequence = channel.config.sequence + 1
    orderers = result.channel_group.groups["Orderer"].values["BatchSize"]
    orderers.version += 1
    envelope = config_envelope(
        result, wrap_update(channel.config.channel_id, update, organizations()[2].admin)
    )
    return as_config(channel, envelope.SerializeToString())


def as_config(channel: TestChannel, data: bytes) -> TxBuilder:
    return a_tx(
        channel,
        creator=organizations()[2].orderers[0],
        type=HeaderType.CONFIG,
        tx_id="",
        data=data,
    )


def test_an_update_is_applied_and_kept_as_it_came(channel: TestChannel) -> None:
    tx = config_tx(channel, changed(channel))
    verdict = channel.validate(a_block(channel).with_tx(tx))
    assert code_names(verdict) == ["VALID"]
    assert verdict.config == tx.overrides["data"]
    assert verdict.channel.batch_count_max == 7
    assert verdict.channel.sequence == channel.config.sequence + 1
    stored = verdict.updates.get(CONFIG_NAMESPACE, CONFIG_KEY)
    assert stored is not None
    assert stored.value == verdict.config
    assert stored.version == Version(channel.height, 0)
    assert not verdict.history
    assert verdict.config_refusal == ""


def refused(channel: TestChannel, tx: TxBuilder) -> str:
    verdict = channel.validate(a_block(channel).with_tx(tx))
    assert code_names(verdict) == ["INVALID_CONFIG_TRANSACTION"]
    assert verdict.channel is channel.config
    assert verdict.config is None
    assert not verdict.updates.values
    return verdict.config_refusal


def test_an_update_that_the_wrong_people_signed_is_refused(channel: TestChannel) -> None:
    reason = refused(channel, config_tx(channel, changed(channel), [organizations()[0].admin]))
    assert "BatchSize" in reason


def test_a_configuration_that_the_update_does_not_make_is_refused(channel: TestChannel) -> None:
    tx = config_tx(channel, changed(channel))
    data = tx.overrides["data"]
    assert isinstance(data, bytes)
    envelope = ConfigEnvelope.FromString(data)
    group = envelope.config.channel_group.groups["Orderer"]
    group.values["BatchTimeout"].value = b"\x0a\x029s"
    assert refused(channel, as_config(channel, envelope.SerializeToString()))


def test_a_configuration_out_of_turn_is_refused(channel: TestChannel) -> None:
    tx = config_tx(channel, changed(channel))
    channel.commit(a_block(channel).with_tx(tx))
    assert channel.config.batch_count_max == 7
    again = as_config(channel, tx.overrides["data"])  # type: ignore[arg-type]
    assert "currently at sequence 1" in refused(channel, again)


@pytest.mark.parametrize("data", [b"", b"\xff\xff", b"\x0a\x00"])
def test_garbage_is_refused_as_a_configuration(channel: TestChannel, data: bytes) -> None:
    assert refused(channel, as_config(channel, data))


def test_an_unknown_capability_is_refused_with_its_name(channel: TestChannel) -> None:
    config = changed(channel)
    capabilities = Capabilities()
    capabilities.capabilities["V9_0"].SetInParent()
    orderer = config.channel_group.groups["Orderer"]
    orderer.values["Capabilities"].value = capabilities.SerializeToString()
    update = signed_update(channel.config, config, admin_of_orderers())
    config.sequence = channel.config.sequence + 1
    orderer.values["Capabilities"].version += 1
    orderer.values["BatchSize"].version += 1
    envelope = config_envelope(config, wrap_update("mychannel", update, organizations()[2].admin))
    assert "V9_0" in refused(channel, as_config(channel, envelope.SerializeToString()))


def test_a_configuration_holds_from_the_next_block_on(channel: TestChannel) -> None:
    channel.commit(a_block(channel).with_tx(config_tx(channel, changed(channel))))
    verdict = channel.validate(a_block(channel).with_tx(a_tx(channel).writing("k", b"v")))
    assert code_names(verdict) == ["VALID"]


def genesis() -> Block:
    return build_genesis_block("mychannel", channel_config().config)


def test_the_first_block_is_taken_as_it_is() -> None:
    verdict = accept_genesis(parse_block(genesis()))
    assert code_names(verdict) == ["VALID"]
    assert verdict.channel.channel_id == "mychannel"
    assert verdict.updates.get(CONFIG_NAMESPACE, CONFIG_KEY) is not None
    commit = build_commit_input(parse_block(genesis()), verdict, b"")
    assert commit.commit_hash == b""
    stored = Block.FromString(commit.block)
    assert list(stored.metadata.metadata)[2:] == [b"\x00", b"", b""]


def test_a_first_block_must_be_whole(channel: TestChannel) -> None:
    later = genesis()
    later.header.number = 1
    chained = genesis()
    chained.header.previous_hash = b"p" * 32
    other_data = genesis()
    other_data.header.data_hash = b"h" * 32
    not_config = a_block(channel).with_tx(a_tx(channel)).block()
    not_config.header.number = 0
    not_config.header.previous_hash = b""
    for block in (later, chained, other_data, not_config):
        with pytest.raises(BlockRefused):
            accept_genesis(parse_block(block))
    empty = genesis()
    del empty.data.data[:]
    with pytest.raises(TongbanError):
        accept_genesis(parse_block(empty))


def test_a_block_gets_its_flags_and_its_commit_hash(channel: TestChannel) -> None:
    built = a_block(channel).with_tx(
        a_tx(channel).writing("key", b"value"), a_tx(channel, endorsers=())
    )
    block = built.signed()
    block.metadata.metadata[2] = b"forged"
    block.metadata.metadata[4] = b"forged"
    parsed = parse_block(block)
    verdict = channel.validator(parsed).finish()
    commit = build_commit_input(parsed, verdict, b"c" * 32)
    expected = compute_block_commit_hash(bytes([0, 10]), verdict.updates, b"c" * 32)
    assert commit.commit_hash == expected
    stored = Block.FromString(commit.block)
    assert stored.metadata.metadata[2] == bytes([0, 10])
    assert Metadata.FromString(stored.metadata.metadata[4]).value == expected
    assert stored.metadata.metadata[0] == block.metadata.metadata[0]
    assert stored.header == block.header
    assert stored.data == block.data
    assert parse_block(commit.block).flags == verdict.flags
