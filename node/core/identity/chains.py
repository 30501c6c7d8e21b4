"""Which chains of certificates lead from one certificate to a root that an MSP trusts.

The rules are those of Go's crypto/x509 as Fabric uses it (msp/mspimpl.go): the clock stands one
second after the certificate's own notBefore, so an expired certificate still has its chain while a
CA that was not yet valid when it issued does not; key usages, path lengths, name constraints and
extended key usages (server authentication, where a certificate restricts itself) hold.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from tongban.node.core.identity.name_constraints import permits_names
from tongban.protos.certificates import parse_certificate
from tongban.protos.errors import TongbanError

SIGNATURE_CHECKS_MAX = 100
"""Signatures checked while chains of one certificate are sought (Go's limit), so that a tangle of
certificates with one name cannot keep a node busy."""

_HANDLED_EXTENSIONS = frozenset(
    {
        ExtensionOID.KEY_USAGE,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
    }
)
"""A critical extension outside this set makes a certificate unusable (RFC 5280, section 4.2)."""

_REFUSED_HASHES = frozenset({"md5", "sha1"})


E = TypeVar("E", bound=x509.ExtensionType)


class ChainCertificate:
    """A certificate with what the search for chains asks again and again."""

    __slots__ = (
        "certificate",
        "constrained",
        "der",
        "extensions",
        "is_ca",
        "issuer",
        "may_sign",
        "not_after",
        "not_before",
        "path_length",
        "serves",
        "subject",
        "subject_key_id",
        "understood",
    )

    def __init__(self, certificate: x509.Certificate, der: bytes) -> None:
        self.certificate = certificate
        self.der = der
        self.subject = certificate.subject.public_bytes()
        self.issuer = certificate.issuer.public_bytes()
        self.not_before: datetime = certificate.not_valid_before_utc
        self.not_after: datetime = certificate.not_valid_after_utc
        self.extensions = {found.oid: found for found in certificate.extensions}
        constraints = self.find(x509.BasicConstraints)
        self.is_ca = constraints is not None and constraints.ca
        self.path_length = constraints.path_length if constraints is not None else None
        usage = self.find(x509.KeyUsage)
        self.may_sign = self.is_ca and (usage is None or usage.key_cert_sign)
        extended = self.find(x509.ExtendedKeyUsage)
        self.serves = extended is None or any(
            oid in (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
            for oid in extended
        )
        key_id = self.find(x509.SubjectKeyIdentifier)
        self.subject_key_id = key_id.digest if key_id is not None else None
        self.constrained = x509.NameConstraints.oid in self.extensions
        self.understood = not any(
            found.critical and found.oid not in _HANDLED_EXTENSIONS
            for found in self.extensions.values()
        )

    def find(self, kind: type[E]) -> E | None:
        """The extension of this kind, if the certificate has one."""
        found = self.extensions.get(kind.oid)
        if found is None:
            return None
        assert isinstance(found.value, kind)
        return found.value

    @classmethod
    def parse(cls, der: bytes, what: str) -> "ChainCertificate":
        """Read a certificate.

        Raises:
            MalformedMessage: the bytes are not one.
        """
        return cls(parse_certificate(der, what), der)


Chain = tuple[ChainCertificate, ...]
"""From a certificate up to its root."""


class TrustStore:
    """Roots and intermediates of one organization, by subject."""

    def __init__(
        self, roots: Iterable[ChainCertificate], intermediates: Iterable[ChainCertificate]
    ) -> None:
        self._roots = _by_subject(roots)
        self._intermediates = _by_subject(intermediates)
        self._root_ders = {root.der for same in self._roots.values() for root in same}

    def chains(self, leaf: ChainCertificate) -> list[Chain]:
        """Every chain from ``leaf`` to a root, in no meaningful order; a root has itself."""
        moment = leaf.not_before + timedelta(seconds=1)
        if not _is_usable(leaf, moment):
            return []
        if leaf.der in self._root_ders:
            return [(leaf,)]
        search = _Search(self._roots, self._intermediates, moment)
        return [chain for chain in search.extend((leaf,)) if all(one.serves for one in chain)]

    def only_chain(self, leaf: ChainCertificate) -> Chain:
        """The one chain that ``leaf`` has.

        Raises:
            NoSingleChain: it has none, or more than one.
        """
        chains = self.chains(leaf)
        if not chains:
            raise NoSingleChain("the certificate has no valid chain to a CA of its MSP")
        if len(chains) > 1:
            raise NoSingleChain(f"expected a single chain to a CA, found {len(chains)}")
        if _hides_a_host_name(chains[0]):
            raise NoSingleChain("a CA constrains names, and the host name is not in a SAN")
        return chains[0]


class NoSingleChain(TongbanError):
    """A certificate does not have exactly one chain to a root."""


class _Search:
    """One depth-first walk from a certificate upwards."""

    def __init__(
        self,
        roots: dict[bytes, list[ChainCertificate]],
        intermediates: dict[bytes, list[ChainCertificate]],
        moment: datetime,
    ) -> None:
        self._roots = roots
        self._intermediates = intermediates
        self._moment = moment
        self._checks_left = SIGNATURE_CHECKS_MAX

    def extend(self, chain: Chain) -> Iterator[Chain]:
        issuer = chain[-1].issuer
        for root in self._roots.get(issuer, ()):
            if self._may_follow(root, chain):
                yield (*chain, root)
        for intermediate in self._intermediates.get(issuer, ()):
            if self._may_follow(intermediate, chain):
                yield from self.extend((*chain, intermediate))

    def _may_follow(self, parent: ChainCertificate, chain: Chain) -> bool:
        if any(_is_same_entity(parent, one) for one in chain):
            return False
        self._checks_left -= 1
        if self._checks_left < 0 or not _is_issued_by(chain[-1], parent):
            return False
        below = len(chain) - 1
        if parent.path_length is not None and below > parent.path_length:
            return False
        return _is_usable(parent, self._moment) and _permits_leaf(parent, chain[0])


def is_self_signed(certificate: ChainCertificate) -> bool:
    """Whether a CA signed its own certificate."""
    return _is_issued_by(certificate, certificate)


def _by_subject(certificates: Iterable[ChainCertificate]) -> dict[bytes, list[ChainCertificate]]:
    pool: dict[bytes, list[ChainCertificate]] = {}
    for certificate in {one.der: one for one in certificates}.values():
        pool.setdefault(certificate.subject, []).append(certificate)
    return pool


def _is_usable(certificate: ChainCertificate, moment: datetime) -> bool:
    return certificate.understood and certificate.not_before <= moment <= certificate.not_after


def _is_issued_by(child: ChainCertificate, parent: ChainCertificate) -> bool:
    if not parent.may_sign:
        return False
    try:
        digest = child.certificate.signature_hash_algorithm
        if digest is not None and digest.name in _REFUSED_HASHES:
            return False
        child.certificate.verify_directly_issued_by(parent.certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_same_entity(one: ChainCertificate, other: ChainCertificate) -> bool:
    if one.subject != other.subject:
        return False
    if one.der == other.der:
        return True
    names = x509.SubjectAlternativeName
    return _key_bytes(one) == _key_bytes(other) and one.find(names) == other.find(names)


def _key_bytes(certificate: ChainCertificate) -> bytes:
    try:
        key = certificate.certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return certificate.der
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _permits_leaf(parent: ChainCertificate, leaf: ChainCertificate) -> bool:
    constraints = parent.find(x509.NameConstraints)
    names = leaf.find(x509.SubjectAlternativeName)
    return constraints is None or names is None or permits_names(constraints, names)


_HOST_LABEL = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_:-]*")


def _hides_a_host_name(chain: Chain) -> bool:
    """Whether a constrained CA stands above a leaf whose common name is a host name that no SAN
    repeats (fabric msp/mspimpl.go, verifyLegacyNameConstraints)."""
    leaf = chain[0]
    if not any(ca.constrained for ca in chain[1:]) or leaf.find(x509.SubjectAlternativeName):
        return False
    names = leaf.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    host = str(names[-1].value).removesuffix(".") if names else ""
    labels = host.split(".")
    first_is_fine = labels[0] == "*" or _HOST_LABEL.fullmatch(labels[0]) is not None
    return first_is_fine and all(_HOST_LABEL.fullmatch(label) for label in labels[1:])
