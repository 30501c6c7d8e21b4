"""Whom a principal names. Every class of principal, against one organization's members."""

import hashlib

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.pki import Organization, make_organization
from tongban.node.core.identity import Msp, MspManager, parse_principal, role_principal
from tongban.node.core.identity.principals import (
    COMBINED_DEPTH_MAX,
    NobodyPrincipal,
    organization_of,
)
from tongban.protos.msp_principal_pb2 import (
    CombinedPrincipal,
    MSPIdentityAnonymity,
    MSPPrincipal,
    MSPRole,
    OrganizationUnit,
)

ROLES = ["member", "admin", "client", "peer", "orderer"]


@pytest.fixture(scope="module")
def org() -> Organization:
    return make_organization("Org1MSP", peers=1, users=1, orderers=1)


@pytest.fixture(scope="module")
def msps(org: Organization) -> MspManager:
    other = make_organization("Org2MSP")
    return MspManager([Msp.from_config(org.msp_config), Msp.from_config(other.msp_config)])


def satisfied_by(org: Organization, msps: MspManager, principal: MSPPrincipal) -> set[str]:
    members = {
        "peer": org.peers[0],
        "client": org.users[0],
        "admin": org.admin,
        "orderer": org.orderers[0],
    }
    return {
        name
        for name, member in members.items()
        if msps.satisfies(msps.deserialize(member.identity), principal)
    }


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (MSPRole.MEMBER, {"peer", "client", "admin", "orderer"}),
        (MSPRole.ADMIN, {"admin"}),
        (MSPRole.CLIENT, {"client"}),
        (MSPRole.PEER, {"peer"}),
        (MSPRole.ORDERER, {"orderer"}),
    ],
)
def test_a_role_is_held_by_those_with_its_unit(
    org: Organization,
    msps: MspManager,
    role: "MSPRole.MSPRoleType.ValueType",
    expected: set[str],
) -> None:
    assert satisfied_by(org, msps, role_principal("Org1MSP", role)) == expected
    assert satisfied_by(org, msps, role_principal("Org2MSP", role)) == set()


def test_an_unknown_role_or_class_is_held_by_nobody(org: Organization, msps: MspManager) -> None:
    role = MSPRole(msp_identifier="Org1MSP").SerializeToString() + b"\x10\x09"
    unknown = MSPPrincipal(principal_classification=MSPPrincipal.ROLE, principal=role)
    assert satisfied_by(org, msps, unknown) == set()
    unread = MSPPrincipal.FromString(b"\x08\x09")
    assert isinstance(parse_principal(unread), NobodyPrincipal)
    assert satisfied_by(org, msps, unread) == set()


def test_bytes_that_cannot_be_read_name_nobody(org: Organization, msps: MspManager) -> None:
    for kind in MSPPrincipal.Classification.values():
        broken = MSPPrincipal(principal_classification=kind, principal=b"\xff\xff")
        assert isinstance(parse_principal(broken), NobodyPrincipal)
        assert satisfied_by(org, msps, broken) == set()


def test_a_listed_admin_is_one_without_the_unit() -> None:
    org = make_organization("Org1MSP", users=2, peers=1, orderers=1)
    org.config.admins.append(org.users[0].pem)
    msps = MspManager([Msp.from_config(org.msp_config)])
    admin = role_principal("Org1MSP", MSPRole.ADMIN)
    assert satisfied_by(org, msps, admin) == {"client", "admin"}
    assert not msps.satisfies(msps.deserialize(org.users[1].identity), admin)


def test_without_node_units_only_member_and_listed_admin_work() -> None:
    org = make_organization("Org1MSP", peers=1, users=1, orderers=1)
    org.config.ClearField("fabric_node_ous")
    org.config.admins.append(org.users[0].pem)
    msps = MspManager([Msp.from_config(org.msp_config)])
    found = {
        role: satisfied_by(
            org, msps, role_principal("Org1MSP", MSPRole.MSPRoleType.Value(role.upper()))
        )
        for role in ROLES
    }
    assert found == {
        "member": {"peer", "client", "admin", "orderer"},
        "admin": {"client"},
        "client": set(),
        "peer": set(),
        "orderer": set(),
    }


