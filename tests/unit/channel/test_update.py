"""Which changes of a configuration are allowed, and what they make."""

from collections.abc import Callable

import pytest

from tests.support.channels import (
    config_envelope,
    make_channel,
    sign_update,
    signed_update,
    wrap_update,
)
from tests.support.pki import Member, Organization, make_organization
from tests.support.recorded import RECORDED_BLOCKS, recorded_block, recorded_genesis
from tongban.node.core.channel import (
    ChannelConfig,
    apply_update,
    check_config_block,
    compute_update,
    config_of_block,
    update_of_envelope,
)
from tongban.node.core.errors import InvalidConfig, InvalidConfigUpdate
from tongban.node.core.policy import SignatureVerifier
from tongban.protos.common_pb2 import Envelope, Payload
from tongban.protos.configtx_pb2 import Config, ConfigUpdate, ConfigUpdateEnvelope


@pytest.fixture(scope="module")
def orderers() -> Organization:
    return make_organization("OrdererMSP", orderers=1)


@pytest.fixture(scope="module")
def orgs() -> list[Organization]:
    return [make_organization(f"Org{n}MSP", peers=1, users=1) for n in (1, 2, 3)]


@pytest.fixture(scope="module")
def channel(orgs: list[Organization], orderers: Organization) -> ChannelConfig:
    return make_channel(orgs[:2], [orderers])


@pytest.fixture
def verifier() -> SignatureVerifier:
    return SignatureVerifier()


def changed(channel: ChannelConfig, change: Callable[[Config], None]) -> Config:
    wanted = Config()
    wanted.CopyFrom(channel.config)
    change(wanted)
    return wanted


def add_org3(orgs: list[Organization]) -> Callable[[Config], None]:
    def change(config: Config) -> None:
        section = config.channel_group.groups["Application"].groups
        section["Org3MSP"].CopyFrom(section["Org2MSP"])
        section["Org3MSP"].values["MSP"].value = orgs[2].msp_config.SerializeToString()

    return change


def remove_org2(config: Config) -> None:
    del config.channel_group.groups["Application"].groups["Org2MSP"]


def rename_writers(config: Config) -> None:
    config.channel_group.groups["Application"].policies["Writers"].mod_policy = "Writers"


def shorten_batches(config: Config) -> None:
    config.channel_group.groups["Orderer"].values[
        "BatchSize"
    ].value = b"\x08\x05\x10\x80\x80\x80\x05\x18\x80\x80\x80\x01"


class TestComputing:
    """The smallest update."""

    def test_a_changed_value_is_written_with_the_next_version(self, channel: ChannelConfig) -> None:
        update = compute_update(channel.config, changed(channel, shorten_batches), "mychannel")
        orderer = update.write_set.groups["Orderer"]
        assert list(orderer.values) == ["BatchSize"]
        assert orderer.values["BatchSize"].version == 1
        assert orderer.version == update.write_set.version == 0
        assert not orderer.mod_policy
        assert list(update.read_set.groups) == ["Orderer"]
        assert not update.read_set.groups["Orderer"].values
        assert update.channel_id == "mychannel"

    def test_a_new_member_raises_the_version_of_its_group(
        self, channel: ChannelConfig, orgs: list[Organization]
    ) -> None:
        update = compute_update(channel.config, changed(channel, add_org3(orgs)))
        before = update.read_set.groups["Application"]
        after = update.write_set.groups["Application"]
        assert (before.version, after.version) == (0, 1)
        assert after.mod_policy == "Admins"
        assert sorted(before.groups) == ["Org1MSP", "Org2MSP"]
        assert sorted(after.groups) == ["Org1MSP", "Org2MSP", "Org3MSP"]
        assert not after.groups["Org1MSP"].values, "unchanged siblings are named by version only"
        assert after.groups["Org3MSP"].values["MSP"].value
        assert sorted(after.policies) == sorted(before.policies)

    def test_nothing_to_change_is_refused(self, channel: ChannelConfig) -> None:
        with pytest.raises(InvalidConfigUpdate, match="no differences"):
            compute_update(channel.config, channel.config)
        with pytest.raises(InvalidConfigUpdate, match="expected a channel group"):
            compute_update(channel.config, Config())


