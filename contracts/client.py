"""Who asks: the identity that signed the proposal, as its certificate describes it.

The peer has verified the signature and that the certificate is valid on the channel. What the
contract adds is only who may do what.
"""

from collections.abc import Mapping
from functools import cached_property

from cryptography import x509

from tongban.contracts.errors import ContractError
from tongban.protos import certificates
from tongban.protos.codec import parse
from tongban.protos.errors import TongbanError
from tongban.protos.identities_pb2 import SerializedIdentity

ROLES = ("client", "peer", "admin", "orderer")
"""Organizational units that say what an identity is for (fabric msp/mspimpl.go, NodeOUs)."""


class ClientIdentity:
    """The client that signed the proposal. Parsed when first asked for."""

    def __init__(self, creator: bytes) -> None:
        self._creator = creator

    @cached_property
    def _identity(self) -> SerializedIdentity:
        try:
            return parse(SerializedIdentity, self._creator, "creator")
        except TongbanError as error:
            raise ContractError("INVALID_IDENTITY", str(error)) from None

    @property
    def mspid(self) -> str:
        """MSP id of the client's organization, such as ``Org1MSP``."""
        return self._identity.mspid

    @cached_property
    def certificate(self) -> x509.Certificate:
        """The client's X.509 certificate.

        Raises:
            ContractError: INVALID_IDENTITY, the identity has none.
        """
        try:
            return certificates.load_certificate(self._identity.id_bytes, "creator's certificate")
        except TongbanError as error:
            raise ContractError("INVALID_IDENTITY", str(error)) from None

    @cached_property
    def id(self) -> str:
        """Unique within the channel's CAs: ``x509::<subject>::<issuer>``, in the form of
        RFC 4514."""
        certificate = self.certificate
        subject, issuer = certificate.subject, certificate.issuer
        return f"x509::{subject.rfc4514_string()}::{issuer.rfc4514_string()}"

    @cached_property
    def attributes(self) -> Mapping[str, str]:
        """What the organization's CA certified about the client, by name."""
        try:
            return certificates.attributes(self.certificate)
        except TongbanError as error:
            raise ContractError("INVALID_IDENTITY", str(error)) from None

    def find_attribute(self, name: str) -> str | None:
        """The attribute, if it was certified."""
        return self.attributes.get(name)

    @cached_property
    def organizational_units(self) -> tuple[str, ...]:
        """OU values of the certificate's subject."""
        return certificates.organizational_units(self.certificate)

    def has_role(self, role: str) -> bool:
        """Whether the certificate says ``client``, ``peer``, ``admin`` or ``orderer``, or another
        organizational unit."""
        return role in self.organizational_units

    def require_organization(self, *mspids: str) -> None:
        """The client belongs to one of these organizations.

        Raises:
            ContractError: ACCESS_DENIED; names what was expected and what was found.
        """
        if self.mspid not in mspids:
            raise ContractError(
                "ACCESS_DENIED", f"expected a client of {' or '.join(mspids)}, found {self.mspid}"
            )

    def require_role(self, *roles: str) -> None:
        """The client's certificate has one of these roles.

        Raises:
            ContractError: ACCESS_DENIED.
        """
        if not any(self.has_role(role) for role in roles):
            found = ", ".join(self.organizational_units) or "none"
            raise ContractError(
                "ACCESS_DENIED", f"expected role {' or '.join(roles)}, found {found}"
            )

    def require_attribute(self, name: str, value: str) -> None:
        """The client's CA certified this attribute with this value.

        Raises:
            ContractError: ACCESS_DENIED; does not repeat what was found.
        """
        found = self.find_attribute(name)
        if found != value:
            state = "absent" if found is None else "another value"
            raise ContractError(
                "ACCESS_DENIED", f"expected attribute {name}={value}, found {state}"
            )
