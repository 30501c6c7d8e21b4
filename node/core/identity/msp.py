"""One organization's judgement on identities: can it be read, is it valid, whom does it satisfy.

An identity is valid if its key is of an accepted kind, it is no CA, it has exactly one chain to a
root through a CA that has no configured CA below it, it is not revoked, and its units are in order
(fabric msp/mspimpl.go, mspimplvalidate.go). Expiry plays no part.
"""

from typing import NamedTuple, assert_never

from tongban.node.core.errors import InvalidIdentity, InvalidMspConfig, UnknownIdentity
from tongban.node.core.identity.chains import Chain, ChainCertificate, NoSingleChain
from tongban.node.core.identity.identity import Identity, certificate_digest, serialize_identity
from tongban.node.core.identity.msp_setup import Trust, sanitize_certificate, set_up_trust
from tongban.node.core.identity.principals import (
    AnyonePrincipal,
    CombinedPrincipals,
    IdentityPrincipal,
    NobodyPrincipal,
    Principal,
    RolePrincipal,
    UnitPrincipal,
    parse_principal,
)
from tongban.node.core.lru import LruCache
from tongban.protos import codec
from tongban.protos.certificates import certificate_der
from tongban.protos.errors import LimitExceeded, MalformedMessage
from tongban.protos.identities_pb2 import SerializedIdentity
from tongban.protos.msp_config_pb2 import FabricMSPConfig, MSPConfig
from tongban.protos.msp_principal_pb2 import MSPPrincipal, MSPRole

STANDINGS_MAX = 4_096
"""Identities of one organization whose validity is remembered, a few hundred bytes each."""

ANSWERS_MAX = 16_384
"""Pairs of identity and principal whose answer is remembered."""


class _Standing(NamedTuple):
    """What the organization says of one identity."""

    refusal: str
    """Empty if the identity is valid."""
    certifiers: bytes
    """Digest over the chain from its issuer upwards; empty if it has none."""


