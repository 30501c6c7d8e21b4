"""The one form in which a certificate is compared, hashed and serialized.

A certificate whose own ECDSA signature has a high S is rewritten with the low S, so that nobody can
make a second identity out of one certificate (fabric msp/cert.go).
"""

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import SignatureAlgorithmOID

from tongban.node.core.identity.chains import ChainCertificate
from tongban.protos.signing import GROUP_ORDERS, to_low_s

_ECDSA_ALGORITHMS = frozenset(
    {
        SignatureAlgorithmOID.ECDSA_WITH_SHA1,
        SignatureAlgorithmOID.ECDSA_WITH_SHA256,
        SignatureAlgorithmOID.ECDSA_WITH_SHA384,
        SignatureAlgorithmOID.ECDSA_WITH_SHA512,
    }
)


def is_ecdsa_signed(certificate: x509.Certificate) -> bool:
    return certificate.signature_algorithm_oid in _ECDSA_ALGORITHMS


def sanitize(child: ChainCertificate, issuer: ChainCertificate) -> ChainCertificate:
    """``child`` itself, or its twin with the low S, if ``issuer`` signed with ECDSA."""
    key = issuer.certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in GROUP_ORDERS:
        return child
    signature = to_low_s(child.certificate.signature, key.curve)
    if signature == child.certificate.signature:
        return child
    return ChainCertificate.parse(_with_signature(child, signature), "rewritten certificate")


def _with_signature(child: ChainCertificate, signature: bytes) -> bytes:
    """SEQUENCE of the signed part and the algorithm as they are, and the other signature."""
    content = child.der[_header_size(child.der) :]
    signed = len(child.certificate.tbs_certificate_bytes)
    algorithm = content[signed:]
    algorithm_size = _header_size(algorithm) + _content_size(algorithm)
    body = content[: signed + algorithm_size] + _der(0x03, b"\x00" + signature)
    return _der(0x30, body)


def _header_size(data: bytes) -> int:
    return 2 if data[1] < 0x80 else 2 + (data[1] & 0x7F)


def _content_size(data: bytes) -> int:
    if data[1] < 0x80:
        return data[1]
    return int.from_bytes(data[2 : _header_size(data)], "big")


def _der(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body
