"""Whom a policy can name, read once from the wire into values that compare and hash.

A principal that cannot be read is kept as one that nobody satisfies: the policy around it is still
a policy (fabric msp/mspimpl.go, SatisfiesPrincipal).
"""

from dataclasses import dataclass

from tongban.protos import codec, identities_pb2
from tongban.protos.errors import TongbanError
from tongban.protos.msp_principal_pb2 import (
    CombinedPrincipal,
    MSPIdentityAnonymity,
    MSPPrincipal,
    MSPRole,
    OrganizationUnit,
)

COMBINED_DEPTH_MAX = 32
"""Combined principals inside combined principals. The nesting is in byte fields, which no parser
limits; nobody writes more than two."""

ROLE_NAMES: dict[int, str] = {
    MSPRole.MEMBER: "member",
    MSPRole.ADMIN: "admin",
    MSPRole.CLIENT: "client",
    MSPRole.PEER: "peer",
    MSPRole.ORDERER: "orderer",
}
"""How the policy language spells the roles."""


@dataclass(frozen=True, slots=True)
class RolePrincipal:
    """Whoever has a role in an organization. ``role`` is an MSPRole number, perhaps unknown."""

    mspid: str
    role: int

    def __str__(self) -> str:
        return f"{self.mspid}.{ROLE_NAMES.get(self.role, self.role)}"


@dataclass(frozen=True, slots=True)
class UnitPrincipal:
    """Whoever belongs to an organizational unit certified by one chain of CAs."""

    mspid: str
    unit: str
    certifiers: bytes
    """SHA-256 over the DER of the chain from the issuer upwards."""

    def __str__(self) -> str:
        return f"{self.mspid} unit {self.unit}"


@dataclass(frozen=True, slots=True)
class IdentityPrincipal:
    """One identity."""

    mspid: str
    serialized: bytes

    def __str__(self) -> str:
        return f"one identity of {self.mspid}"


@dataclass(frozen=True, slots=True)
class AnyonePrincipal:
    """Any identity that names itself; every X.509 identity does."""

    def __str__(self) -> str:
        return "anyone"


@dataclass(frozen=True, slots=True)
class CombinedPrincipals:
    """Whoever satisfies every part."""

    parts: tuple["Principal", ...]

    def __str__(self) -> str:
        return " and ".join(str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class NobodyPrincipal:
    """A principal that no identity here can satisfy, and why."""

    reason: str

    def __str__(self) -> str:
        return f"nobody ({self.reason})"


Principal = (
    RolePrincipal
    | UnitPrincipal
    | IdentityPrincipal
    | AnyonePrincipal
    | CombinedPrincipals
    | NobodyPrincipal
)


def parse_principal(message: MSPPrincipal, depth: int = 0) -> Principal:
    """Read a principal; what cannot be read is a :class:`NobodyPrincipal`."""
    try:
        return _parse(message, depth)
    except TongbanError as error:
        return NobodyPrincipal(str(error))


def organization_of(principal: Principal) -> str | None:
    """The MSP id that a principal names, or None if it names none, or several."""
    if isinstance(principal, RolePrincipal | UnitPrincipal | IdentityPrincipal):
        return principal.mspid
    if isinstance(principal, CombinedPrincipals):
        named = {organization_of(part) for part in principal.parts} - {None}
        return named.pop() if len(named) == 1 else None
    return None


def role_principal(mspid: str, role: "MSPRole.MSPRoleType.ValueType") -> MSPPrincipal:
    """The wire form of a role in an organization."""
    content = MSPRole(msp_identifier=mspid, role=role).SerializeToString()
    return MSPPrincipal(principal_classification=MSPPrincipal.ROLE, principal=content)


def _parse(message: MSPPrincipal, depth: int) -> Principal:
    kind, content = message.principal_classification, message.principal
    if kind == MSPPrincipal.ROLE:
        role = codec.parse(MSPRole, content, "role principal")
        return RolePrincipal(role.msp_identifier, role.role)
    if kind == MSPPrincipal.ORGANIZATION_UNIT:
        unit = codec.parse(OrganizationUnit, content, "unit principal")
        return UnitPrincipal(
            unit.msp_identifier, unit.organizational_unit_identifier, unit.certifiers_identifier
        )
    if kind == MSPPrincipal.IDENTITY:
        identity = codec.parse(identities_pb2.SerializedIdentity, content, "identity principal")
        return IdentityPrincipal(identity.mspid, content)
    if kind == MSPPrincipal.ANONYMITY:
        anonymity = codec.parse(MSPIdentityAnonymity, content, "anonymity principal")
        if anonymity.anonymity_type == MSPIdentityAnonymity.NOMINAL:
            return AnyonePrincipal()
        return NobodyPrincipal("X.509 identities are never anonymous")
    if kind == MSPPrincipal.COMBINED:
        return _parse_combined(content, depth)
    return NobodyPrincipal(f"unknown class of principal {kind}")


def _parse_combined(content: bytes, depth: int) -> Principal:
    if depth >= COMBINED_DEPTH_MAX:
        return NobodyPrincipal("combined principals nest too deeply")
    parts = codec.parse(CombinedPrincipal, content, "combined principal").principals
    if not parts:
        return NobodyPrincipal("a combined principal without parts")
    return CombinedPrincipals(tuple(parse_principal(part, depth + 1) for part in parts))
