"""Which identities an organization stands behind, and whom they satisfy.

Tables of certificates that end in the verdict. The rules are those of fabric msp/.
"""

import datetime

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.pki import (
    EXPIRED,
    NOT_AFTER,
    NOT_BEFORE,
    Authority,
    Member,
    Organization,
    make_organization,
    node_ous,
    with_s,
)
from tongban.node.core.errors import InvalidIdentity, InvalidMspConfig, UnknownIdentity
from tongban.node.core.identity import Msp, is_expired, role_principal
from tongban.protos.errors import InvalidSignature
from tongban.protos.identities_pb2 import SerializedIdentity
from tongban.protos.msp_config_pb2 import FabricOUIdentifier, MSPConfig
from tongban.protos.msp_principal_pb2 import MSPRole
from tongban.protos.signing import GROUP_ORDERS, is_low_s

DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def org() -> Organization:
    return make_organization("Org1MSP", peers=1, users=1, orderers=1)


@pytest.fixture(scope="module")
def msp(org: Organization) -> Msp:
    return Msp.from_config(org.msp_config)


def refusal(msp: Msp, member: Member) -> str:
    """Empty if the identity is valid; what it is refused for, else."""
    try:
        msp.validate(msp.deserialize(member.identity))
    except UnknownIdentity as error:
        return f"unknown: {error}"
    except InvalidIdentity as error:
        return error.reason
    return ""


@pytest.mark.parametrize(
    ("units", "verdict"),
    [
        (["client"], ""),
        (["peer"], ""),
        (["admin"], ""),
        (["orderer"], ""),
        (["client", "sales"], ""),
        ([], "found none"),
        (["sales"], "found none"),
        (["Client"], "found none"),
        (["client", "peer"], "found client, peer"),
        (["peer", "peer"], "found peer, peer"),
    ],
)
def test_exactly_one_unit_makes_a_role(
    org: Organization, msp: Msp, units: list[str], verdict: str
) -> None:
    found = refusal(msp, org.issue("somebody", units))
    assert found.endswith(verdict)
    assert bool(found) == bool(verdict)


def test_expiry_and_a_future_start_play_no_part(org: Organization, msp: Msp) -> None:
    expired = org.issue("old", not_after=EXPIRED)
    future = org.issue("new", not_before=NOT_AFTER - 2 * DAY, not_after=NOT_AFTER - DAY)
    assert refusal(msp, expired) == ""
    assert refusal(msp, future) == ""
    identity = msp.deserialize(expired.identity)
    assert is_expired(identity, EXPIRED + DAY)
    assert not is_expired(identity, EXPIRED)


def test_a_certificate_from_before_its_ca_has_no_chain(org: Organization, msp: Msp) -> None:
    early = org.issue("early", not_before=NOT_BEFORE - DAY)
    assert "no valid chain" in refusal(msp, early)


def test_a_ca_certificate_is_no_identity(org: Organization, msp: Msp) -> None:
    assert "CA certificate" in refusal(msp, org.issue("ca", is_ca=True))
    root = Member("Org1MSP", org.ca.certificate, org.ca.key)
    assert "CA certificate" in refusal(msp, root)


@pytest.mark.parametrize(
    ("kind", "with_v3", "verdict"),
    [
        ("P-256", False, ""),
        ("P-384", False, ""),
        ("Ed25519", False, "not supported"),
        ("Ed25519", True, ""),
        ("RSA", False, "not supported"),
        ("RSA", True, "not supported"),
    ],
)
def test_the_key_must_be_of_an_accepted_kind(
    org: Organization, kind: str, with_v3: bool, verdict: str
) -> None:
    msp = Msp.from_config(org.msp_config, ed25519=with_v3)
    found = refusal(msp, org.issue("somebody", kind=kind))
    assert verdict in found
    assert bool(found) == bool(verdict)


def test_an_ed25519_authority_issues_ed25519_identities() -> None:
    org = make_organization("Org1MSP", users=1, kind="Ed25519")
    msp = Msp.from_config(org.msp_config, ed25519=True)
    assert refusal(msp, org.users[0]) == ""
    identity = msp.deserialize(org.users[0].identity)
    identity.verify(b"m", org.users[0].signer.sign(b"m"))
    with pytest.raises(InvalidSignature):
        identity.verify(b"n", org.users[0].signer.sign(b"m"))


def test_a_foreign_certificate_cannot_be_read(org: Organization, msp: Msp) -> None:
    other = make_organization("Org1MSP", users=1)
    assert refusal(msp, other.users[0]).startswith("unknown: the certificate has no valid chain")


