"""Reading a channel's configuration: what it says, and what no node can run on."""

from collections.abc import Callable

import pytest

from tests.support.channels import describe, make_channel
from tests.support.pki import Organization, make_organization
from tests.support.recorded import recorded_block, recorded_genesis
from tongban.node.core.channel import (
    ChannelConfig,
    build_channel_config,
    config_of_block,
    policy_for,
    policy_path_for,
)
from tongban.node.core.channel.acl import CHANNEL_RESOURCES
from tongban.node.core.channel.duration import format_duration_ms, parse_duration_ms
from tongban.node.core.errors import InvalidConfig, UnknownPolicy, UnsupportedCapability
from tongban.protos import application_values_pb2, channel_values_pb2, orderer_values_pb2
from tongban.protos.configtx_pb2 import Config, ConfigGroup
from tongban.protos.msp_config_pb2 import MSPConfig


@pytest.fixture(scope="module")
def orgs() -> list[Organization]:
    return [make_organization(f"Org{n}MSP", peers=1, users=1) for n in (1, 2)]


@pytest.fixture(scope="module")
def orderers() -> Organization:
    return make_organization("OrdererMSP", orderers=1)


@pytest.fixture
def config(orgs: list[Organization], orderers: Organization) -> Config:
    return build_channel_config(describe(orgs, [orderers]))


def test_the_recorded_configuration_is_read() -> None:
    channel = ChannelConfig.from_genesis(recorded_genesis())
    channel.check_supported()
    assert channel.channel_id == "goldchan"
    assert {name: org.mspid for name, org in channel.application_orgs.items()} == {
        "Org1": "Org1MSP",
        "Org2": "Org2MSP",
    }
    assert channel.mspid_of("Org1") == "Org1MSP"
    assert channel.mspid_of("Org9") is None
    assert list(channel.orderer_orgs) == ["OrdererOrg"]
    assert channel.orderer_addresses == ("127.0.0.1:27050",)
    assert channel.orderer_msp_id("127.0.0.1:27050") == "OrdererMSP"
    assert channel.orderer_msp_id("127.0.0.1:27051") == ""
    assert channel.consensus_type == "etcdraft"
    assert channel.batch_count_max == 400
    assert channel.batch_bytes_absolute_max == 10 * 1024 * 1024
    assert channel.batch_bytes_preferred_max == 2 * 1024 * 1024
    assert channel.batch_timeout_ms == 700
    assert channel.channel_capabilities == {"V3_0"}
    assert channel.orderer_capabilities == {"V2_0"}
    assert channel.application_capabilities == {"V2_5"}


def test_only_a_config_block_carries_a_configuration() -> None:
    with pytest.raises(InvalidConfig, match="expected header type 1"):
        config_of_block(recorded_block(10).__class__.FromString(_with_one(10)))
    with pytest.raises(InvalidConfig, match="expected one config transaction"):
        config_of_block(recorded_block(84))


def _with_one(number: int) -> bytes:
    block = recorded_block(number)
    del block.data.data[1:]
    return block.SerializeToString()


Change = Callable[[ConfigGroup], None]


def _set(path: str, value: str, content: bytes) -> Change:
    def change(root: ConfigGroup) -> None:
        group = root
        for name in path.split("/")[2:]:
            group = group.groups[name]
        group.values[value].value = content

    return change


def _drop(path: str, value: str) -> Change:
    def change(root: ConfigGroup) -> None:
        group = root
        for name in path.split("/")[2:]:
            group = group.groups[name]
        del group.values[value]

    return change


def _size(count: int, absolute: int, preferred: int) -> bytes:
    return orderer_values_pb2.BatchSize(
        max_message_count=count, absolute_max_bytes=absolute, preferred_max_bytes=preferred
    ).SerializeToString()


def _timeout(text: str) -> bytes:
    return orderer_values_pb2.BatchTimeout(timeout=text).SerializeToString()


def _with_group(path: str) -> Change:
    def change(root: ConfigGroup) -> None:
        group = root
        for name in path.split("/")[2:]:
            group = group.groups[name]
        group.SetInParent()

    return change


def _with_broken_policy(root: ConfigGroup) -> None:
    root.groups["Application"].policies["Writers"].policy.type = 9


