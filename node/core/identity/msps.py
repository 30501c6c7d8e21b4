"""All organizations of a channel, and the identities that were read against them.

An identity is read once: serialized bytes that were seen before cost one look-up. Identities that
cannot be read are not remembered, so that nobody can push good ones out with garbage.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from tongban.node.core.errors import UnknownIdentity
from tongban.node.core.identity.identity import Identity
from tongban.node.core.identity.msp import Msp, parse_serialized
from tongban.node.core.identity.principals import Principal
from tongban.node.core.lru import LruCache
from tongban.protos.msp_principal_pb2 import MSPPrincipal

IDENTITIES_MAX = 4_096
"""Identities remembered by their serialized bytes, about 10 kB each with the parsed certificate."""


class MspManager:
    """Reads and judges identities of any organization of a channel."""

    def __init__(
        self, msps: Mapping[str, Msp] | Iterable[Msp], identities_max: int = IDENTITIES_MAX
    ) -> None:
        found = msps.values() if isinstance(msps, Mapping) else msps
        self.msps: Mapping[str, Msp] = MappingProxyType({msp.mspid: msp for msp in found})
        self._identities: LruCache[bytes, Identity] = LruCache(identities_max)

    def deserialize(self, serialized: bytes) -> Identity:
        """Read an identity. It need not be valid.

        Raises:
            UnknownIdentity: the bytes are no identity, or of an organization that the channel
                does not have, or the organization cannot read it.
        """
        identity = self._identities.find(serialized)
        if identity is not None:
            return identity
        message = parse_serialized(serialized)
        msp = self.msps.get(message.mspid)
        if msp is None:
            raise UnknownIdentity(message.mspid, f"MSP {message.mspid} is not defined on channel")
        identity = msp.read(serialized, message.id_bytes)
        self._identities.put(serialized, identity)
        return identity

    def validate(self, identity: Identity) -> None:
        """Return if the identity's organization stands behind it.

        Raises:
            UnknownIdentity: the channel does not have that organization.
            InvalidIdentity: the organization does not.
        """
        msp = self.msps.get(identity.mspid)
        if msp is None:
            raise UnknownIdentity(identity.mspid, f"MSP {identity.mspid} is not defined on channel")
        msp.validate(identity)

    def satisfies(self, identity: Identity, principal: Principal | MSPPrincipal) -> bool:
        """Whether the identity is whom the principal names, in its own organization's view."""
        msp = self.msps.get(identity.mspid)
        return msp is not None and msp.satisfies(identity, principal)
