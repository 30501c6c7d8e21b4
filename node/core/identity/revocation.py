"""Certificate revocation lists: which serial numbers a CA no longer stands behind.

A list counts for the CA whose subject key id it names as its authority, and only if that CA signed
it (fabric msp/mspimplvalidate.go). Its dates are not looked at: it applies from the moment the
definition that holds it is in force.
"""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from tongban.node.core.identity.chains import ChainCertificate
from tongban.protos.certificates import read_pem
from tongban.protos.errors import MalformedMessage

_SIGNING_KEYS = (
    dsa.DSAPublicKey,
    ec.EllipticCurvePublicKey,
    ed25519.Ed25519PublicKey,
    ed448.Ed448PublicKey,
    rsa.RSAPublicKey,
)


class RevocationList:
    """One list."""

    __slots__ = ("_list", "authority_key_id")

    def __init__(self, found: x509.CertificateRevocationList) -> None:
        self._list = found
        try:
            authority = found.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
            self.authority_key_id = authority.value.key_identifier
        except x509.ExtensionNotFound:
            self.authority_key_id = None
        """None makes every certificate under the definition invalid, as in Fabric."""

    def revokes(self, certificate: ChainCertificate, issuer: ChainCertificate) -> bool:
        """Whether this list takes back a certificate that ``issuer`` issued."""
        if self.authority_key_id is None or self.authority_key_id != issuer.subject_key_id:
            return False
        serial = certificate.certificate.serial_number
        if self._list.get_revoked_certificate_by_serial_number(serial) is None:
            return False
        key = issuer.certificate.public_key()
        if not isinstance(key, _SIGNING_KEYS):
            return False
        try:
            return self._list.is_signature_valid(key)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return False


def parse_revocation_list(text: bytes) -> RevocationList:
    """Read a list from PEM or DER.

    Raises:
        MalformedMessage: it is neither.
    """
    block = next(read_pem(text), None)
    try:
        found = x509.load_der_x509_crl(block.content if block is not None else text)
        _ = found.extensions
    except (ValueError, x509.DuplicateExtension) as error:
        raise MalformedMessage("revocation list", f"not an X.509 CRL: {error}") from None
    return RevocationList(found)
