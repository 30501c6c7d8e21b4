"""Identities from PEM and folders, signers around other things, and the profile of a network."""

import hashlib
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.support.pki import make_organization, pem
from tongban.protos.identities_pb2 import SerializedIdentity
from tongban.protos.signing import verify_signature
from tongban.sdk import DigestSigner, Identity, SigningIdentity, load_msp_directory
from tongban.sdk.profile import load_profile, load_tls, load_user

ORGANIZATION = make_organization("Org1MSP", peers=1, users=2)
USER, OTHER = ORGANIZATION.users[:2]
CERTIFICATE = pem(USER.certificate)
"""PEM."""


def key_pem(key: object) -> bytes:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_msp(folder: Path) -> Path:
    (folder / "signcerts").mkdir(parents=True)
    (folder / "signcerts" / "cert.pem").write_bytes(CERTIFICATE)
    (folder / "keystore").mkdir()
    (folder / "keystore" / "a_other_sk").write_bytes(key_pem(OTHER.key))
    (folder / "keystore" / "b_not_a_key").write_bytes(b"nothing")
    (folder / "keystore" / "c_sk").write_bytes(key_pem(USER.key))
    return folder


def test_an_identity_travels_as_msp_id_and_certificate() -> None:
    serialized = SerializedIdentity.FromString(Identity("Org1MSP", CERTIFICATE).creator)
    assert (serialized.mspid, serialized.id_bytes) == ("Org1MSP", CERTIFICATE)


def test_a_signing_identity_signs_what_its_certificate_verifies() -> None:
    identity = SigningIdentity.from_pem("Org1MSP", CERTIFICATE, key_pem(USER.key))
    assert identity.msp_id == "Org1MSP"
    for number in range(20):
        message = str(number).encode()
        public = USER.certificate.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        verify_signature(public, message, identity.sign(message))


def test_a_key_of_another_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="does not belong"):
        SigningIdentity.from_pem("Org1MSP", CERTIFICATE, key_pem(OTHER.key))


def test_a_signer_of_digests_gives_low_s_signatures() -> None:
    key = USER.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    asked: list[bytes] = []

    def sign_digest(digest: bytes) -> bytes:
        asked.append(digest)
        return key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))

    signer = DigestSigner(Identity("Org1MSP", CERTIFICATE), sign_digest)
    for number in range(20):  # about half of them come with a high s
        message = str(number).encode()
        verify_signature(key.public_key(), message, signer.sign(message))
        assert asked[-1] == hashlib.sha256(message).digest()


def test_the_key_that_fits_is_taken_from_a_folder(tmp_path: Path) -> None:
    identity = load_msp_directory(write_msp(tmp_path / "msp"), "Org1MSP")
    assert identity.identity.credentials == CERTIFICATE


def test_a_folder_without_a_fitting_key_is_refused(tmp_path: Path) -> None:
    folder = write_msp(tmp_path / "msp")
    (folder / "keystore" / "c_sk").unlink()
    with pytest.raises(ValueError, match="no key in"):
        load_msp_directory(folder, "Org1MSP")
    with pytest.raises(FileNotFoundError):
        load_msp_directory(tmp_path, "Org1MSP")


@pytest.fixture
def network(tmp_path: Path) -> Path:
    tree = tmp_path / "organizations" / "peerOrganizations"
    write_msp(tree / "org1.example.com" / "users" / "User1@org1.example.com" / "msp")
    write_msp(tree / "bank.example.com" / "users" / "User1@bank.example.com" / "msp")
    tls = tree / "org1.example.com" / "peers" / "peer0.org1.example.com" / "tls"
    tls.mkdir(parents=True)
    (tls / "ca.crt").write_bytes(b"root")
    organizations = [
        {"group": "Bank", "msp_id": "BankMSP", "domain": "bank.example.com"},
        {
            "group": "Org1",
            "msp_id": "Org1MSP",
            "domain": "org1.example.com",
            "peers": [{"name": "peer0", "port": 7051, "operations_port": 1}],
        },
    ]
    topology = {"format": 1, "name": "n", "organizations": organizations}
    (tmp_path / "topology.yaml").write_text(yaml.safe_dump(topology))
    return tmp_path


@pytest.mark.parametrize("name", ["Org1", "org1msp", "org1.example.com"])
def test_a_profile_is_found_by_any_name_of_the_organization(network: Path, name: str) -> None:
    profile = load_profile(network, name)
    assert profile.target == "127.0.0.1:7051"
    assert profile.identity.msp_id == "Org1MSP"
    assert profile.tls.ca_certificates == b"root"
    assert profile.tls.server_name == "peer0.org1.example.com"


def test_an_organization_without_peers_enters_at_another(network: Path) -> None:
    profile = load_profile(network, "Bank")
    assert profile.target == "127.0.0.1:7051"
    assert profile.identity.msp_id == "BankMSP"


def test_what_a_profile_lacks_is_named(network: Path) -> None:
    with pytest.raises(ValueError, match="no organization 'Tax' in the network, only Bank, Org1"):
        load_profile(network, "Tax")
    with pytest.raises(ValueError, match=r"no Ann@org1.example.com in .*, only User1@org1"):
        load_profile(network, "Org1", "Ann")
    with pytest.raises(ValueError, match="has no peer 'peer9', only peer0"):
        load_profile(network, "Org1", peer="peer9")
    with pytest.raises(FileNotFoundError):
        load_profile(network / "nowhere", "Org1")
    (network / "topology.yaml").write_text("format: 2")
    with pytest.raises(ValueError, match="has format 2, expected 1"):
        load_profile(network, "Org1")
    (network / "topology.yaml").write_text("[]")
    with pytest.raises(ValueError, match="expected the topology"):
        load_profile(network, "Org1")


def test_a_cryptogen_tree_needs_no_topology(network: Path) -> None:
    tree = network / "organizations" / "peerOrganizations"
    assert load_user(tree, "org1.example.com", "Org1MSP").msp_id == "Org1MSP"
    assert load_tls(tree, "org1.example.com", "peer0.org1.example.com").ca_certificates == b"root"
