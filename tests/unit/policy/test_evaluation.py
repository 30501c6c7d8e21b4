"""Signature policies, implicit meta policies and their verdicts.

The members are dumb: an identity is a name and satisfies what a table says, so that only the
evaluation is under test here.
"""

from collections.abc import Sequence

import pytest

from tests.support.channels import make_channel
from tests.support.pki import Member, Organization, make_organization
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.errors import InvalidPolicy, UnknownPolicy
from tongban.node.core.identity import canonical_serialized
from tongban.node.core.policy import (
    PolicyManager,
    PolicyVerdict,
    SignaturePolicy,
    SignatureVerifier,
    SignedBy,
    endorsement_layouts,
    evaluate_signatures,
    format_policy,
    parse_policy,
)
from tongban.protos.configtx_pb2 import ConfigGroup
from tongban.protos.policies_pb2 import ImplicitMetaPolicy, Policy, SignaturePolicyEnvelope
from tongban.protos.policies_pb2 import SignaturePolicy as Rule

NOT_SATISFIED = "signature set did not satisfy policy"


@pytest.fixture(scope="module")
def orgs() -> list[Organization]:
    return [make_organization(f"Org{n}MSP", peers=3, users=1) for n in (1, 2, 3)]


@pytest.fixture(scope="module")
def channel(orgs: list[Organization]) -> ChannelConfig:
    return make_channel(orgs)


def verdict(channel: ChannelConfig, text: str, members: Sequence[Member]) -> PolicyVerdict:
    policy = SignaturePolicy.parse(parse_policy(text), channel.msps)
    return policy.evaluate([channel.msps.deserialize(member.identity) for member in members])


@pytest.mark.parametrize(
    ("text", "signers", "satisfied"),
    [
        ("AND('Org1MSP.peer','Org2MSP.peer')", ["p1", "p2"], True),
        ("AND('Org1MSP.peer','Org2MSP.peer')", ["p2", "p1"], True),
        ("AND('Org1MSP.peer','Org2MSP.peer')", ["p1"], False),
        ("AND('Org1MSP.peer','Org2MSP.peer')", ["p1", "c2"], False),
        ("OR('Org1MSP.peer','Org2MSP.peer')", ["p2"], True),
        ("OR('Org1MSP.peer','Org2MSP.peer')", [], False),
        ("OutOf(2,'Org1MSP.peer','Org2MSP.peer','Org3MSP.peer')", ["p3", "p1"], True),
        ("OutOf(0,'Org1MSP.peer')", [], True),
        ("OutOf(2,'Org1MSP.peer')", ["p1", "q1"], False),
        # One identity counts for one leaf.
        ("AND('Org1MSP.member','Org1MSP.peer')", ["p1"], False),
        ("AND('Org1MSP.member','Org1MSP.peer')", ["p1", "q1"], True),
        # Greedy: the first leaf takes the only peer, and it is not given back.
        ("AND('Org1MSP.member','Org1MSP.peer')", ["p1", "c1"], False),
        ("AND('Org1MSP.member','Org1MSP.peer')", ["c1", "p1"], True),
        ("AND('Org1MSP.peer','Org1MSP.member')", ["p1", "c1"], True),
        # All rules are asked even when enough have held, so a later one takes an identity.
        ("AND(OR('Org1MSP.peer','Org1MSP.member'),'Org1MSP.client')", ["p1", "c1"], False),
        ("AND('Org1MSP.client',OR('Org1MSP.peer','Org1MSP.member'))", ["p1", "c1"], True),
        # What a failed gate took is free again.
        ("OutOf(1,AND('Org1MSP.peer','Org2MSP.peer'),'Org1MSP.peer')", ["p1"], True),
    ],
)
def test_evaluation_is_fabrics_greedy_one(
    orgs: list[Organization],
    channel: ChannelConfig,
    text: str,
    signers: list[str],
    satisfied: bool,
) -> None:
    found = verdict(channel, text, [_member(orgs, name) for name in signers])
    assert found.satisfied == satisfied
    assert found.reason == ("" if satisfied else NOT_SATISFIED)


def test_a_verdict_says_who_signed_and_who_is_missing(
    orgs: list[Organization], channel: ChannelConfig
) -> None:
    text = "AND('Org1MSP.peer', 'Org2MSP.peer', 'Org3MSP.peer')"
    found = verdict(channel, text, [orgs[0].peers[0], orgs[1].users[0]])
    assert found.organizations_signed == ("Org1MSP",)
    assert found.organizations_missing == ("Org2MSP", "Org3MSP")
    assert found.explain() == (
        f"{NOT_SATISFIED}: the policy is {text}; signed by Org1MSP; "
        "not signed in the role asked for by Org2MSP, Org3MSP"
    )
    whole = verdict(channel, text, [org.peers[0] for org in orgs])
    assert whole.organizations_missing == ()
    assert whole.explain().endswith("is satisfied; signed by Org1MSP, Org2MSP, Org3MSP")


