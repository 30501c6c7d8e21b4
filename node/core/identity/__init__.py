"""Who somebody is: organizations, identities, their validity and roles."""

from tongban.node.core.identity.identity import (
    Identity,
    canonical_serialized,
    is_expired,
    serialize_identity,
)
from tongban.node.core.identity.msp import Msp
from tongban.node.core.identity.msps import MspManager
from tongban.node.core.identity.principals import (
    Principal,
    organization_of,
    parse_principal,
    role_principal,
)

__all__ = [
    "Identity",
    "Msp",
    "MspManager",
    "Principal",
    "canonical_serialized",
    "is_expired",
    "organization_of",
    "parse_principal",
    "role_principal",
    "serialize_identity",
]
