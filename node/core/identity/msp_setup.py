"""From an organization's definition to the trust that identities are read against.

Follows fabric msp/mspimplsetup.go with the rules of channel capability V1_4_3 and later: CA
certificates are rewritten to low S, must be CAs with a subject key id and one chain, and must not
be revoked; a certifier of a unit is named by the digest over its chain.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from tongban.node.core.errors import InvalidMspConfig
from tongban.node.core.identity.chains import (
    Chain,
    ChainCertificate,
    NoSingleChain,
    TrustStore,
    is_self_signed,
)
from tongban.node.core.identity.revocation import RevocationList, parse_revocation_list
from tongban.node.core.identity.sanitize import is_ecdsa_signed, sanitize
from tongban.protos.certificates import certificate_der
from tongban.protos.errors import LimitExceeded, MalformedMessage
from tongban.protos.msp_config_pb2 import FabricMSPConfig, FabricOUIdentifier

DIGESTS = {
    "": "sha256",
    "SHA256": "sha256",
    "SHA384": "sha384",
    "SHA3_256": "sha3_256",
    "SHA3_384": "sha3_384",
}
"""Names of digests in an MSP definition, and Python's names for them."""


@dataclass(frozen=True, slots=True)
class NodeUnits:
    """Which unit makes a client, peer, admin or orderer; None where the definition says nothing."""

    client: str | None = None
    peer: str | None = None
    admin: str | None = None
    orderer: str | None = None
    certifiers: dict[str, bytes] = field(default_factory=dict)
    """By unit, the digest of the only chain that may certify it; empty means any chain."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What an organization's definition says about trust, ready for use."""

    mspid: str
    store: TrustStore
    inner_nodes: frozenset[bytes]
    """DER of the CAs that have configured CAs below them; they issue no identities."""
    revocations: tuple[RevocationList, ...]
    digest: str
    """Python's name of the digest that identifies certificates and chains."""
    node_units: NodeUnits | None
    """None if units do not make roles here."""
    unit_certifiers: dict[str, frozenset[bytes]]
    """Units of which an identity must have one, if there are any."""
    tls_roots: tuple[bytes, ...]
    tls_intermediates: tuple[bytes, ...]

    def certifiers_digest(self, chain: Iterable[ChainCertificate]) -> bytes:
        """What identifies the CAs of a chain in a unit principal."""
        return hashlib.new(self.digest, b"".join(one.der for one in chain)).digest()


def set_up_trust(config: FabricMSPConfig) -> Trust:
    """Everything but the listed admins, who are identities themselves.

    Raises:
        InvalidMspConfig: the definition cannot be used.
    """
    mspid = config.name
    if not mspid:
        raise InvalidMspConfig("(unnamed)", "expected a name, found none")
    try:
        return _set_up(mspid, config)
    except (NoSingleChain, MalformedMessage, LimitExceeded) as error:
        raise InvalidMspConfig(mspid, str(error)) from None


def _set_up(mspid: str, config: FabricMSPConfig) -> Trust:
    digest = _digest_name(mspid, config)
    roots, intermediates = _sanitized_cas(mspid, config)
    store = TrustStore(roots, intermediates)
    revocations = tuple(parse_revocation_list(text) for text in config.revocation_list)
    inner: set[bytes] = set()
    for authority in (*roots, *intermediates):
        chain = check_authority(mspid, authority, store, revocations)
        if authority in intermediates:
            inner.update(one.der for one in chain[1:])
    _check_tls(mspid, config, revocations)
    trust = Trust(
        mspid=mspid,
        store=store,
        inner_nodes=frozenset(inner),
        revocations=revocations,
        digest=digest,
        node_units=None,
        unit_certifiers={},
        tls_roots=tuple(config.tls_root_certs),
        tls_intermediates=tuple(config.tls_intermediate_certs),
    )
    certifiers = _Certifiers(trust, {one.der for one in roots}, {one.der for one in intermediates})
    units: dict[str, set[bytes]] = {}
    for unit in config.organizational_unit_identifiers:
        found = units.setdefault(unit.organizational_unit_identifier, set())
        found.add(certifiers.digest(unit.certificate))
    return Trust(
        mspid=mspid,
        store=store,
        inner_nodes=trust.inner_nodes,
        revocations=revocations,
        digest=digest,
        node_units=_node_units(config, certifiers),
        unit_certifiers={unit: frozenset(found) for unit, found in units.items()},
        tls_roots=trust.tls_roots,
        tls_intermediates=trust.tls_intermediates,
    )


def _digest_name(mspid: str, config: FabricMSPConfig) -> str:
    if config.crypto_config.signature_hash_family not in ("", "SHA2"):
        found = config.crypto_config.signature_hash_family
        raise InvalidMspConfig(mspid, f"expected signature hash family SHA2, found {found}")
    name = config.crypto_config.identity_identifier_hash_function
    if name not in DIGESTS:
        raise InvalidMspConfig(mspid, f"expected one of {', '.join(DIGESTS)[2:]}, found {name}")
    return DIGESTS[name]


