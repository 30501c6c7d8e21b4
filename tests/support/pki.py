"""Certificate authorities, organizations and signers for tests, made in memory.

    org1 = make_organization("Org1MSP", peers=1, users=1)
    org1.msp_config          MSPConfig, as it stands in a channel configuration
    org1.peers[0].signer     KeySigner; .identity serialized; .certificate x509
    org1.admin, org1.users[0], org1.issue("somebody", ["client"], not_after=…)

Everything a certificate can be is an argument of :meth:`Authority.issue`.
"""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from tongban.protos.identities_pb2 import SerializedIdentity
from tongban.protos.msp_config_pb2 import (
    FabricCryptoConfig,
    FabricMSPConfig,
    FabricNodeOUs,
    FabricOUIdentifier,
    MSPConfig,
)
from tongban.protos.signing import GROUP_ORDERS, KeySigner, is_low_s

AnyKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

NOT_BEFORE = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
NOT_AFTER = datetime.datetime(2044, 1, 1, tzinfo=datetime.UTC)
EXPIRED = datetime.datetime(2024, 6, 1, tzinfo=datetime.UTC)
"""A ``not_after`` that has long passed."""


def new_key(kind: str = "P-256") -> AnyKey:
    """A key of kind P-256, P-384, Ed25519 or RSA."""
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "RSA":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key({"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}[kind])


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def key_pem(key: AnyKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def name(common_name: str, units: Sequence[str] = (), organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COUNTRY_NAME, "CN")]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    parts += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(parts)


@dataclass(frozen=True)
class Member:
    """A certificate of an organization and its key."""

    mspid: str
    certificate: x509.Certificate
    key: AnyKey

    @cached_property
    def pem(self) -> bytes:
        return pem(self.certificate)

    @cached_property
    def identity(self) -> bytes:
        """The serialized identity."""
        return SerializedIdentity(mspid=self.mspid, id_bytes=self.pem).SerializeToString()

    @cached_property
    def signer(self) -> KeySigner:
        assert not isinstance(self.key, rsa.RSAPrivateKey)
        return KeySigner(self.identity, self.key)


class Authority:
    """A certificate authority. ``extensions`` are (value, critical) pairs."""

    def __init__(
        self,
        common_name: str = "ca",
        *,
        parent: "Authority | None" = None,
        kind: str = "P-256",
        path_length: int | None = None,
        not_before: datetime.datetime = NOT_BEFORE,
        not_after: datetime.datetime = NOT_AFTER,
        subject_key_id: bool = True,
        is_ca: bool = True,
        high_s: bool = False,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> None:
        self.key = new_key(kind)
        self.subject = name(common_name)
        self._parent = parent
        added: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(is_ca, path_length if is_ca else None), True),
            (_key_usage(certificate_sign=True), True),
            *extensions,
        ]
        if subject_key_id:
            added.append((x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False))
        issuer = parent if parent is not None else self
        self.certificate = issuer.sign(
            self.subject, self.key, added, (not_before, not_after), high_s=high_s
        )

    @property
    def pem(self) -> bytes:
        return pem(self.certificate)

    def issue(
        self,
        mspid: str,
        common_name: str,
        units: Sequence[str] = ("client",),
        *,
        kind: str = "P-256",
        not_before: datetime.datetime = NOT_BEFORE,
        not_after: datetime.datetime = NOT_AFTER,
        high_s: bool | None = False,
        is_ca: bool = False,
        key: AnyKey | None = None,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> Member:
        """A certificate. ``high_s`` says which S its own ECDSA signature has; None, whichever."""
        key = key or new_key(kind)
        added: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(is_ca, None), True),
            (_key_usage(certificate_sign=is_ca), True),
            (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
            *extensions,
        ]
        certificate = self.sign(
            name(common_name, units), key, added, (not_before, not_after), high_s=high_s
        )
        return Member(mspid, certificate, key)

    def sign(
        self,
        subject: x509.Name,
        key: AnyKey,
        extensions: Sequence[tuple[x509.ExtensionType, bool]],
        validity: tuple[datetime.datetime, datetime.datetime],
        *,
        high_s: bool | None = False,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(validity[0])
            .not_valid_after(validity[1])
        )
        for value, critical in extensions:
            builder = builder.add_extension(value, critical)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
        )
        algorithm = None if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        certificate = builder.sign(self.key, algorithm)
        if isinstance(self.key, ec.EllipticCurvePrivateKey) and high_s is not None:
            return with_s(certificate, self.key.curve, high=high_s)
        return certificate

    def revocation_list(
        self, *revoked: x509.Certificate, signed_by: "Authority | None" = None
    ) -> bytes:
        """PEM of a list that names this authority; ``signed_by`` makes a forged one."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.subject)
            .last_update(NOT_BEFORE)
            .next_update(NOT_AFTER)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
        )
        for certificate in revoked:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(certificate.serial_number)
                .revocation_date(NOT_BEFORE)
                .build()
            )
        signer = (signed_by or self).key
        algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(signer, algorithm).public_bytes(Encoding.PEM)


def with_s(
    certificate: x509.Certificate, curve: ec.EllipticCurve, *, high: bool
) -> x509.Certificate:
    """The same certificate with the high or the low S in its own signature."""
    if is_low_s(certificate.signature, curve) != high:
        return certificate
    r, s = decode_dss_signature(certificate.signature)
    other = encode_dss_signature(r, GROUP_ORDERS[curve.name] - s)
    der = certificate.public_bytes(Encoding.DER)
    head = der[: len(der) - len(certificate.signature) - 3]
    assert der[len(head)] == 0x03, "expected the signature's BIT STRING at the end"
    content = head[4:] + bytes([0x03, len(other) + 1, 0]) + other
    return x509.load_der_x509_certificate(b"\x30\x82" + len(content).to_bytes(2, "big") + content)


@dataclass
class Organization:
    """An organization with its CA and members."""

    mspid: str
    ca: Authority
    issuer: Authority
    """Issues the members: the CA, or the intermediate below it."""
    tls_ca: Authority
    admin: Member
    peers: list[Member] = field(default_factory=list)
    users: list[Member] = field(default_factory=list)
    orderers: list[Member] = field(default_factory=list)
    config: FabricMSPConfig = field(default_factory=FabricMSPConfig)

    @property
    def msp_config(self) -> MSPConfig:
        """As it stands in a channel configuration; follows changes of ``config``."""
        return MSPConfig(type=0, config=self.config.SerializeToString(deterministic=True))

    def issue(self, common_name: str, units: Sequence[str] = ("client",), **how: object) -> Member:
        """One more member; ``how`` as for :meth:`Authority.issue`."""
        return self.issuer.issue(self.mspid, common_name, units, **how)  # type: ignore[arg-type]

    def revoke(self, *members: Member) -> None:
        """From now on the definition takes the members back."""
        revoked = [member.certificate for member in members]
        self.config.revocation_list.append(self.issuer.revocation_list(*revoked))

    def write_directory(self, path: Path, member: Member) -> Path:
        """The MSP directory of a member, as cryptogen lays it out."""
        files = {
            "cacerts/ca.pem": self.ca.pem,
            "tlscacerts/tlsca.pem": self.tls_ca.pem,
            "signcerts/cert.pem": member.pem,
            "keystore/priv_sk": key_pem(member.key),
            "config.yaml": NODE_OUS_YAML.encode(),
        }
        if self.issuer is not self.ca:
            files["intermediatecerts/ica.pem"] = self.issuer.pem
        for number, text in enumerate(self.config.revocation_list):
            files[f"crls/{number}.pem"] = text
        for where, content in files.items():
            target = path / where
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        (path / "keystore/priv_sk").chmod(0o600)
        return path


NODE_OUS_YAML = """\
NodeOUs:
  Enable: true
  ClientOUIdentifier: {OrganizationalUnitIdentifier: client}
  PeerOUIdentifier: {OrganizationalUnitIdentifier: peer}
  AdminOUIdentifier: {OrganizationalUnitIdentifier: admin}
  OrdererOUIdentifier: {OrganizationalUnitIdentifier: orderer}
