"""An identity: who somebody claims to be, read against the organization that is claimed.

Reading an identity does not say that it is valid; that is asked of its MSP, and only when a
principal is tested. The clock is not asked here at all: a certificate that has expired still
explains the signatures it made, so expiry is a question of its own.
"""

import hashlib
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tongban.node.core.identity.chains import ChainCertificate
from tongban.protos.certificates import certificate_pem, organizational_units
from tongban.protos.errors import InvalidSignature
from tongban.protos.identities_pb2 import SerializedIdentity
from tongban.protos.signing import GROUP_ORDERS, PublicKey, verify_signature


class Identity:
    """An MSP id and a certificate. Compares by object; ``id`` is what tells persons apart."""

    __slots__ = (
        "_key",
        "certificate",
        "chain_certificate",
        "der",
        "id",
        "mspid",
        "not_after",
        "ous",
        "serialized",
        "units",
    )

    def __init__(
        self, mspid: str, serialized: bytes, certificate: ChainCertificate, digest: str
    ) -> None:
        self.mspid = mspid
        self.serialized = serialized
        """The bytes as received, which signatures and transaction ids cover."""
        self.chain_certificate = certificate
        self.certificate: x509.Certificate = certificate.certificate
        self.der = certificate.der
        """With the low S, so that one certificate has one form."""
        self.id = mspid + digest
        self.units = organizational_units(self.certificate)
        self.ous = frozenset(self.units)
        self.not_after: datetime = certificate.not_after
        self._key = _find_key(self.certificate)

    def __repr__(self) -> str:
        return f"<Identity {self.mspid} {self.subject}>"

    @property
    def subject(self) -> str:
        """The subject as text, for people."""
        return self.certificate.subject.rfc4514_string()

    @property
    def public_key(self) -> PublicKey:
        """The key that signatures are checked with.

        Raises:
            InvalidSignature: the certificate holds a key of a kind that cannot sign here.
        """
        if self._key is None:
            raise InvalidSignature("expected an ECDSA or Ed25519 key in the certificate")
        return self._key

    @property
    def has_usable_key(self) -> bool:
        return self._key is not None

    @property
    def has_ed25519_key(self) -> bool:
        return isinstance(self._key, ed25519.Ed25519PublicKey)

    def verify(self, message: bytes, signature: bytes, digest: bytes | None = None) -> None:
        """Return if this identity signed the message, whose SHA-256 may be given.

        Raises:
            InvalidSignature: it did not.
        """
        verify_signature(self.public_key, message, signature, digest)


def is_expired(identity: Identity, now: datetime) -> bool:
    """Whether the certificate's last moment has passed. ``now`` must know its time zone."""
    return now > identity.not_after


def serialize_identity(mspid: str, certificate_text: bytes) -> bytes:
    """The wire form of an identity, with the PEM as given."""
    return SerializedIdentity(mspid=mspid, id_bytes=certificate_text).SerializeToString()


def canonical_serialized(identity: Identity) -> bytes:
    """The form in which a node writes its own identity: PEM made again from the low-S DER."""
    return serialize_identity(identity.mspid, certificate_pem(identity.der))


def certificate_digest(der: bytes, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, der).hexdigest()


def _find_key(certificate: x509.Certificate) -> PublicKey | None:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key if key.curve.name in GROUP_ORDERS else None
    return key if isinstance(key, ed25519.Ed25519PublicKey) else None