class TestReading:
    """What is not a policy."""

    @pytest.mark.parametrize(
        ("rule", "reason"),
        [
            (Rule(), "empty"),
            (Rule(signed_by=1), "requested 1, but identities length is 1"),
            (Rule(signed_by=-1), "requested -1"),
            (Rule(n_out_of=Rule.NOutOf(n=1, rules=[Rule()])), "empty"),
        ],
    )
    def test_a_rule_that_cannot_be_asked_is_refused(
        self, channel: ChannelConfig, rule: Rule, reason: str
    ) -> None:
        envelope = parse_policy("OR('A.peer')")
        envelope.rule.CopyFrom(rule)
        with pytest.raises(InvalidPolicy, match=reason):
            SignaturePolicy.parse(envelope, channel.msps)

    def test_the_version_counts_in_configurations_only(self, channel: ChannelConfig) -> None:
        envelope = parse_policy("OR('A.peer')")
        envelope.version = 1
        SignaturePolicy.parse(envelope, channel.msps)
        with pytest.raises(InvalidPolicy, match="version 0, found 1"):
            SignaturePolicy.parse(envelope.SerializeToString(), channel.msps)

    def test_bytes_that_are_no_policy_are_refused(self, channel: ChannelConfig) -> None:
        with pytest.raises(InvalidPolicy):
            SignaturePolicy.parse(b"\xff", channel.msps)

    def test_a_huge_threshold_is_never_met(
        self, orgs: list[Organization], channel: ChannelConfig
    ) -> None:
        envelope = parse_policy("OR('Org1MSP.peer')")
        envelope.rule.n_out_of.n = 2**31 - 1
        policy = SignaturePolicy.parse(envelope, channel.msps)
        assert not policy.evaluate([channel.msps.deserialize(orgs[0].peers[0].identity)]).satisfied
        assert endorsement_layouts(envelope) == []


class TestImplicitMeta:
    """Policies over the child groups' policies."""

    @pytest.mark.parametrize(
        ("path", "signers", "satisfied"),
        [
            ("/Channel/Application/Writers", ["c1"], True),
            ("/Channel/Application/Writers", ["p1"], False),
            ("/Channel/Application/Readers", ["p1"], True),
            ("/Channel/Application/Admins", ["a1"], False),
            ("/Channel/Application/Admins", ["a1", "a3"], True),
            ("/Channel/Application/Endorsement", ["p1", "q1"], False),
            ("/Channel/Application/Endorsement", ["p1", "p2"], True),
            ("/Channel/Readers", ["p1"], True),
            ("/Channel/Admins", ["a1", "a2"], False),
        ],
    )
    def test_any_all_and_majority(
        self,
        orgs: list[Organization],
        channel: ChannelConfig,
        path: str,
        signers: list[str],
        satisfied: bool,
    ) -> None:
        identities = [channel.msps.deserialize(_member(orgs, name).identity) for name in signers]
        assert channel.policies.get(path).evaluate(identities).satisfied == satisfied

    def test_the_refusal_is_fabrics_and_names_the_missing(
        self, orgs: list[Organization], channel: ChannelConfig
    ) -> None:
        policy = channel.policies.get("/Channel/Application/Endorsement")
        found = policy.evaluate([channel.msps.deserialize(orgs[2].peers[0].identity)])
        assert found.reason == (
            "implicit policy evaluation failed - 1 sub-policies were satisfied, but this policy "
            "requires 2 of the 'Endorsement' sub-policies to be satisfied"
        )
        assert found.organizations_signed == ("Org3MSP",)
        assert found.organizations_missing == ("Org1MSP", "Org2MSP")

    @pytest.mark.parametrize(
        ("rule", "children", "satisfied_without_signatures"),
        [
            (ImplicitMetaPolicy.ANY, 0, True),
            (ImplicitMetaPolicy.ALL, 0, True),
            (ImplicitMetaPolicy.MAJORITY, 0, True),
            (ImplicitMetaPolicy.ANY, 2, False),
            (ImplicitMetaPolicy.ALL, 2, False),
        ],
    )
    def test_without_children_everything_satisfies(
        self,
        channel: ChannelConfig,
        rule: "ImplicitMetaPolicy.Rule.ValueType",
        children: int,
        satisfied_without_signatures: bool,
    ) -> None:
        """A child without a policy of the name is one that is never satisfied."""
        root = ConfigGroup()
        root.policies["P"].policy.CopyFrom(
            Policy(
                type=Policy.IMPLICIT_META,
                value=ImplicitMetaPolicy(sub_policy="Q", rule=rule).SerializeToString(),
            )
        )
        for number in range(children):
            root.groups[f"g{number}"].SetInParent()
        policy = PolicyManager(root, channel.msps).get("/Channel/P")
        assert policy.evaluate([]).satisfied == satisfied_without_signatures

    def test_it_becomes_one_signature_policy(self, channel: ChannelConfig) -> None:
        policy = channel.policies.get("/Channel/Application/Endorsement")
        assert format_policy(policy.to_signature_policy()) == (
            "OutOf(2, OR('Org1MSP.peer'), OR('Org2MSP.peer'), OR('Org3MSP.peer'))"
        )
        everyone = channel.policies.get("/Channel/Readers").to_signature_policy()
        assert len({one.SerializeToString() for one in everyone.identities}) == len(
            everyone.identities
        )


