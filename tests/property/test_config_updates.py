"""What is computed between two configurations leads from the one to the other."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.channels import make_channel, signed_update
from tests.support.pki import Member, make_organization
from tongban.node.core.channel import ChannelConfig, apply_update, compute_update
from tongban.node.core.errors import InvalidConfigUpdate
from tongban.node.core.policy import SignatureVerifier
from tongban.protos.configtx_pb2 import Config, ConfigGroup

NAMES = ["a", "b", "c"]


def groups(depth: int) -> st.SearchStrategy[ConfigGroup]:
    """Groups below the root, where only the channel's admins decide; names and contents vary."""

    def build(
        values: dict[str, bytes], policies: dict[str, bytes], inner: dict[str, ConfigGroup]
    ) -> ConfigGroup:
        group = ConfigGroup(mod_policy="/Channel/Admins")
        for name, content in values.items():
            group.values[name].value = content
            group.values[name].mod_policy = "/Channel/Admins"
        for name, content in policies.items():
            group.policies[name].policy.value = content
            group.policies[name].mod_policy = "/Channel/Admins"
        for name, below in inner.items():
            group.groups[name].CopyFrom(below)
        return group

    names = st.sampled_from(NAMES)
    contents = st.dictionaries(names, st.sampled_from([b"1", b"2"]), max_size=3)
    below = st.dictionaries(names, groups(depth - 1), max_size=2) if depth else st.just({})
    return st.builds(build, contents, contents, below)


@cache
def world() -> tuple[ChannelConfig, tuple[Member, ...]]:
    orderers = make_organization("OrdererMSP", orderers=1)
    orgs = [make_organization("Org1MSP"), make_organization("Org2MSP")]
    channel = make_channel(orgs, [orderers])
    return channel, (orgs[0].admin, orgs[1].admin, orderers.admin)


def with_extra(base: Config, extra: ConfigGroup) -> Config:
    """The tree need not be one that a node can run on: only updates are under test."""
    config = Config(sequence=base.sequence)
    config.channel_group.CopyFrom(base.channel_group)
    config.channel_group.groups["Extra"].CopyFrom(extra)
    return config


def without_versions(group: ConfigGroup) -> ConfigGroup:
    copy = ConfigGroup()
    copy.CopyFrom(group)
    copy.version = 0
    for value in copy.values.values():
        value.version = 0
    for policy in copy.policies.values():
        policy.version = 0
    for name in list(copy.groups):
        copy.groups[name].CopyFrom(without_versions(copy.groups[name]))
    return copy


@given(groups(2), groups(2))
@settings(max_examples=60, deadline=None)
def test_an_update_makes_the_wanted_configuration(one: ConfigGroup, two: ConfigGroup) -> None:
    channel, admins = world()
    verifier = SignatureVerifier()
    first = with_extra(channel.config, one)
    made = apply_update(channel, signed_update(channel, first, admins), verifier)
    assert without_versions(made.channel_group) == without_versions(first.channel_group)
    assert made.sequence == 1

    class Grown:
        """The channel after the first update; its policies are those of before."""

        channel_id = channel.channel_id
        config = made
        sequence = made.sequence
        msps = channel.msps
        policies = channel.policies

    grown: ChannelConfig = Grown()  # type: ignore[assignment]
    second = with_extra(channel.config, two)
    if without_versions(second.channel_group) == without_versions(made.channel_group):
        with pytest.raises(InvalidConfigUpdate, match="no differences"):
            compute_update(made, second)
        return
    update = signed_update(grown, second, admins)
    again = apply_update(grown, update, verifier)
    assert without_versions(again.channel_group) == without_versions(second.channel_group)
    with pytest.raises(InvalidConfigUpdate, match="no differences"):
        compute_update(again, second)
    with pytest.raises(InvalidConfigUpdate):
        apply_update(grown, signed_update(grown, second, admins[:1]), verifier)