@pytest.mark.parametrize(
    ("serialized", "reason"),
    [
        (b"\xff", "SerializedIdentity"),
        (SerializedIdentity(mspid="Org2MSP").SerializeToString(), "expected MSP ID Org1MSP"),
        (SerializedIdentity(mspid="Org1MSP").SerializeToString(), "PEM"),
        (
            SerializedIdentity(mspid="Org1MSP", id_bytes=b"x" * 70_000).SerializeToString(),
            "at most",
        ),
        (
            SerializedIdentity(
                mspid="Org1MSP",
                id_bytes=b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ).SerializeToString(),
            "not an X.509 certificate",
        ),
    ],
)
def test_bytes_that_are_no_identity_are_refused(msp: Msp, serialized: bytes, reason: str) -> None:
    with pytest.raises(UnknownIdentity, match=reason):
        msp.deserialize(serialized)


def test_the_type_of_the_pem_block_is_not_checked(org: Organization, msp: Msp) -> None:
    text = org.users[0].pem.replace(b"CERTIFICATE", b"SOMETHING ELSE")
    serialized = SerializedIdentity(mspid="Org1MSP", id_bytes=b"note\n" + text + b"more\n")
    msp.validate(msp.deserialize(serialized.SerializeToString()))


def test_both_forms_of_a_certificate_are_one_identity(org: Organization, msp: Msp) -> None:
    member = org.issue("somebody", high_s=True)
    curve = org.ca.key.curve  # type: ignore[union-attr]
    low = Member("Org1MSP", with_s(member.certificate, curve, high=False), member.key)
    assert low.identity != member.identity
    one, other = msp.deserialize(member.identity), msp.deserialize(low.identity)
    assert one.id == other.id
    assert one.der == other.der
    assert is_low_s(one.certificate.signature, curve)
    assert curve.name in GROUP_ORDERS
    assert one.serialized == member.identity


def test_a_ca_with_a_high_s_certificate_still_issues(org: Organization) -> None:
    root = Authority("root", high_s=True)
    ica = Authority("ica", parent=root, high_s=True)
    org = _with_authorities(root, ica)
    msp = Msp.from_config(org.msp_config)
    assert refusal(msp, org.issue("somebody", high_s=True)) == ""


class TestChains:
    """Which of the configured CAs may issue."""

    def test_the_lowest_configured_ca_issues(self) -> None:
        org = make_organization("Org1MSP", users=1, intermediate=True)
        assert refusal(Msp.from_config(org.msp_config), org.users[0]) == ""

    def test_a_root_with_configured_cas_below_it_issues_no_more(self) -> None:
        org = make_organization("Org1MSP", intermediate=True)
        direct = org.ca.issue("Org1MSP", "somebody")
        msp = Msp.from_config(org.msp_config)
        assert "has configured CAs below it" in refusal(msp, direct)

    def test_an_unconfigured_intermediate_is_unknown(self) -> None:
        org = make_organization("Org1MSP", intermediate=True)
        hidden = Authority("hidden", parent=org.issuer)
        member = hidden.issue("Org1MSP", "somebody")
        assert refusal(Msp.from_config(org.msp_config), member).startswith("unknown")

    def test_a_path_length_holds(self) -> None:
        root = Authority("root", path_length=0)
        member_of_root = root.issue("Org1MSP", "somebody")
        assert refusal(Msp.from_config(_with_authorities(root).msp_config), member_of_root) == ""
        ica = Authority("ica", parent=root)
        with pytest.raises(InvalidMspConfig, match="no valid chain"):
            # An intermediate may stand directly below; what it would issue may not.
            org = _with_authorities(root, ica, Authority("ica2", parent=ica))
            Msp.from_config(org.msp_config)

    def test_two_chains_are_one_too_many(self) -> None:
        root = Authority("root")
        twin = Authority("root")
        twin.key = root.key
        added = [(x509.BasicConstraints(True, None), True)]
        key_id = x509.SubjectKeyIdentifier.from_public_key(root.key.public_key())
        twin.certificate = root.sign(
            root.subject, root.key, [*added, (key_id, False)], (NOT_BEFORE, NOT_AFTER)
        )
        org = _with_authorities(root)
        org.config.root_certs.append(twin.pem)
        assert twin.pem != root.pem
        msp = Msp.from_config(org.msp_config)
        assert "unknown: expected a single chain" in refusal(msp, root.issue("Org1MSP", "a"))

    def test_the_same_root_twice_is_one_chain(self) -> None:
        org = make_organization("Org1MSP", users=1)
        org.config.root_certs.append(org.ca.pem)
        org.config.intermediate_certs.append(org.ca.pem)
        assert refusal(Msp.from_config(org.msp_config), org.users[0]) == ""

    @pytest.mark.parametrize(
        ("usages", "valid"),
        [
            ([ExtendedKeyUsageOID.SERVER_AUTH], True),
            ([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], True),
            ([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH], True),
            ([ExtendedKeyUsageOID.CLIENT_AUTH], False),
        ],
    )
    def test_a_restricted_certificate_must_serve(
        self, org: Organization, msp: Msp, usages: list[x509.ObjectIdentifier], valid: bool
    ) -> None:
        member = org.issue("somebody", extensions=[(x509.ExtendedKeyUsage(usages), False)])
        assert (refusal(msp, member) == "") == valid

    @pytest.mark.parametrize(("critical", "valid"), [(False, True), (True, False)])
    def test_an_extension_that_is_not_understood(
        self, org: Organization, msp: Msp, critical: bool, valid: bool
    ) -> None:
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
        member = org.issue("somebody", extensions=[(unknown, critical)])
        assert (refusal(msp, member) == "") == valid

    @pytest.mark.parametrize(
        ("host", "valid"),
        [
            ("a.gov.cn", True),
            ("a.b.gov.cn", True),
            ("gov.cn", True),
            ("notgov.cn", False),
            ("secret.gov.cn", False),
            ("a.secret.gov.cn", False),
        ],
    )
    def test_name_constraints_hold(self, host: str, valid: bool) -> None:
        constraints = x509.NameConstraints(
            [x509.DNSName("gov.cn")], [x509.DNSName("secret.gov.cn")]
        )
        root = Authority("root", extensions=[(constraints, True)])
        org = _with_authorities(root)
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        member = org.issue("somebody", extensions=[(names, False)])
        assert (refusal(Msp.from_config(org.msp_config), member) == "") == valid

    def test_a_constrained_ca_wants_host_names_in_the_alternative_names(self) -> None:
        constraints = x509.NameConstraints([x509.DNSName("gov.cn")], None)
        org = _with_authorities(Authority("root", extensions=[(constraints, True)]))
        msp = Msp.from_config(org.msp_config)
        assert "constrains names" in refusal(msp, org.issue("peer0.gov.cn"))
        assert refusal(msp, org.issue("not a host name")) == ""


