"""An MSP directory gives the definition its files make, and the node's own identity."""

from pathlib import Path

import pytest

from tests.support.pki import Member, Organization, key_pem, make_organization, new_key
from tongban.node.core.errors import InvalidIdentity
from tongban.node.core.identity import Msp
from tongban.node.runtime.msp_dir import (
    InvalidMspDirectory,
    UnsafeKeyFile,
    load_signer,
    read_msp_directory,
    subject_key_id,
)
from tongban.protos.identities_pb2 import SerializedIdentity
from tongban.protos.msp_config_pb2 import FabricMSPConfig


@pytest.fixture
def organization() -> Organization:
    return make_organization("Org1MSP", peers=1, users=1, intermediate=True)


@pytest.fixture
def directory(organization: Organization, tmp_path: Path) -> Path:
    return organization.write_directory(tmp_path / "msp", organization.peers[0])


def test_the_files_are_copied_byte_for_byte(organization: Organization, directory: Path) -> None:
    root = directory / "cacerts/ca.pem"
    root.write_bytes(b"# the root of Org1\n" + root.read_bytes())
    config = FabricMSPConfig.FromString(read_msp_directory(directory, "Org1MSP").config)
    assert list(config.root_certs) == [root.read_bytes()]
    assert list(config.intermediate_certs) == [organization.issuer.pem]
    assert list(config.tls_root_certs) == [organization.tls_ca.pem]
    assert config.fabric_node_ous == organization.config.fabric_node_ous
    assert config.name == "Org1MSP"


def test_the_definition_judges_the_organizations_members(
    organization: Organization, directory: Path
) -> None:
    msp = Msp.from_config(read_msp_directory(directory, "Org1MSP"))
    msp.validate(msp.deserialize(organization.users[0].identity))


def test_a_revocation_list_in_the_directory_counts(
    organization: Organization, tmp_path: Path
) -> None:
    organization.revoke(organization.users[0])
    path = organization.write_directory(tmp_path / "msp", organization.peers[0])
    msp = Msp.from_config(read_msp_directory(path, "Org1MSP"))
    with pytest.raises(InvalidIdentity, match="revoked"):
        msp.validate(msp.deserialize(organization.users[0].identity))


def test_the_signer_signs_as_the_peer(organization: Organization, directory: Path) -> None:
    signer = load_signer(directory, "Org1MSP")
    msp = Msp.from_config(organization.msp_config)
    identity = msp.deserialize(signer.creator)
    msp.validate(identity)
    identity.verify(b"hello", signer.sign(b"hello"))


def test_the_signers_identity_has_the_low_s_form(
    organization: Organization, tmp_path: Path
) -> None:
    member = organization.issue("peer9", ["peer"], high_s=True)
    path = organization.write_directory(tmp_path / "msp", member)
    signer = load_signer(path, "Org1MSP")
    assert signer.creator != member.identity
    msp = Msp.from_config(organization.msp_config)
    assert msp.deserialize(signer.creator).id == msp.deserialize(member.identity).id


def test_the_key_named_after_the_certificate_is_found_among_others(
    organization: Organization, directory: Path
) -> None:
    member = organization.peers[0]
    (directory / "keystore/priv_sk").write_bytes(key_pem(new_key()))
    own = directory / "keystore" / f"{subject_key_id(member.certificate)}_sk"
    own.write_bytes(key_pem(member.key))
    own.chmod(0o600)
    assert _mspid(load_signer(directory, "Org1MSP").creator) == "Org1MSP"


def test_a_key_that_others_may_read_is_refused_with_the_remedy(directory: Path) -> None:
    key = directory / "keystore/priv_sk"
    for mode in (0o640, 0o604, 0o644):
        key.chmod(mode)
        with pytest.raises(UnsafeKeyFile, match=f"chmod 600 {key}"):
            load_signer(directory, "Org1MSP")
    key.chmod(0o400)
    load_signer(directory, "Org1MSP")


def test_a_missing_file_is_named(directory: Path) -> None:
    for folder, call in (
        ("keystore", load_signer),
        ("signcerts", load_signer),
        ("cacerts", read_msp_directory),
    ):
        for file in (directory / folder).iterdir():
            file.unlink()
        with pytest.raises(InvalidMspDirectory, match=folder):
            call(directory, "Org1MSP")


def test_a_key_of_somebody_else_does_not_fit(organization: Organization, directory: Path) -> None:
    (directory / "keystore/priv_sk").write_bytes(key_pem(organization.users[0].key))
    with pytest.raises(InvalidMspDirectory, match="private key of the signing certificate"):
        load_signer(directory, "Org1MSP")


def test_a_certificate_of_another_organization_is_refused(
    organization: Organization, tmp_path: Path
) -> None:
    stranger: Member = make_organization("Org2MSP", peers=1).peers[0]
    path = organization.write_directory(tmp_path / "msp", stranger)
    with pytest.raises(InvalidMspDirectory, match="does not belong to Org1MSP"):
        load_signer(path, "Org1MSP")


@pytest.mark.parametrize("text", ["NodeOUs: [", "NodeOUs: {Enable: perhaps}"])
def test_a_configuration_that_cannot_be_read_is_named(directory: Path, text: str) -> None:
    (directory / "config.yaml").write_text(text)
    with pytest.raises(InvalidMspDirectory, match=r"config\.yaml"):
        read_msp_directory(directory, "Org1MSP")


def _mspid(serialized: bytes) -> str:
    return SerializedIdentity.FromString(serialized).mspid
