"""Reading an MSP directory: an organization's definition, and a node's own identity.

The layout is Fabric's (msp/configbuilder.go): ``cacerts`` (at least one), ``intermediatecerts``,
``admincerts``, ``tlscacerts``, ``tlsintermediatecerts``, ``crls``, ``config.yaml``; for a node also
``signcerts`` and ``keystore``. Files are taken in the order of their names and copied byte for
byte, so the bytes of the definition follow from the files. Other files in these folders are passed
over, as Fabric does.
"""

import hashlib
import stat
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tongban.node.core.errors import InvalidMspConfig
from tongban.node.core.identity import Msp, canonical_serialized, serialize_identity
from tongban.node.core.identity.identity import Identity
from tongban.protos.certificates import load_certificate, read_pem
from tongban.protos.errors import TongbanError
from tongban.protos.msp_config_pb2 import (
    FabricCryptoConfig,
    FabricMSPConfig,
    FabricNodeOUs,
    FabricOUIdentifier,
    MSPConfig,
)
from tongban.protos.signing import KeySigner, PrivateKey, load_private_key

OTHERS_MAY_READ = stat.S_IRGRP | stat.S_IROTH
"""Permission bits that a private key must not have."""

FILE_BYTES_MAX = 1024 * 1024
"""Bytes of one file of the directory; a revocation list of ten thousand entries fits."""


class InvalidMspDirectory(TongbanError):
    """A directory that cannot be used as an MSP. ``path`` names the file or folder."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class UnsafeKeyFile(InvalidMspDirectory):
    """A private key that others on this machine can read."""


class _Unit(BaseModel):
    model_config = ConfigDict(extra="ignore")

    certificate: str = Field(default="", alias="Certificate")
    name: str = Field(default="", alias="OrganizationalUnitIdentifier")


class _NodeUnits(BaseModel):
    model_config = ConfigDict(extra="ignore")

    enable: bool = Field(default=False, alias="Enable")
    client: _Unit = Field(default_factory=_Unit, alias="ClientOUIdentifier")
    peer: _Unit = Field(default_factory=_Unit, alias="PeerOUIdentifier")
    admin: _Unit = Field(default_factory=_Unit, alias="AdminOUIdentifier")
    orderer: _Unit = Field(default_factory=_Unit, alias="OrdererOUIdentifier")


class _ConfigFile(BaseModel):
    model_config = ConfigDict(extra="ignore")

    units: list[_Unit] = Field(default_factory=list, alias="OrganizationalUnitIdentifiers")
    node_units: _NodeUnits = Field(default_factory=_NodeUnits, alias="NodeOUs")


def read_msp_directory(path: Path | str, mspid: str) -> MSPConfig:
    """The definition that the directory's files make, without the node's own identity.

    Raises:
        InvalidMspDirectory: a file is missing or cannot be read; names it.
    """
    path = Path(path)
    roots = _read_pems(path / "cacerts")
    if not roots:
        raise InvalidMspDirectory(path / "cacerts", "expected at least one CA certificate")
    tls_roots = _read_pems(path / "tlscacerts")
    config = FabricMSPConfig(
        name=mspid,
        root_certs=roots,
        intermediate_certs=_read_pems(path / "intermediatecerts"),
        admins=_read_pems(path / "admincerts"),
        revocation_list=_read_pems(path / "crls"),
        crypto_config=FabricCryptoConfig(
            signature_hash_family="SHA2", identity_identifier_hash_function="SHA256"
        ),
        tls_root_certs=tls_roots,
        tls_intermediate_certs=_read_pems(path / "tlsintermediatecerts") if tls_roots else [],
    )
    _add_units(config, path)
    return MSPConfig(type=0, config=config.SerializeToString(deterministic=True))


def load_signer(path: Path | str, mspid: str) -> KeySigner:
    """The node's own identity: the first certificate of ``signcerts`` and its key.

    The identity is serialized from the certificate's low-S form, so that it is the same at every
    reader. It is not asked whether the certificate is valid now; the caller knows the time.

    Raises:
        UnsafeKeyFile: the key's file may be read by its group or by others.
        InvalidMspDirectory: a file is missing or cannot be read, or no key fits the certificate.
    """
    path = Path(path)
    certificates = _read_pems(path / "signcerts")
    if not certificates:
        raise InvalidMspDirectory(path / "signcerts", "expected a certificate")
    try:
        certificate = load_certificate(certificates[0], "signing certificate")
    except TongbanError as error:
        raise InvalidMspDirectory(path / "signcerts", str(error)) from None
    key = _find_key(path / "keystore", certificate)
    identity = _read_identity(path, mspid, certificates[0])
    return KeySigner(canonical_serialized(identity), key)


def subject_key_id(certificate: x509.Certificate) -> str:
    """Hex of what Fabric names a key's file after: SHA-256 of the uncompressed public point."""
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    else:
        point = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(point).hexdigest()