class TestRevocation:
    """Which revocation lists count."""

    def test_a_revoked_certificate_is_refused(self) -> None:
        org = make_organization("Org1MSP", users=2)
        org.revoke(org.users[0])
        msp = Msp.from_config(org.msp_config)
        assert refusal(msp, org.users[0]) == "the certificate has been revoked"
        assert refusal(msp, org.users[1]) == ""

    def test_a_list_that_the_ca_did_not_sign_counts_for_nothing(self) -> None:
        org = make_organization("Org1MSP", users=1)
        forged = org.ca.revocation_list(org.users[0].certificate, signed_by=Authority("mallory"))
        org.config.revocation_list.append(forged)
        assert refusal(Msp.from_config(org.msp_config), org.users[0]) == ""

    def test_a_list_of_another_ca_counts_for_nothing(self) -> None:
        org = make_organization("Org1MSP", users=1, intermediate=True)
        org.config.revocation_list.append(org.ca.revocation_list(org.users[0].certificate))
        assert refusal(Msp.from_config(org.msp_config), org.users[0]) == ""

    def test_a_revoked_intermediate_makes_the_definition_unusable(self) -> None:
        org = make_organization("Org1MSP", intermediate=True)
        org.config.revocation_list.append(org.ca.revocation_list(org.issuer.certificate))
        with pytest.raises(InvalidMspConfig, match="revoked"):
            Msp.from_config(org.msp_config)

    def test_a_list_that_cannot_be_read_makes_the_definition_unusable(self) -> None:
        org = make_organization("Org1MSP")
        org.config.revocation_list.append(b"no list")
        with pytest.raises(InvalidMspConfig, match="CRL"):
            Msp.from_config(org.msp_config)


