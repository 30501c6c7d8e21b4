"""Who signs: a member's certificate with its private key, from PEM or from an MSP directory.

An application that signs elsewhere (a hardware module, another machine) needs the identity only,
or writes a signer of its own: anything with ``creator`` and ``sign(message)`` that answers a DER
signature with ``s`` in the lower half (``DigestSigner`` makes one of a function over digests).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tongban.protos.identities_pb2 import SerializedIdentity
from tongban.protos.signing import KeySigner, PrivateKey, Signer, load_private_key, to_low_s

from .core.signable import Party

__all__ = [
    "DigestSigner",
    "Identity",
    "Signer",
    "SigningIdentity",
    "load_msp_directory",
]


@dataclass(frozen=True, slots=True)
class Identity:
    """A member of a channel: its organization and its certificate. It cannot sign."""

    msp_id: str
    credentials: bytes
    """The certificate, PEM."""
    creator: bytes = field(init=False, repr=False)
    """The serialized identity, as it stands in proposals."""

    def __post_init__(self) -> None:
        serialized = SerializedIdentity(mspid=self.msp_id, id_bytes=self.credentials)
        object.__setattr__(self, "creator", serialized.SerializeToString())


class SigningIdentity:
    """An identity with its private key in this process."""

    def __init__(self, identity: Identity, key: PrivateKey) -> None:
        self.identity = identity
        self._signer = KeySigner(identity.creator, key)

    @classmethod
    def from_pem(cls, msp_id: str, certificate: bytes, private_key: bytes) -> "SigningIdentity":
        """An identity from a PEM certificate and an unencrypted PEM key.

        Raises:
            ValueError: one of them is not readable, or they do not belong together.
        """
        key = load_private_key(private_key)
        if not _belong_together(certificate, key):
            raise ValueError("the private key does not belong to the certificate")
        return cls(Identity(msp_id, certificate), key)

    @property
    def msp_id(self) -> str:
        return self.identity.msp_id

    @property
    def creator(self) -> bytes:
        return self.identity.creator

    def sign(self, message: bytes) -> bytes:
        return self._signer.sign(message)


class DigestSigner:
    """A signer around something that signs SHA-256 digests with ECDSA, such as a hardware module.

    Its DER signatures may have a high ``s``; what comes out has not.
    """

    def __init__(self, identity: Identity, sign_digest: Callable[[bytes], bytes]) -> None:
        certificate = x509.load_pem_x509_certificate(identity.credentials)
        public_key = certificate.public_key()
        if not isinstance(public_key, ec.EllipticCurvePublicKey):
            raise ValueError(f"expected an ECDSA certificate, found {type(public_key).__name__}")
        self._creator = identity.creator
        self._curve = public_key.curve
        self._sign_digest = sign_digest

    @property
    def creator(self) -> bytes:
        return self._creator

    def sign(self, message: bytes) -> bytes:
        return to_low_s(self._sign_digest(hashlib.sha256(message).digest()), self._curve)


def to_party(identity: Identity | Signer, tls_certificate_hash: bytes = b"") -> Party:
    """Who asks: something that can sign, or an identity whose signatures are made elsewhere."""
    sign = None if isinstance(identity, Identity) else identity.sign
    return Party(identity.creator, sign, tls_certificate_hash)


def load_msp_directory(directory: str | Path, msp_id: str) -> SigningIdentity:
    """The identity in ``signcerts/`` with the key of it in ``keystore/``, as cryptogen and
    fabric-ca-client lay them out. Of several keys, the one that fits is taken.

    Raises:
        FileNotFoundError: a folder is missing or empty.
        ValueError: no key fits the certificate.
    """
    certificate = _files(Path(directory) / "signcerts")[0].read_bytes()
    keystore = Path(directory) / "keystore"
    for path in _files(keystore):
        try:
            key = load_private_key(path.read_bytes())
        except ValueError:
            continue
        if _belong_together(certificate, key):
            return SigningIdentity(Identity(msp_id, certificate), key)
    raise ValueError(f"no key in {keystore} belongs to the certificate in signcerts")


def _files(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    if not found:
        raise FileNotFoundError(f"expected a file in {folder}, found none")
    return found


def _belong_together(certificate: bytes, key: PrivateKey) -> bool:
    stated = x509.load_pem_x509_certificate(certificate).public_key()
    encoding = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return stated.public_bytes(*encoding) == key.public_key().public_bytes(*encoding)