def _without_policy(root: ConfigGroup) -> None:
    root.policies["Odd"].mod_policy = "Admins"


SHA3 = channel_values_pb2.HashingAlgorithm(name="SHA3_256").SerializeToString()
NARROW = channel_values_pb2.BlockDataHashingStructure(width=4).SerializeToString()


@pytest.mark.parametrize(
    ("change", "path", "reason"),
    [
        (_set("/Channel", "HashingAlgorithm", SHA3), "HashingAlgorithm", "SHA3_256"),
        (_drop("/Channel", "HashingAlgorithm"), "HashingAlgorithm", "SHA256"),
        (_set("/Channel", "BlockDataHashingStructure", NARROW), "HashingStructure", "found 4"),
        (_set("/Channel", "Surprise", b""), "/Channel/Surprise", "expected one of"),
        (_set("/Channel/Application", "Surprise", b""), "Surprise", "expected one of"),
        (_set("/Channel/Orderer", "BatchSize", b"\xff"), "BatchSize", "not a serialized"),
        (_drop("/Channel/Orderer", "BatchSize"), "BatchSize", "positive max message count"),
        (_set("/Channel/Orderer", "BatchSize", _size(1, 0, 1)), "BatchSize", "absolute"),
        (_set("/Channel/Orderer", "BatchSize", _size(1, 1, 0)), "BatchSize", "preferred"),
        (_set("/Channel/Orderer", "BatchSize", _size(1, 1, 2)), "BatchSize", "more than"),
        (_set("/Channel/Orderer", "BatchTimeout", _timeout("0s")), "BatchTimeout", "positive"),
        (_set("/Channel/Orderer", "BatchTimeout", _timeout("soon")), "BatchTimeout", "soon"),
        (_with_group("/Channel/Consortiums"), "/Channel", "disallowed channel group: Consortiums"),
        (_with_group("/Channel/Application/Org1MSP/Inner"), "Org1MSP", "sub-groups"),
        (_with_group("/Channel/Application/Org9"), "Org9", "no MSP"),
        (_set("/Channel/Application/Org1MSP", "MSP", b"\x08\x01"), "Org1MSP/MSP", "type 0"),
        (_drop("/Channel/Orderer", "Capabilities"), "/Channel", "without orderer support"),
        (_with_broken_policy, "/Channel/Application/Writers", "unknown policy type: 9"),
        (_without_policy, "/Channel/Odd", "empty"),
    ],
)
def test_what_no_node_can_run_on_is_refused_with_the_place(
    config: Config, change: Change, path: str, reason: str
) -> None:
    ChannelConfig.from_config("mychannel", config)
    change(config.channel_group)
    with pytest.raises(InvalidConfig, match=reason) as refused:
        ChannelConfig.from_config("mychannel", config)
    assert refused.value.path.endswith(path)


def test_one_msp_id_has_one_definition(config: Config, orgs: list[Organization]) -> None:
    other = make_organization("Org1MSP").msp_config.SerializeToString()
    section = config.channel_group.groups["Orderer"]
    section.groups["Also"].CopyFrom(config.channel_group.groups["Application"].groups["Org1MSP"])
    ChannelConfig.from_config("mychannel", config)
    section.groups["Also"].values["MSP"].value = other
    with pytest.raises(InvalidConfig, match="define MSP Org1MSP differently"):
        ChannelConfig.from_config("mychannel", config)
    assert isinstance(orgs[0].msp_config, MSPConfig)


@pytest.mark.parametrize("channel_id", ["", "A", "1a", "a_b", "a" * 250, "a/b", "渠道"])
def test_a_channel_id_has_a_form(config: Config, channel_id: str) -> None:
    with pytest.raises(InvalidConfig, match="channel id"):
        ChannelConfig.from_config(channel_id, config)