@pytest.mark.parametrize(
    ("change", "signers", "allowed"),
    [
        ("add_org3", ["Org1MSP", "Org2MSP"], True),
        ("add_org3", ["Org1MSP"], False),
        ("add_org3", [], False),
        ("remove_org2", ["Org1MSP", "Org2MSP"], True),
        ("remove_org2", ["Org2MSP"], False),
        ("rename_writers", ["Org1MSP", "Org2MSP"], True),
        ("shorten_batches", ["OrdererMSP"], True),
        ("shorten_batches", ["Org1MSP", "Org2MSP"], False),
    ],
)
def test_the_owners_of_what_changes_must_sign(
    *,
    channel: ChannelConfig,
    orgs: list[Organization],
    orderers: Organization,
    verifier: SignatureVerifier,
    change: str,
    signers: list[str],
    allowed: bool,
) -> None:
    by_name: dict[str, Member] = {org.mspid: org.admin for org in [*orgs, orderers]}
    changes: dict[str, Callable[[Config], None]] = {
        "add_org3": add_org3(orgs),
        "remove_org2": remove_org2,
        "rename_writers": rename_writers,
        "shorten_batches": shorten_batches,
    }
    before = channel.config.SerializeToString(deterministic=True)
    wanted = changed(channel, changes[change])
    update = signed_update(channel, wanted, [by_name[name] for name in signers])
    if allowed:
        made = apply_update(channel, update, verifier)
        envelope = config_envelope(made, wrap_update("mychannel", update, by_name["Org1MSP"]))
        successor = check_config_block(channel, envelope, verifier)
        assert successor.sequence == 1
        assert sorted(made.channel_group.groups["Application"].groups) == sorted(
            wanted.channel_group.groups["Application"].groups
        )
    else:
        with pytest.raises(InvalidConfigUpdate, match="policy not satisfied"):
            apply_update(channel, update, verifier)
    assert channel.config.SerializeToString(deterministic=True) == before


def _update(channel: ChannelConfig) -> ConfigUpdate:
    return compute_update(channel.config, changed(channel, shorten_batches), "mychannel")


def _other_channel(update: ConfigUpdate) -> None:
    update.channel_id = "other"


def _stale_read(update: ConfigUpdate) -> None:
    update.read_set.groups["Orderer"].version = 3


def _read_of_nothing(update: ConfigUpdate) -> None:
    update.read_set.groups["Missing"].SetInParent()


def _skipped_version(update: ConfigUpdate) -> None:
    update.write_set.groups["Orderer"].values["BatchSize"].version = 2


def _no_mod_policy(update: ConfigUpdate) -> None:
    update.write_set.groups["Orderer"].values["BatchSize"].mod_policy = ""


def _odd_mod_policy(update: ConfigUpdate) -> None:
    update.write_set.groups["Orderer"].values["BatchSize"].mod_policy = "/Channel//Admins"


def _new_with_version(update: ConfigUpdate) -> None:
    value = update.write_set.groups["Orderer"].values["Brand.New"]
    value.version, value.mod_policy = 1, "Admins"


def _odd_name(update: ConfigUpdate) -> None:
    update.write_set.groups["Orderer"].values["a b"].mod_policy = "Admins"


def _no_effect(update: ConfigUpdate) -> None:
    update.write_set.CopyFrom(update.read_set)


@pytest.mark.parametrize(
    ("spoil", "element", "reason"),
    [
        (_other_channel, "", "ConfigUpdate for channel 'other'"),
        (_stale_read, "[Group]  /Channel/Orderer", "requires version 3"),
        (_read_of_nothing, "[Group]  /Channel/Missing", "does not contain"),
        (_skipped_version, "[Value]  /Channel/Orderer/BatchSize", "at version 0"),
        (_no_mod_policy, "[Value]  /Channel/Orderer/BatchSize", "mod_policy not set"),
        (_odd_mod_policy, "[Value]  /Channel/Orderer/BatchSize", "cannot be empty"),
        (_new_with_version, "[Value]  /Channel/Orderer/Brand.New", "does not exist"),
        (_odd_name, "[Value]  /Channel/Orderer/a b", "illegal characters"),
        (_no_effect, "", "would have no effect"),
    ],
)
def test_an_update_that_does_not_fit_is_refused_with_the_element(
    *,
    channel: ChannelConfig,
    orderers: Organization,
    verifier: SignatureVerifier,
    spoil: Callable[[ConfigUpdate], None],
    element: str,
    reason: str,
) -> None:
    update = _update(channel)
    spoil(update)
    before = channel.config.SerializeToString(deterministic=True)
    with pytest.raises(InvalidConfigUpdate, match=reason) as refused:
        apply_update(channel, sign_update(update, [orderers.admin]), verifier)
    assert refused.value.element == element
    assert channel.config.SerializeToString(deterministic=True) == before


