"""Signing and verifying, behind one small interface so that another suite can stand beside this.

ECDSA signs SHA-256 of the message on every curve, as DER, with ``s`` in the lower half of the
group order; a signature with ``s`` in the upper half is refused, since otherwise anybody could make
a second valid signature out of a first (fabric-lib-go bccsp/sw/ecdsa.go). Ed25519 signs the message
itself (fabric msp/identities.go).
"""

from typing import Protocol

from cryptography.exceptions import InvalidSignature as _CryptographyInvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tongban.protos.errors import InvalidSignature

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_SHA256 = ec.ECDSA(hashes.SHA256())
_PREHASHED = ec.ECDSA(Prehashed(hashes.SHA256()))

GROUP_ORDERS: dict[str, int] = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF"
        "581A0DB248B0A77AECEC196ACCC52973",
        16,
    ),
    "secp224r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFF16A2E0B8F03E13DD29455C5C2A3D,
    "secp521r1": int(
        "01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"
        "FFFA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E9138"
        "6409",
        16,
    ),
}
"""Order of the group by the curve's name (FIPS 186-5, section 4.2.1 of SP 800-186)."""

_HALF_ORDERS = {
    name: (order // 2).to_bytes((order.bit_length() + 6) // 8, "big")
    for name, order in GROUP_ORDERS.items()
}
"""The largest ``s`` that is accepted, without leading zeros."""


class Signer(Protocol):
    """Somebody who can sign. ``creator`` is the serialized identity that verifiers will see."""

    @property
    def creator(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes: ...


class KeySigner:
    """Signs with a private key held in this process."""

    def __init__(self, creator: bytes, key: PrivateKey) -> None:
        self._creator = creator
        self._key = key

    @property
    def creator(self) -> bytes:
        return self._creator

    def sign(self, message: bytes) -> bytes:
        return sign(self._key, message)


def sign(key: PrivateKey, message: bytes) -> bytes:
    """A signature over ``message`` that every verifier on the channel accepts."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    return to_low_s(key.sign(message, _SHA256), key.curve)


def to_low_s(signature: bytes, curve: ec.EllipticCurve) -> bytes:
    """The same signature with ``s`` in the lower half of the group order."""
    if _is_plainly_low_s(signature, _HALF_ORDERS[curve.name]):
        return signature
    order = GROUP_ORDERS[curve.name]
    r, s = decode_dss_signature(signature)
    return signature if s <= order // 2 else encode_dss_signature(r, order - s)


def is_low_s(signature: bytes, curve: ec.EllipticCurve) -> bool:
    """Whether ``s`` is in the lower half. Bytes that are not a signature are not."""
    try:
        _, s = decode_dss_signature(signature)
    except ValueError:
        return False
    return s <= GROUP_ORDERS[curve.name] // 2


def verify_signature(
    key: PublicKey, message: bytes, signature: bytes, digest: bytes | None = None
) -> None:
    """Return if the signature holds. ``digest`` is the message's SHA-256, if it is known already.

    Raises:
        InvalidSignature: it does not, or its ``s`` is in the upper half.
    """
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, message)
            return
        name = key.curve.name
        if not _is_plainly_low_s(signature, _HALF_ORDERS[name]):
            r, s = _read_signature(signature)
            if s > GROUP_ORDERS[name] // 2:
                raise InvalidSignature("expected a DER signature with low S")
            signature = encode_dss_signature(r, s)
        if digest is None:
            key.verify(signature, message, _SHA256)
        else:
            key.verify(signature, digest, _PREHASHED)
    except _CryptographyInvalidSignature:
        raise InvalidSignature("the signature does not match the message and the key") from None


def _is_plainly_low_s(data: bytes, half: bytes) -> bool:
    """Whether this has the form that signers give, with no byte too many, and ``s`` is at most
    ``half``. What else may be wrong with such bytes, the library refuses as Go does: numbers that
    are zero, negative or padded."""
    if len(data) < 8 or data[0] != 0x30 or data[1] != len(data) - 2 or data[1] >= 0x80:
        return False
    at = 4 + data[3]
    s = data[at + 2 :]
    return (
        0 < len(s) <= len(half)
        and data[2] == data[at] == 0x02
        and data[at + 1] == len(s)
        and (len(s) < len(half) or s <= half)
    )


def _read_signature(data: bytes) -> tuple[int, int]:
    """The numbers of a DER signature, read as leniently as Go's encoding/asn1 does for every Fabric
    node (fabric-lib-go bccsp/utils/ecdsa.go): bytes after them count for nothing, whether inside
    the SEQUENCE or behind it. Were we stricter, one peer would call a transaction valid and another
    would not.

    Raises:
        InvalidSignature: there are no two positive integers.
    """
    try:
        return decode_dss_signature(data)
    except ValueError:
        pass
    content, _ = _read_element(data, 0x30)
    first, rest = _read_element(content, 0x02)
    second, _ = _read_element(rest, 0x02)
    r, s = (int.from_bytes(one, "big", signed=True) for one in (first, second))
    if r <= 0 or s <= 0:
        raise InvalidSignature("expected positive numbers in the signature")
    return r, s


def _read_element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Content of the DER element that the data starts with, and what follows it."""
    malformed = InvalidSignature("expected a DER signature")
    if len(data) < 2 or data[0] != tag:
        raise malformed
    size, start = data[1], 2
    if size >= 0x80:
        start += size & 0x7F
        digits = data[2:start]
        if not 1 <= len(digits) <= 3 or digits[0] == 0:
            raise malformed
        size = int.from_bytes(digits, "big")
        if size < 0x80:
            raise malformed
    content = data[start : start + size]
    if len(data) < start + size:
        raise malformed
    if tag == 0x02 and not _is_minimal_integer(content):
        raise malformed
    return content, data[start + size :]


def _is_minimal_integer(content: bytes) -> bool:
    if len(content) < 2:
        return len(content) == 1
    return not (content[0] == 0 and content[1] < 0x80) and not (
        content[0] == 0xFF and content[1] >= 0x80
    )


def load_private_key(pem: bytes) -> PrivateKey:
    """Read an unencrypted PEM private key of a kind that can sign here.

    Raises:
        ValueError: it is not one; the text names no part of the key.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise ValueError("expected an unencrypted PEM private key (PKCS#8 or SEC1)") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise ValueError(f"expected an ECDSA or Ed25519 key, found {type(key).__name__}")
    return key
