"""What the authority issues is what Fabric's samples and OpenSSL expect."""

import datetime as dt
import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from tongban.network.crypto_tree import CryptoTree, NodeNames, OrganizationSpec, UserSpec
from tongban.protos.certificates import ATTRIBUTES_OID
from tongban.protos.signing import is_low_s

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
SPEC = OrganizationSpec(
    "org1.example.com",
    nodes=[NodeNames("peer0")],
    users=[UserSpec("Admin", "admin"), UserSpec("User1", attributes=(("duty", "book"),))],
)


@pytest.fixture
def tree(tmp_path: Path) -> CryptoTree:
    tree = CryptoTree(tmp_path, SPEC)
    tree.ensure(NOW)
    return tree


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_folders_are_those_of_cryptogen(tree: CryptoTree) -> None:
    found = {str(p.relative_to(tree.path)) for p in tree.path.rglob("*") if p.is_file()}
    user = "users/User1@org1.example.com"
    peer = "peers/peer0.org1.example.com"
    assert {
        f"{user}/msp/signcerts/User1@org1.example.com-cert.pem",
        f"{user}/msp/keystore/priv_sk",
        f"{user}/tls/client.key",
        f"{peer}/msp/config.yaml",
        f"{peer}/msp/cacerts/ca.org1.example.com-cert.pem",
        f"{peer}/tls/ca.crt",
        f"{peer}/tls/server.crt",
        f"{peer}/tls/server.key",
        "msp/tlscacerts/tlsca.org1.example.com-cert.pem",
        "ca/ca.org1.example.com-cert.pem",
    } <= found


def test_keys_are_readable_by_their_owner_alone(tree: CryptoTree) -> None:
    secrets = [p for p in tree.path.rglob("*") if p.name == "priv_sk" or p.suffix == ".key"]
    assert len(secrets) == 2 + 3 * 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}


def test_certificates_chain_and_name_role_and_hosts(tree: CryptoTree) -> None:
    authority = certificate(tree.msp / "cacerts" / "ca.org1.example.com-cert.pem")
    peer = certificate(next((tree.node("peer0") / "msp" / "signcerts").iterdir()))
    peer.verify_directly_issued_by(authority)
    units = peer.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    assert [unit.value for unit in units] == ["peer"]
    server = certificate(tree.node("peer0") / "tls" / "server.crt")
    server.verify_directly_issued_by(certificate(tree.tls_root))
    sans = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"peer0.org1.example.com", "localhost"} <= set(sans.get_values_for_type(x509.DNSName))


def test_signatures_are_low_s_and_validity_starts_in_the_past(tree: CryptoTree) -> None:
    for path in tree.path.rglob("*-cert.pem"):
        found = certificate(path)
        assert is_low_s(found.signature, ec.SECP256R1())
        assert found.not_valid_before_utc < NOW < found.not_valid_after_utc


def test_attributes_are_where_fabric_ca_puts_them(tree: CryptoTree) -> None:
    user = certificate(next((tree.user("User1") / "msp" / "signcerts").iterdir()))
    extension = user.extensions.get_extension_for_oid(ATTRIBUTES_OID).value
    assert isinstance(extension, x509.UnrecognizedExtension)
    assert json.loads(extension.value) == {"attrs": {"duty": "book"}}


def test_material_that_exists_is_kept(tree: CryptoTree, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in tree.path.rglob("*") if path.is_file()}
    CryptoTree(tmp_path, SPEC).ensure(NOW + dt.timedelta(days=1))
    after = {path: path.read_bytes() for path in tree.path.rglob("*") if path.is_file()}
    assert before == after