"""


def make_organization(
    mspid: str,
    *,
    peers: int = 0,
    users: int = 0,
    orderers: int = 0,
    intermediate: bool = False,
    kind: str = "P-256",
) -> Organization:
    """An organization with NodeOUs; ``kind`` is that of its members' keys and its CA's."""
    ca = Authority(f"ca.{mspid}", kind=kind)
    issuer = Authority(f"ica.{mspid}", parent=ca, kind=kind) if intermediate else ca
    tls_ca = Authority(f"tlsca.{mspid}")

    def member(common_name: str, unit: str) -> Member:
        return issuer.issue(mspid, common_name, [unit], kind=kind)

    return Organization(
        mspid=mspid,
        ca=ca,
        issuer=issuer,
        tls_ca=tls_ca,
        admin=member("admin", "admin"),
        peers=[member(f"peer{number}", "peer") for number in range(peers)],
        users=[member(f"user{number}", "client") for number in range(users)],
        orderers=[member(f"orderer{number}", "orderer") for number in range(orderers)],
        config=FabricMSPConfig(
            name=mspid,
            root_certs=[ca.pem],
            intermediate_certs=[issuer.pem] if intermediate else [],
            tls_root_certs=[tls_ca.pem],
            crypto_config=FabricCryptoConfig(
                signature_hash_family="SHA2", identity_identifier_hash_function="SHA256"
            ),
            fabric_node_ous=node_ous(),
        ),
    )


def node_ous(certifier: bytes = b"") -> FabricNodeOUs:
    def unit(of: str) -> FabricOUIdentifier:
        return FabricOUIdentifier(organizational_unit_identifier=of, certificate=certifier)

    return FabricNodeOUs(
        enable=True,
        client_ou_identifier=unit("client"),
        peer_ou_identifier=unit("peer"),
        admin_ou_identifier=unit("admin"),
        orderer_ou_identifier=unit("orderer"),
    )


def _key_usage(*, certificate_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificate_sign,
        crl_sign=certificate_sign,
        encipher_only=False,
        decipher_only=False,
    )