class TestPaths:
    """Finding policies."""

    def test_a_path_that_names_nothing(self, channel: ChannelConfig) -> None:
        with pytest.raises(UnknownPolicy, match="no such policy: '/Channel/Nothing'"):
            channel.policies.get("/Channel/Nothing")
        rejecting = channel.policies.get_or_reject("/Channel/Nothing")
        assert rejecting.evaluate([]).reason == "no such policy: '/Channel/Nothing'"
        with pytest.raises(InvalidPolicy):
            rejecting.to_signature_policy()

    def test_a_relative_path_starts_at_the_channel(self, channel: ChannelConfig) -> None:
        absolute = channel.policies.get("/Channel/Application/Writers")
        assert channel.policies.get("Application/Writers") is absolute


class TestSignatures:
    """From signatures to identities."""

    @pytest.fixture
    def policy(self, channel: ChannelConfig) -> SignaturePolicy:
        envelope = parse_policy("AND('Org1MSP.peer','Org2MSP.peer')")
        return SignaturePolicy.parse(envelope, channel.msps)

    def test_signatures_that_do_not_hold_are_passed_over(
        self, orgs: list[Organization], channel: ChannelConfig, policy: SignaturePolicy
    ) -> None:
        good = _signed(orgs[0].peers[0], b"data")
        other = _signed(orgs[1].peers[0], b"data")
        bad = other._replace(data=b"other data")
        garbage = SignedBy(b"data", b"garbage", b"")
        verifier = SignatureVerifier()
        for signed, satisfied in (
            ([garbage, good, other], True),
            ([good, bad, other], True),
            ([good, bad], False),
            ([good, good], False),
            ([], False),
        ):
            found = evaluate_signatures(policy, signed, channel.msps, verifier)
            assert found.satisfied == satisfied

    def test_one_identity_in_two_forms_counts_once(
        self, orgs: list[Organization], channel: ChannelConfig
    ) -> None:
        member = orgs[0].issue("peer8", ["peer"], high_s=True)
        envelope = parse_policy("AND('Org1MSP.peer','Org1MSP.peer')")
        policy = SignaturePolicy.parse(envelope, channel.msps)
        low = channel.msps.msps["Org1MSP"].deserialize(member.identity)
        signature = member.signer.sign(b"data")
        signed = [
            SignedBy(b"data", member.identity, signature),
            SignedBy(b"data", canonical_serialized(low), member.signer.sign(b"data")),
        ]
        assert signed[0].identity != signed[1].identity
        verifier = SignatureVerifier()
        assert not evaluate_signatures(policy, signed, channel.msps, verifier).satisfied


def _signed(member: Member, data: bytes) -> SignedBy:
    return SignedBy(data, member.identity, member.signer.sign(data))


def _member(orgs: list[Organization], name: str) -> Member:
    """p1: first peer of the first organization; q1 its second; c1 a client; a1 the admin."""
    org = orgs[int(name[1]) - 1]
    return {"p": org.peers[0], "q": org.peers[1], "c": org.users[0], "a": org.admin}[name[0]]


def test_an_envelope_without_rules_is_refused(channel: ChannelConfig) -> None:
    with pytest.raises(InvalidPolicy, match="empty"):
        SignaturePolicy.parse(SignaturePolicyEnvelope(), channel.msps)
