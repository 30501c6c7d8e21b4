"""The first block of a channel."""

import pytest

from tests.support.channels import describe
from tests.support.pki import Organization, make_organization
from tests.support.recorded import recorded_genesis
from tongban.node.core.channel import (
    ChannelConfig,
    ChannelDescription,
    OrganizationDescription,
    build_channel_config,
    build_genesis_block,
    config_of_block,
)
from tongban.node.core.errors import InvalidConfig, UnsupportedCapability
from tongban.protos.common_pb2 import ChannelHeader, Envelope, Payload
from tongban.protos.digest import compute_data_hash


@pytest.fixture(scope="module")
def orgs() -> list[Organization]:
    return [make_organization(f"Org{n}MSP") for n in (1, 2)]


@pytest.fixture(scope="module")
def description(orgs: list[Organization]) -> ChannelDescription:
    return describe(orgs)


def test_the_same_description_gives_the_same_block(description: ChannelDescription) -> None:
    config = build_channel_config(description)
    one = build_genesis_block("mychannel", config)
    other = build_genesis_block("mychannel", build_channel_config(description))
    assert one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)
    assert build_genesis_block("yourchannel", config).data != one.data


def test_the_block_has_the_form_of_a_recorded_one(description: ChannelDescription) -> None:
    ours = build_genesis_block("mychannel", build_channel_config(description), 1_700_000_000)
    theirs = recorded_genesis()
    assert ours.header.number == 0
    assert ours.header.previous_hash == theirs.header.previous_hash == b""
    assert ours.header.data_hash == compute_data_hash(ours.data.data)
    assert len(ours.metadata.metadata) == len(theirs.metadata.metadata) == 5
    assert ours.metadata.metadata[0] == theirs.metadata.metadata[0]
    assert ours.metadata.metadata[1] == theirs.metadata.metadata[1]
    headers = [
        ChannelHeader.FromString(
            Payload.FromString(
                Envelope.FromString(block.data.data[0]).payload
            ).header.channel_header
        )
        for block in (ours, theirs)
    ]
    assert headers[0].type == headers[1].type
    assert headers[0].version == headers[1].version
    assert headers[0].epoch == headers[1].epoch
    assert headers[0].timestamp.seconds == 1_700_000_000
    assert len(headers[0].tx_id) == len(headers[1].tx_id) == 64


def test_the_tree_is_that_of_fabrics_test_network(description: ChannelDescription) -> None:
    ours = ChannelConfig.from_config("mychannel", build_channel_config(description))
    theirs = ChannelConfig.from_genesis(recorded_genesis())
    renamed = {"Org1MSP": "Org1", "Org2MSP": "Org2", "OrdererMSP": "OrdererOrg"}

    def shape(channel: ChannelConfig) -> dict[str, str]:
        found = {}
        for path in channel.policies.paths():
            place = "/".join(renamed.get(part, part) for part in path.split("/"))
            found[place] = str(channel.policies.get(path))
        return found

    assert shape(ours) == shape(theirs)
    for section in ("Orderer", "Application"):
        mine = ours.config.channel_group.groups[section]
        other = theirs.config.channel_group.groups[section]
        assert set(mine.values) == set(other.values)
        assert mine.mod_policy == other.mod_policy == "Admins"


def test_defaults_are_stated(description: ChannelDescription) -> None:
    channel = ChannelConfig.from_genesis(
        build_genesis_block("mychannel", build_channel_config(description))
    )
    assert channel.consensus_type == "solo"
    assert (channel.batch_count_max, channel.batch_timeout_ms) == (500, 2000)
    assert channel.orderer_addresses == ("orderer.example.com:7050",)
    assert channel.channel_capabilities == channel.orderer_capabilities == {"V2_0"}
    assert channel.application_capabilities == {"V2_5"}
    assert config_of_block(build_genesis_block("mychannel", channel.config))[0] == "mychannel"


def test_policies_can_be_replaced_by_path_and_by_organization(orgs: list[Organization]) -> None:
    org = OrganizationDescription(
        "Org1",
        orgs[0].msp_config,
        anchor_peers=[("peer0.org1.example.com", 7051)],
        policies={"Writers": "OR('Org1MSP.admin')"},
    )
    description = ChannelDescription(
        organizations=[org],
        orderers=describe(orgs).orderers,
        policies={"/Channel/Application/Endorsement": "ANY Endorsement"},
    )
    channel = ChannelConfig.from_config("mychannel", build_channel_config(description))
    assert str(channel.policies.get("/Channel/Application/Endorsement")) == "ANY Endorsement"
    assert str(channel.policies.get("/Channel/Application/Org1/Writers")) == "OR('Org1MSP.admin')"
    assert channel.application_orgs["Org1"].anchor_peers[0].port == 7051


def test_what_cannot_be_a_channel_is_refused(orgs: list[Organization]) -> None:
    one = OrganizationDescription("Org1", orgs[0].msp_config)
    orderers = describe(orgs).orderers
    with pytest.raises(InvalidConfig, match="two organizations have this name"):
        build_channel_config(ChannelDescription([one, one], orderers))
    with pytest.raises(InvalidConfig, match=r"/Channel/Writers: .*unknown rule type"):
        build_channel_config(
            ChannelDescription([one], orderers, policies={"/Channel/Writers": "SOME Writers"})
        )
    config = build_channel_config(
        ChannelDescription([one], orderers, application_capabilities=("V9_0",))
    )
    with pytest.raises(UnsupportedCapability):
        build_genesis_block("mychannel", config)
    with pytest.raises(InvalidConfig, match="channel id"):
        build_genesis_block("My Channel", config)