@pytest.mark.parametrize("section", ["channel", "orderer", "application"])
def test_an_unknown_capability_is_for_a_newer_version(
    orgs: list[Organization], section: str
) -> None:
    changes: dict[str, object] = {f"{section}_capabilities": ("V2_0", "V9_9")}
    channel = ChannelConfig.from_config(
        "mychannel",
        build_channel_config(describe(orgs, **changes)),  # type: ignore[arg-type]
    )
    with pytest.raises(UnsupportedCapability, match="V9_9 is not supported by this version"):
        channel.check_supported()


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2s", 2000),
        ("500ms", 500),
        ("1m30s", 90_000),
        ("1.5s", 1500),
        ("0.25s", 250),
        ("1h", 3_600_000),
        ("10us", 1),
        ("+3s", 3000),
    ],
)
def test_durations_are_gos(text: str, milliseconds: int) -> None:
    assert parse_duration_ms(text) == milliseconds
    assert parse_duration_ms(format_duration_ms(milliseconds)) == milliseconds


@pytest.mark.parametrize("text", ["", "s", "2", "-1s", "0s", "2 s", "1d", "2s!", "nan"])
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(InvalidConfig):
        parse_duration_ms(text)


class TestAcls:
    """Which policy guards which call."""

    def test_defaults(self, orgs: list[Organization]) -> None:
        channel = make_channel(orgs)
        assert policy_path_for(channel, "peer/Propose") == "/Channel/Application/Writers"
        assert policy_path_for(channel, "event/Block") == "/Channel/Application/Readers"
        for resource in CHANNEL_RESOURCES:
            client = channel.msps.deserialize(orgs[0].users[0].identity)
            assert policy_for(channel, resource).evaluate([client]).satisfied
            assert not policy_for(channel, resource).evaluate([]).satisfied

    def test_the_channel_may_put_another_policy_in_place(self, orgs: list[Organization]) -> None:
        acls = {
            "peer/Propose": "Admins",
            "event/Block": "/Channel/Orderer/Readers",
            "qscc/GetChainInfo": "Missing",
            "qscc/GetBlockByHash": "",
        }
        channel = make_channel(orgs, acls=acls)
        assert policy_path_for(channel, "peer/Propose") == "/Channel/Application/Admins"
        assert policy_path_for(channel, "event/Block") == "/Channel/Orderer/Readers"
        assert policy_path_for(channel, "qscc/GetBlockByHash") == "/Channel/Application/Readers"
        client = channel.msps.deserialize(orgs[0].users[0].identity)
        assert not policy_for(channel, "peer/Propose").evaluate([client]).satisfied
        missing = policy_for(channel, "qscc/GetChainInfo").evaluate([client])
        assert missing.reason == "no such policy: '/Channel/Application/Missing'"

    def test_an_unknown_resource_is_refused(self, orgs: list[Organization]) -> None:
        with pytest.raises(UnknownPolicy):
            policy_for(make_channel(orgs), "peer/Destroy")


def test_anchor_peers_and_global_addresses_are_read(config: Config) -> None:
    anchors = application_values_pb2.AnchorPeers(
        anchor_peers=[application_values_pb2.AnchorPeer(host="peer0.org1", port=7051)]
    )
    group = config.channel_group
    group.groups["Application"].groups["Org1MSP"].values[
        "AnchorPeers"
    ].value = anchors.SerializeToString()
    del group.groups["Orderer"].groups["OrdererMSP"].values["Endpoints"]
    group.values["OrdererAddresses"].value = channel_values_pb2.OrdererAddresses(
        addresses=["orderer:7050"]
    ).SerializeToString()
    channel = ChannelConfig.from_config("mychannel", config)
    assert [str(one) for one in channel.application_orgs["Org1MSP"].anchor_peers] == [
        "peer0.org1:7051"
    ]
    assert channel.orderer_addresses == ("orderer:7050",)


def test_with_v3_orderers_are_found_through_their_organizations(
    orgs: list[Organization], orderers: Organization
) -> None:
    config = build_channel_config(describe(orgs, [orderers], channel_capabilities=("V3_0",)))
    ChannelConfig.from_config("mychannel", config)
    root = config.channel_group
    addresses = root.values["OrdererAddresses"]
    addresses.value = channel_values_pb2.OrdererAddresses(
        addresses=["orderer:7050"]
    ).SerializeToString()
    with pytest.raises(InvalidConfig, match="V3_0"):
        ChannelConfig.from_config("mychannel", config)
    del root.values["OrdererAddresses"]
    del root.groups["Orderer"].groups["OrdererMSP"].values["Endpoints"]
    with pytest.raises(InvalidConfig, match="Endpoints"):
        ChannelConfig.from_config("mychannel", config)