def _sanitized_cas(
    mspid: str, config: FabricMSPConfig
) -> tuple[list[ChainCertificate], list[ChainCertificate]]:
    if not config.root_certs:
        raise InvalidMspConfig(mspid, "expected at least one CA certificate")
    roots = [_parse(text, "root certificate") for text in config.root_certs]
    intermediates = [_parse(text, "intermediate certificate") for text in config.intermediate_certs]
    raw = TrustStore(roots, intermediates)
    return (
        [sanitize_certificate(root, raw) for root in roots],
        [sanitize_certificate(one, raw) for one in intermediates],
    )


def sanitize_certificate(certificate: ChainCertificate, store: TrustStore) -> ChainCertificate:
    """The certificate in its one form.

    Raises:
        NoSingleChain: it is signed with ECDSA and has no single chain, so that the key which
            signed it is not known.
    """
    if not is_ecdsa_signed(certificate.certificate):
        return certificate
    if is_self_signed(certificate):
        return sanitize(certificate, certificate)
    chain = store.only_chain(certificate)
    if len(chain) < 2:
        raise NoSingleChain("a root certificate is not that of a CA which signed itself")
    return sanitize(certificate, chain[1])


def check_authority(
    mspid: str,
    authority: ChainCertificate,
    store: TrustStore,
    revocations: tuple[RevocationList, ...],
) -> Chain:
    """The chain of a CA that may be trusted.

    Raises:
        InvalidMspConfig: it is no CA, has no subject key id, or is revoked.
        NoSingleChain: it does not lead to one root.
    """
    serial = f"{authority.certificate.serial_number:x}"
    if not authority.is_ca:
        raise InvalidMspConfig(mspid, f"certificate {serial} is not a CA's")
    if authority.subject_key_id is None:
        raise InvalidMspConfig(mspid, f"CA certificate {serial} has no subject key identifier")
    chain = store.only_chain(authority)
    if len(chain) > 1:
        for revocation in revocations:
            if revocation.authority_key_id is None:
                raise InvalidMspConfig(mspid, "a revocation list names no authority")
            if revocation.revokes(authority, chain[1]):
                raise InvalidMspConfig(mspid, f"CA certificate {serial} has been revoked")
    return chain


def _check_tls(
    mspid: str, config: FabricMSPConfig, revocations: tuple[RevocationList, ...]
) -> None:
    roots = [_parse(text, "TLS root certificate") for text in config.tls_root_certs]
    below = [_parse(text, "TLS intermediate") for text in config.tls_intermediate_certs]
    store = TrustStore(roots, below)
    for authority in (*roots, *below):
        check_authority(mspid, authority, store, revocations)


class _Certifiers:
    """Names the CAs of a definition by the digest over their chains."""

    def __init__(self, trust: Trust, roots: set[bytes], intermediates: set[bytes]) -> None:
        self._trust = trust
        self._roots = roots
        self._intermediates = intermediates

    def digest(self, text: bytes) -> bytes:
        certificate = sanitize_certificate(_parse(text, "unit certifier"), self._trust.store)
        if certificate.der in self._roots:
            return self._trust.certifiers_digest([certificate])
        if certificate.der not in self._intermediates:
            raise InvalidMspConfig(
                self._trust.mspid, "a unit's certifier is none of the configured CAs"
            )
        chain = self._trust.store.only_chain(certificate)
        if certificate.der in self._trust.inner_nodes:
            raise NoSingleChain("a unit's certifier has configured CAs below it")
        return self._trust.certifiers_digest(chain)


def _node_units(config: FabricMSPConfig, certifiers: _Certifiers) -> NodeUnits | None:
    units = config.fabric_node_ous
    if not units.enable:
        return None
    found: dict[str, bytes] = {}

    def name(kind: str, unit: FabricOUIdentifier) -> str | None:
        if not units.HasField(kind):  # type: ignore[arg-type]  # one of the four fields below
            return None
        digest = certifiers.digest(unit.certificate) if unit.certificate else b""
        found[unit.organizational_unit_identifier] = digest
        return unit.organizational_unit_identifier

    names = NodeUnits(
        client=name("client_ou_identifier", units.client_ou_identifier),
        peer=name("peer_ou_identifier", units.peer_ou_identifier),
        admin=name("admin_ou_identifier", units.admin_ou_identifier),
        orderer=name("orderer_ou_identifier", units.orderer_ou_identifier),
        certifiers=found,
    )
    return names if found else None


def _parse(text: bytes, what: str) -> ChainCertificate:
    return ChainCertificate.parse(certificate_der(text, what), what)
