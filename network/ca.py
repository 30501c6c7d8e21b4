"""A certificate authority for one organization: a root, and the certificates it issues.

Certificates are P-256 with ECDSA and SHA-256, carry the role as organizational unit (NodeOUs), and
have random serial numbers of 128 bits. Private keys are PKCS#8 files of mode 0600. Validity starts
five minutes in the past, since clocks differ. (RFC 5280; fabric internal/cryptogen/ca)
"""

import datetime as dt
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tongban.protos.certificates import ATTRIBUTES_OID
from tongban.protos.signing import to_low_s

BACKDATING = dt.timedelta(minutes=5)
CA_VALIDITY = dt.timedelta(days=10 * 365)
CERTIFICATE_VALIDITY = dt.timedelta(days=5 * 365)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    private_key: bytes


@dataclass(frozen=True, slots=True)
class Subject:
    """Who gets a certificate. ``role`` is the organizational unit, empty for TLS."""

    common_name: str
    role: str = ""
    organization: str = ""
    extra_units: tuple[str, ...] = ()


class CertificateAuthority:
    """Issues certificates under one self-signed root."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(
        cls, common_name: str, organization: str, now: dt.datetime
    ) -> "CertificateAuthority":
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(Subject(common_name, organization=organization))
        builder = (
            _builder(name, name, key.public_key(), now, CA_VALIDITY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
                ),
                critical=False,
            )
        )
        return cls(_sign(builder, key, key.public_key()), key)

    @classmethod
    def load(cls, issued: IssuedKey) -> "CertificateAuthority":
        key = serialization.load_pem_private_key(issued.private_key, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("expected an ECDSA key for the certificate authority")
        return cls(x509.load_pem_x509_certificate(issued.certificate), key)

    @property
    def certificate_pem(self) -> bytes:
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def export(self) -> IssuedKey:
        return IssuedKey(self.certificate_pem, _private_pem(self._key))

    def issue_identity(
        self, subject: Subject, now: dt.datetime, attributes: bytes = b""
    ) -> IssuedKey:
        """A certificate to sign with. ``attributes`` is the JSON of Fabric CA's extension."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._leaf(subject, key, now).add_extension(_key_usage(), critical=True)
        if attributes:
            builder = builder.add_extension(
                x509.UnrecognizedExtension(ATTRIBUTES_OID, attributes), critical=False
            )
        return self._finish(builder, key)

    def issue_tls(self, subject: Subject, names: Sequence[str], now: dt.datetime) -> IssuedKey:
        """A certificate for TLS servers and clients, with host names or addresses as SANs."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._leaf(subject, key, now).add_extension(
            _key_usage(encrypts_keys=True), critical=True
        )
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if names:
            sans = [_general_name(name) for name in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
        return self._finish(builder, key)

    def _leaf(
        self, subject: Subject, key: ec.EllipticCurvePrivateKey, now: dt.datetime
    ) -> x509.CertificateBuilder:
        return (
            _builder(
                self._certificate.subject,
                _name(subject),
                key.public_key(),
                now,
                CERTIFICATE_VALIDITY,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )

    def _finish(
        self, builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey
    ) -> IssuedKey:
        certificate = _sign(builder, self._key, self._key.public_key())
        return IssuedKey(certificate.public_bytes(serialization.Encoding.PEM), _private_pem(key))


def _sign(
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    public_key: ec.EllipticCurvePublicKey,
) -> x509.Certificate:
    """Signs until the signature has low S, as Fabric's own authorities do, so that nodes need not
    rewrite the certificate (fabric msp/cert.go)."""
    while True:
        certificate = builder.sign(key, hashes.SHA256())
        if to_low_s(certificate.signature, public_key.curve) == certificate.signature:
            return certificate


def _builder(
    issuer: x509.Name,
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: dt.datetime,
    validity: dt.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(secrets.randbits(127) | 1)
        .not_valid_before(now - BACKDATING)
        .not_valid_after(now - BACKDATING + validity)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(subject: Subject) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COUNTRY_NAME, "CN")]
    if subject.organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, subject.organization))
    units = [unit for unit in (subject.role, *subject.extra_units) if unit]
    parts += [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units]
    parts.append(x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name))
    return x509.Name(parts)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(signs_certificates: bool = False, encrypts_keys: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=encrypts_keys or signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