def check_key_is_private(path: Path) -> None:
    """Return if only the owner may read the file.

    Raises:
        UnsafeKeyFile: its group or others may, too; says how to mend it.
    """
    mode = path.stat().st_mode
    if mode & OTHERS_MAY_READ:
        raise UnsafeKeyFile(
            path,
            f"the private key may be read by others (mode {stat.S_IMODE(mode):04o}, expected "
            f"0600); run: chmod 600 {path}",
        )


def _read_identity(path: Path, mspid: str, certificate: bytes) -> Identity:
    try:
        msp = Msp.from_config(read_msp_directory(path, mspid), ed25519=True)
        return msp.deserialize(serialize_identity(mspid, certificate))
    except InvalidMspConfig as error:
        raise InvalidMspDirectory(path, str(error)) from None
    except TongbanError as error:
        raise InvalidMspDirectory(
            path / "signcerts", f"the certificate does not belong to {mspid}: {error}"
        ) from None


def _find_key(folder: Path, certificate: x509.Certificate) -> PrivateKey:
    """The key that fits: the file named after it, else any in the folder."""
    wanted = certificate.public_key()
    named = folder / f"{subject_key_id(certificate)}_sk"
    others = [one for one in _files(folder) if one != named]
    for file in ([named] if named.is_file() else []) + others:
        try:
            key = load_private_key(_read_file(file))
        except ValueError:
            continue
        if key.public_key() == wanted:
            check_key_is_private(file)
            return key
    raise InvalidMspDirectory(folder, "expected the private key of the signing certificate")


def _add_units(config: FabricMSPConfig, path: Path) -> None:
    file = path / "config.yaml"
    if not file.exists():
        return
    try:
        settings = _ConfigFile.model_validate(yaml.safe_load(_read_file(file)) or {})
    except (yaml.YAMLError, ValidationError) as error:
        raise InvalidMspDirectory(file, f"cannot be read: {error}") from None
    for unit in settings.units:
        config.organizational_unit_identifiers.append(
            FabricOUIdentifier(
                certificate=_read_file(path / unit.certificate),
                organizational_unit_identifier=unit.name,
            )
        )
    units = settings.node_units
    if not units.enable:
        return
    config.fabric_node_ous.CopyFrom(
        FabricNodeOUs(
            enable=True,
            client_ou_identifier=_unit(path, units.client),
            peer_ou_identifier=_unit(path, units.peer),
            admin_ou_identifier=_unit(path, units.admin),
            orderer_ou_identifier=_unit(path, units.orderer),
        )
    )


def _unit(path: Path, unit: _Unit) -> FabricOUIdentifier | None:
    if not unit.name:
        return None
    certificate = _read_file(path / unit.certificate) if unit.certificate else b""
    return FabricOUIdentifier(certificate=certificate, organizational_unit_identifier=unit.name)


def _read_pems(folder: Path) -> list[bytes]:
    found = []
    for file in _files(folder):
        text = _read_file(file)
        if next(read_pem(text), None) is not None:
            found.append(text)
    return found


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.is_file())


def _read_file(file: Path) -> bytes:
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise InvalidMspDirectory(file, f"expected at most {FILE_BYTES_MAX} bytes")
        return file.read_bytes()
    except OSError as error:
        raise InvalidMspDirectory(file, error.strerror or str(error)) from None