def test_a_revoked_identity_holds_no_role() -> None:
    org = make_organization("Org1MSP", peers=1, users=1, orderers=1)
    org.revoke(org.peers[0])
    msps = MspManager([Msp.from_config(org.msp_config)])
    members = satisfied_by(org, msps, role_principal("Org1MSP", MSPRole.MEMBER))
    assert members == {"client", "admin", "orderer"}
    assert satisfied_by(org, msps, role_principal("Org1MSP", MSPRole.PEER)) == set()


@pytest.mark.parametrize(
    ("named", "right_chain", "expected"),
    [
        (("Org1MSP", "peer"), True, {"peer"}),
        (("Org1MSP", "peer"), False, set()),
        (("Org1MSP", "tax"), True, set()),
        (("Org2MSP", "peer"), True, set()),
    ],
)
def test_a_unit_is_named_with_the_chain_that_certifies_it(
    org: Organization,
    msps: MspManager,
    named: tuple[str, str],
    right_chain: bool,
    expected: set[str],
) -> None:
    chain = hashlib.sha256(org.ca.certificate.public_bytes(Encoding.DER)).digest()
    content = OrganizationUnit(
        msp_identifier=named[0],
        organizational_unit_identifier=named[1],
        certifiers_identifier=chain if right_chain else b"other",
    ).SerializeToString()
    principal = MSPPrincipal(
        principal_classification=MSPPrincipal.ORGANIZATION_UNIT, principal=content
    )
    assert satisfied_by(org, msps, principal) == expected


def test_an_identity_is_named_by_its_certificate(org: Organization, msps: MspManager) -> None:
    def named(serialized: bytes) -> MSPPrincipal:
        return MSPPrincipal(principal_classification=MSPPrincipal.IDENTITY, principal=serialized)

    assert satisfied_by(org, msps, named(org.peers[0].identity)) == {"peer"}
    stranger = make_organization("Org1MSP", peers=1).peers[0]
    assert satisfied_by(org, msps, named(stranger.identity)) == set()
    assert satisfied_by(org, msps, named(org.issue("x", []).identity)) == set()


def test_a_nominal_principal_is_anyone_and_an_anonymous_one_nobody(
    org: Organization, msps: MspManager
) -> None:
    def anonymity(kind: "MSPIdentityAnonymity.MSPIdentityAnonymityType.ValueType") -> MSPPrincipal:
        return MSPPrincipal(
            principal_classification=MSPPrincipal.ANONYMITY,
            principal=MSPIdentityAnonymity(anonymity_type=kind).SerializeToString(),
        )

    assert len(satisfied_by(org, msps, anonymity(MSPIdentityAnonymity.NOMINAL))) == 4
    assert satisfied_by(org, msps, anonymity(MSPIdentityAnonymity.ANONYMOUS)) == set()


def test_every_part_of_a_combined_principal_must_hold(org: Organization, msps: MspManager) -> None:
    def combined(*parts: MSPPrincipal) -> MSPPrincipal:
        return MSPPrincipal(
            principal_classification=MSPPrincipal.COMBINED,
            principal=CombinedPrincipal(principals=parts).SerializeToString(),
        )

    member = role_principal("Org1MSP", MSPRole.MEMBER)
    peer = role_principal("Org1MSP", MSPRole.PEER)
    admin = role_principal("Org1MSP", MSPRole.ADMIN)
    assert satisfied_by(org, msps, combined(member, peer)) == {"peer"}
    assert satisfied_by(org, msps, combined(member, combined(peer))) == {"peer"}
    assert satisfied_by(org, msps, combined(peer, admin)) == set()
    assert satisfied_by(org, msps, combined()) == set()
    deep = peer
    for _ in range(COMBINED_DEPTH_MAX + 1):
        deep = combined(deep)
    assert satisfied_by(org, msps, deep) == set()


def test_a_principal_belongs_to_the_organization_it_names() -> None:
    peer = role_principal("Org1MSP", MSPRole.PEER)
    assert organization_of(parse_principal(peer)) == "Org1MSP"
    assert (
        organization_of(
            parse_principal(MSPPrincipal(principal_classification=MSPPrincipal.ANONYMITY))
        )
        is None
    )