def test_bytes_that_are_no_update_are_refused(
    channel: ChannelConfig, verifier: SignatureVerifier
) -> None:
    broken = ConfigUpdateEnvelope(config_update=b"\xff")
    unsigned = ConfigUpdateEnvelope(config_update=_update(channel).SerializeToString())
    unsigned.signatures.add(signature_header=b"\xff")
    for envelope in (broken, unsigned):
        with pytest.raises(InvalidConfigUpdate):
            apply_update(channel, envelope, verifier)
    with pytest.raises(InvalidConfigUpdate, match="expected header type 2"):
        update_of_envelope(Envelope(payload=Payload().SerializeToString()))
    with pytest.raises(InvalidConfigUpdate):
        update_of_envelope(Envelope(payload=b"\xff"))


def test_a_block_must_carry_what_its_update_makes(
    channel: ChannelConfig, orderers: Organization, verifier: SignatureVerifier
) -> None:
    update = sign_update(_update(channel), [orderers.admin])
    made = apply_update(channel, update, verifier)
    last = wrap_update("mychannel", update, orderers.admin)
    check_config_block(channel, config_envelope(made, last), verifier)
    for sequence in (0, 2):
        other = Config(sequence=sequence, channel_group=made.channel_group)
        with pytest.raises(InvalidConfigUpdate, match=f"at sequence {sequence}"):
            check_config_block(channel, config_envelope(other, last), verifier)
    other = Config()
    other.CopyFrom(made)
    other.channel_group.groups["Orderer"].values["BatchTimeout"].version += 1
    with pytest.raises(InvalidConfigUpdate, match="did not produce"):
        check_config_block(channel, config_envelope(other, last), verifier)


def test_an_organization_keeps_its_msp_id(
    channel: ChannelConfig, orgs: list[Organization], verifier: SignatureVerifier
) -> None:
    def change(config: Config) -> None:
        org2 = config.channel_group.groups["Application"].groups["Org2MSP"]
        org2.values["MSP"].value = orgs[2].msp_config.SerializeToString()

    update = signed_update(channel, changed(channel, change), [orgs[1].admin])
    made = apply_update(channel, update, verifier)
    last = wrap_update("mychannel", update, orgs[1].admin)
    with pytest.raises(InvalidConfigUpdate, match="change MSP ID from Org2MSP to Org3MSP"):
        check_config_block(channel, config_envelope(made, last), verifier)


def test_a_change_that_nobody_can_run_on_is_refused(
    channel: ChannelConfig, orderers: Organization, verifier: SignatureVerifier
) -> None:
    def change(config: Config) -> None:
        config.channel_group.groups["Orderer"].values["BatchSize"].value = b""

    update = signed_update(channel, changed(channel, change), [orderers.admin])
    made = apply_update(channel, update, verifier)
    last = wrap_update("mychannel", update, orderers.admin)
    with pytest.raises(InvalidConfig, match="BatchSize"):
        check_config_block(channel, config_envelope(made, last), verifier)


def test_the_recorded_config_blocks_are_what_their_updates_make() -> None:
    channel = ChannelConfig.from_genesis(recorded_genesis())
    verifier = SignatureVerifier()
    applied = 0
    for number in range(1, RECORDED_BLOCKS):
        try:
            _, envelope = config_of_block(recorded_block(number))
        except InvalidConfig:
            continue
        wanted = envelope.config
        computed = compute_update(channel.config, wanted, channel.channel_id)
        carried = ConfigUpdate.FromString(update_of_envelope(envelope.last_update).config_update)
        assert computed.write_set == carried.write_set
        assert computed.read_set == carried.read_set
        channel = check_config_block(channel, envelope, verifier)
        applied += 1
        assert channel.sequence == applied
    assert applied >= 4