class TestUnits:
    """Units that a definition asks for, and who must certify them."""

    def test_a_unit_must_be_certified_by_the_named_ca(self) -> None:
        org = make_organization("Org1MSP", users=1, intermediate=True)
        org.config.fabric_node_ous.CopyFrom(node_ous(org.issuer.pem))
        assert refusal(Msp.from_config(org.msp_config), org.users[0]) == ""
        second = Authority("ica2", parent=org.ca)
        org.config.intermediate_certs.append(second.pem)
        msp = Msp.from_config(org.msp_config)
        assert refusal(msp, org.users[0]) == ""
        assert "certified by other CAs" in refusal(msp, second.issue("Org1MSP", "b"))

    def test_the_certifier_is_compared_in_its_low_s_form(self) -> None:
        root = Authority("root", high_s=True)
        org = _with_authorities(root)
        org.config.fabric_node_ous.CopyFrom(node_ous(root.pem))
        assert refusal(Msp.from_config(org.msp_config), org.issue("somebody")) == ""

    def test_a_certifier_that_is_not_configured_is_refused(self) -> None:
        org = make_organization("Org1MSP")
        org.config.fabric_node_ous.CopyFrom(node_ous(Authority("other").pem))
        with pytest.raises(InvalidMspConfig, match="none of the configured CAs"):
            Msp.from_config(org.msp_config)

    def test_listed_units_must_be_met_by_one_of_the_identitys(self) -> None:
        org = make_organization("Org1MSP")
        unit = FabricOUIdentifier(certificate=org.ca.pem, organizational_unit_identifier="tax")
        org.config.organizational_unit_identifiers.append(unit)
        msp = Msp.from_config(org.msp_config)
        assert refusal(msp, org.issue("a", ["client", "tax"])) == ""
        assert "organizational units" in refusal(msp, org.issue("b", ["client"]))


class TestDefinitions:
    """What cannot be a definition of an organization."""

    def test_other_types_of_msp_are_refused(self) -> None:
        with pytest.raises(InvalidMspConfig, match="type 0"):
            Msp.from_config(MSPConfig(type=1))

    @pytest.mark.parametrize(
        ("authority", "reason"),
        [
            ({"is_ca": False}, "not that of a CA"),
            ({"subject_key_id": False}, "no subject key identifier"),
        ],
    )
    def test_a_root_must_be_a_ca_with_a_key_id(
        self, authority: dict[str, bool], reason: str
    ) -> None:
        org = _with_authorities(Authority("root", **authority))  # type: ignore[arg-type]
        with pytest.raises(InvalidMspConfig, match=reason):
            Msp.from_config(org.msp_config)

    def test_a_definition_without_roots_or_name_is_refused(self) -> None:
        org = make_organization("Org1MSP")
        del org.config.root_certs[:]
        with pytest.raises(InvalidMspConfig, match="at least one CA"):
            Msp.from_config(org.msp_config)
        org.config.name = ""
        with pytest.raises(InvalidMspConfig, match="name"):
            Msp.from_config(org.msp_config)

    def test_somebody_must_be_able_to_be_an_admin(self) -> None:
        org = make_organization("Org1MSP", users=1)
        org.config.ClearField("fabric_node_ous")
        with pytest.raises(InvalidMspConfig, match="administrators must be declared"):
            Msp.from_config(org.msp_config)
        org.config.admins.append(org.users[0].pem)
        Msp.from_config(org.msp_config)

    def test_a_listed_admin_must_be_a_client_or_an_admin(self) -> None:
        org = make_organization("Org1MSP", peers=1)
        org.config.admins.append(org.peers[0].pem)
        with pytest.raises(InvalidMspConfig, match="admin 0 is invalid"):
            Msp.from_config(org.msp_config)

    def test_a_listed_admin_stays_one_when_revoked(self) -> None:
        """Odd, but what Fabric does: with node units, a listed admin is only asked for its unit."""
        org = make_organization("Org1MSP", users=1)
        org.config.admins.append(org.users[0].pem)
        org.revoke(org.users[0])
        msp = Msp.from_config(org.msp_config)
        identity = msp.deserialize(org.users[0].identity)
        assert msp.satisfies(identity, role_principal("Org1MSP", MSPRole.ADMIN))
        assert not msp.satisfies(identity, role_principal("Org1MSP", MSPRole.MEMBER))

    def test_another_family_of_hashes_is_refused(self) -> None:
        org = make_organization("Org1MSP")
        org.config.crypto_config.signature_hash_family = "SHA3"
        with pytest.raises(InvalidMspConfig, match="SHA2"):
            Msp.from_config(org.msp_config)

    def test_tls_roots_are_there_for_others_to_use(self, org: Organization, msp: Msp) -> None:
        assert msp.tls_roots == (org.tls_ca.pem,)


def _with_authorities(root: Authority, *intermediates: Authority) -> Organization:
    org = make_organization("Org1MSP")
    org.ca = root
    org.issuer = intermediates[-1] if intermediates else root
    org.config.root_certs[:] = [root.pem]
    org.config.intermediate_certs[:] = [one.pem for one in intermediates]
    return org
