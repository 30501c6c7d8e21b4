"""What other departments' contracts tell this one: their words as they are agreed, defined here
anew, since each department deploys by itself. A word they add is refused until it is agreed."""

from dataclasses import dataclass
from datetime import datetime

from tongban.contracts.personal import Party
from tongban.contracts.types import (
    CaseNumber,
    RealEstateCertificateNumber,
    RealEstateUnitCode,
)


@dataclass(frozen=True, slots=True)
class Facts:
    """Answer of property's ``facts``."""

    case_no: CaseNumber
    unit: RealEstateUnitCode
    is_open: bool
    address: str
    sellers: tuple[tuple[str, str], ...]
    """Reference of the number and of the name of each."""
    buyers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Booked:
    """Payload of ``property.booked``."""

    case_no: CaseNumber
    unit: RealEstateUnitCode
    certificate: RealEstateCertificateNumber
    version: int
    booked_at: datetime
    usage: str
    division: str
    address: str
    holder: Party
    utilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """Payload of ``property.withdrawn`` and ``property.refused``."""

    case_no: CaseNumber
    unit: RealEstateUnitCode
    utilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Corrected:
    """Payload of ``property.corrected``."""

    case_no: CaseNumber
    unit: RealEstateUnitCode
    version: int
    corrected_version: int
    utilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Revoked:
    """Payload of ``consent.revoked``."""

    token: str
    case_no: CaseNumber
    grantee: str


@dataclass(frozen=True, slots=True)
class Use:
    """Argument of consent's functions."""

    token: str
    case_no: CaseNumber
    purpose: str
    grantee: str
    items: tuple[str, ...]