class Msp:
    """The MSP of one organization."""

    def __init__(self, trust: Trust, *, ed25519: bool) -> None:
        self._trust = trust
        self._ed25519 = ed25519
        self._admins: frozenset[bytes] = frozenset()
        self._standings: LruCache[str, _Standing] = LruCache(STANDINGS_MAX)
        self._answers: LruCache[tuple[str, Principal], int] = LruCache(ANSWERS_MAX)

    @classmethod
    def from_config(cls, config: MSPConfig | bytes, *, ed25519: bool = False) -> "Msp":
        """The MSP of a definition. ``ed25519`` accepts such keys, as channel capability V3_0 does.

        Raises:
            InvalidMspConfig: the definition cannot be used.
        """
        try:
            outer = codec.parse(MSPConfig, config) if isinstance(config, bytes) else config
            if outer.type != 0:
                raise InvalidMspConfig("(unread)", f"expected type 0, X.509; found {outer.type}")
            inner = codec.parse(FabricMSPConfig, outer.config)
        except MalformedMessage as error:
            raise InvalidMspConfig("(unread)", str(error)) from None
        msp = cls(set_up_trust(inner), ed25519=ed25519)
        msp._set_up_admins(inner)
        return msp

    @property
    def mspid(self) -> str:
        return self._trust.mspid

    @property
    def tls_roots(self) -> tuple[bytes, ...]:
        """PEM of the CAs that the organization's TLS certificates come from."""
        return self._trust.tls_roots

    @property
    def tls_intermediates(self) -> tuple[bytes, ...]:
        return self._trust.tls_intermediates

    def deserialize(self, serialized: bytes) -> Identity:
        """Read an identity of this organization. It need not be valid.

        Raises:
            UnknownIdentity: the bytes are no identity, or of another organization, or the
                certificate is signed with ECDSA by none of the organization's CAs.
        """
        message = parse_serialized(serialized)
        if message.mspid != self.mspid:
            raise UnknownIdentity(
                message.mspid, f"expected MSP ID {self.mspid}, received {message.mspid}"
            )
        return self.read(serialized, message.id_bytes)

    def read(self, serialized: bytes, certificate_text: bytes) -> Identity:
        """As :meth:`deserialize`, for bytes that were taken apart already."""
        try:
            der = certificate_der(certificate_text)
            received = ChainCertificate.parse(der, "certificate")
            certificate = sanitize_certificate(received, self._trust.store)
        except (MalformedMessage, LimitExceeded, NoSingleChain) as error:
            raise UnknownIdentity(self.mspid, str(error)) from None
        digest = certificate_digest(certificate.der, self._trust.digest)
        return Identity(self.mspid, serialized, certificate, digest)

    def validate(self, identity: Identity) -> None:
        """Return if the organization stands behind the identity.

        Raises:
            InvalidIdentity: it does not.
        """
        standing = self._standing(identity)
        if standing.refusal:
            raise InvalidIdentity(self.mspid, identity.subject, standing.refusal)

    def is_valid(self, identity: Identity) -> bool:
        return not self._standing(identity).refusal

    def satisfies(self, identity: Identity, principal: Principal | MSPPrincipal) -> bool:
        """Whether the identity, one of this organization's, is whom the principal names."""
        if isinstance(principal, MSPPrincipal):
            principal = parse_principal(principal)
        key = (identity.id, principal)
        answer = self._answers.find(key)
        if answer is None:
            answer = int(self._satisfies(identity, principal))
            self._answers.put(key, answer)
        return answer == 1

    def _satisfies(self, identity: Identity, principal: Principal) -> bool:
        match principal:
            case RolePrincipal():
                return principal.mspid == self.mspid and self._has_role(identity, principal.role)
            case UnitPrincipal():
                standing = self._standing(identity)
                return (
                    principal.mspid == self.mspid
                    and not standing.refusal
                    and principal.unit in identity.ous
                    and principal.certifiers == standing.certifiers
                )
            case IdentityPrincipal():
                return self._is_named(identity, principal)
            case AnyonePrincipal():
                return True
            case CombinedPrincipals():
                return all(self._satisfies(identity, part) for part in principal.parts)
            case NobodyPrincipal():
                return False
            case _:
                assert_never(principal)

    def _has_role(self, identity: Identity, role: int) -> bool:
        units = self._trust.node_units
        if role == MSPRole.MEMBER:
            return self.is_valid(identity)
        if role == MSPRole.ADMIN and identity.der in self._admins:
            return True  # listed admins were judged when the definition was read
        if units is None:
            return False
        unit_by_role: dict[int, str | None] = {
            MSPRole.ADMIN: units.admin,
            MSPRole.CLIENT: units.client,
            MSPRole.PEER: units.peer,
            MSPRole.ORDERER: units.orderer,
        }
        unit = unit_by_role.get(role)
        return unit is not None and self.is_valid(identity) and unit in identity.ous

    def _is_named(self, identity: Identity, principal: IdentityPrincipal) -> bool:
        try:
            named = self.deserialize(principal.serialized)
        except UnknownIdentity:
            return False
        return named.der == identity.der and self.is_valid(named)

    def _standing(self, identity: Identity) -> _Standing:
        assert identity.mspid == self.mspid
        standing = self._standings.find(identity.id)
        if standing is None:
            standing = self._judge(identity)
            self._standings.put(identity.id, standing)
        return standing

    def _judge(self, identity: Identity) -> _Standing:
        certificate = identity.chain_certificate
        if certificate.is_ca:
            return _Standing("a CA certificate cannot be used as an identity", b"")
        try:
            chain = self._trust.store.only_chain(certificate)
        except NoSingleChain as error:
            return _Standing(str(error), b"")
        if len(chain) < 2:
            return _Standing("expected a chain of length at least 2, found a root", b"")
        if chain[1].der in self._trust.inner_nodes:
            return _Standing("its issuer has configured CAs below it and may not issue it", b"")
        certifiers = self._trust.certifiers_digest(chain[1:])
        refusal = (
            self._key_refusal(identity)
            or self._revocation_refusal(chain)
            or self._unit_refusal(identity, certifiers)
        )
        return _Standing(refusal, certifiers)

    def _key_refusal(self, identity: Identity) -> str:
        """Empty if signatures of the identity's key are accepted; so below."""
        if not identity.has_usable_key or (identity.has_ed25519_key and not self._ed25519):
            return "its key is of a kind that is not supported"
        return ""

    def _revocation_refusal(self, chain: Chain) -> str:
        for revocation in self._trust.revocations:
            if revocation.authority_key_id is None:
                return "a revocation list of its MSP names no authority"
            if revocation.revokes(chain[0], chain[1]):
                return "the certificate has been revoked"
        return ""

    def _unit_refusal(self, identity: Identity, certifiers: bytes) -> str:
        wanted = self._trust.unit_certifiers
        if wanted and not any(certifiers in wanted.get(unit, ()) for unit in identity.units):
            return "none of its organizational units is one that its MSP asks for"
        units = self._trust.node_units
        if units is None:
            return ""
        roles = [unit for unit in identity.units if unit in units.certifiers]
        for unit in roles[:2]:
            if units.certifiers[unit] and units.certifiers[unit] != certifiers:
                return f"unit {unit} is certified by other CAs than its MSP asks for"
        if len(roles) != 1:
            return (
                "expected exactly one of the units that make a client, peer, admin or orderer, "
                f"found {', '.join(roles) or 'none'}"
            )
        return ""

    def _set_up_admins(self, config: FabricMSPConfig) -> None:
        """Admins may be listed; without a unit for admins, some must be (fabric
        msp/mspimplsetup.go, setupAdminsV142 and postSetupV142)."""
        units = self._trust.node_units
        if not config.admins and (units is None or units.admin is None):
            raise InvalidMspConfig(
                self.mspid, "administrators must be declared when no unit makes an admin"
            )
        admins = set()
        for number, text in enumerate(config.admins):
            try:
                admin = self.read(serialize_identity(self.mspid, text), text)
            except UnknownIdentity as error:
                raise InvalidMspConfig(self.mspid, f"admin {number}: {error}") from None
            refusal = self._admin_refusal(admin)
            if refusal:
                raise InvalidMspConfig(self.mspid, f"admin {number} is invalid: {refusal}")
            admins.add(admin.der)
        self._admins = frozenset(admins)

    def _admin_refusal(self, admin: Identity) -> str:
        standing = self._standing(admin)
        units = self._trust.node_units
        if units is None:
            return standing.refusal
        has_unit = admin.ous & {units.client, units.admin}
        return "" if standing.certifiers and has_unit else "it is neither a client nor an admin"


def parse_serialized(serialized: bytes) -> SerializedIdentity:
    """Raises:
    UnknownIdentity: the bytes are no serialized identity.
    """
    try:
        return codec.parse(SerializedIdentity, serialized)
    except (MalformedMessage, LimitExceeded) as error:
        raise UnknownIdentity(None, str(error)) from None
