"""What the property contract keeps, and which step of a case may follow which."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from tongban.contracts.personal import Party
from tongban.contracts.types import (
    CaseNumber,
    RealEstateCertificateNumber,
    RealEstateUnitCode,
    UnifiedSocialCreditCode,
)


class CaseState(Enum):
    """Where a registration case stands."""

    DRAFT = "草稿"
    SUBMITTED = "提交"
    NOT_ACCEPTED = "不予受理"
    ACCEPTED = "受理"
    IN_REVIEW = "审查"
    SUSPENDED = "中止"
    DECIDED = "决定"
    BOOKED = "登簿"
    COMPLETED = "办结"
    REFUSED = "不予登记"
    WITHDRAWN = "撤回"
    CORRECTED = "更正"


_S = CaseState

NEXT: Final[Mapping[CaseState, frozenset[CaseState]]] = {
    _S.DRAFT: frozenset({_S.SUBMITTED, _S.WITHDRAWN}),
    _S.SUBMITTED: frozenset({_S.ACCEPTED, _S.NOT_ACCEPTED, _S.WITHDRAWN}),
    _S.NOT_ACCEPTED: frozenset(),
    _S.ACCEPTED: frozenset({_S.IN_REVIEW, _S.SUSPENDED, _S.REFUSED, _S.WITHDRAWN}),
    _S.IN_REVIEW: frozenset({_S.DECIDED, _S.SUSPENDED, _S.REFUSED, _S.WITHDRAWN}),
    _S.SUSPENDED: frozenset({_S.ACCEPTED, _S.REFUSED, _S.WITHDRAWN}),
    _S.DECIDED: frozenset({_S.BOOKED, _S.SUSPENDED, _S.REFUSED, _S.WITHDRAWN}),
    _S.BOOKED: frozenset({_S.COMPLETED, _S.CORRECTED}),
    _S.COMPLETED: frozenset({_S.CORRECTED}),
    _S.REFUSED: frozenset(),
    _S.WITHDRAWN: frozenset(),
    _S.CORRECTED: frozenset(),
}
"""Registration takes effect with 登簿; before it a case can be left, after it only corrected. A
suspended case is reviewed from the beginning."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit's entry in the register, in its current version."""

    code: RealEstateUnitCode
    version: int
    """Counts registrations; each correction is one too."""
    holders: tuple[Party, ...]
    certificate: RealEstateCertificateNumber
    usage: str
    address: str
    """Keyed hash of the 坐落."""
    registered_at: datetime


@dataclass(frozen=True, slots=True)
class NewUnit:
    """A unit as it is taken over from the older register; owners and 坐落 come transiently."""

    code: RealEstateUnitCode
    certificate: RealEstateCertificateNumber
    usage: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a case."""

    state: CaseState
    at: datetime
    by: str
    """MSP id and duty of who took it."""
    tx_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A registration case: transfer of one unit."""

    case_no: CaseNumber
    unit: RealEstateUnitCode
    unit_version: int
    """Of the register when the case was drafted."""
    contract_no: str
    """Of the contract of sale, put on record (签约备案)."""
    sellers: tuple[Party, ...]
    buyers: tuple[Party, ...]
    utilities: tuple[str, ...]
    """Suppliers whose account is to follow; nobody is told of a transfer without being named."""
    state: CaseState
    steps: tuple[Step, ...]
    certificate: str = ""
    """The new one, from 登簿 on."""

    @property
    def is_open(self) -> bool:
        """Whether 登簿 may still come."""
        return CaseState.BOOKED in NEXT[self.state] or self.state in (
            CaseState.DRAFT,
            CaseState.SUBMITTED,
            CaseState.ACCEPTED,
            CaseState.IN_REVIEW,
            CaseState.SUSPENDED,
        )


@dataclass(frozen=True, slots=True)
class Seizure:
    """A court's order; those behind the first one wait (轮候查封)."""

    order_no: str
    court: UnifiedSocialCreditCode
    recorded_at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class CourtRecord:
    """All orders on a unit, oldest first."""

    seizures: tuple[Seizure, ...] = ()

    def in_force(self, now: datetime) -> tuple[Seizure, ...]:
        return tuple(seizure for seizure in self.seizures if seizure.until > now)


@dataclass(frozen=True, slots=True)
class MortgageRecord:
    """A mortgage on a unit, if there is one."""

    mortgagee: str = ""
    """MSP id; empty for none."""
    contract_no: str = ""
    carried_by: str = ""
    """The one case that may transfer the unit with the mortgage on it (带押过户)."""


@dataclass(frozen=True, slots=True)
class TaxRecord:
    """Whether the tax on a case is settled (完税); never how much it was."""

    case_no: CaseNumber
    is_settled: bool = False
    receipt_no: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What another department's contract needs of a case, and no more."""

    case_no: CaseNumber
    unit: RealEstateUnitCode
    is_open: bool
    address: str
    sellers: tuple[tuple[str, str], ...]
    """Reference of the number and of the name of each."""
    buyers: tuple[str, ...]
    """References of the numbers."""


@dataclass(frozen=True, slots=True)
class Booked:
    """Payload of ``property.booked``: what a supplier needs for a new contract. Price, area, loan,
    shares and everything of the sellers stay here."""

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
    """Payload of ``property.withdrawn`` and ``property.refused``: no registration will come."""

    case_no: CaseNumber
    unit: RealEstateUnitCode
    utilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Corrected:
    """Payload of ``property.corrected``: a registration was reversed by a further one."""

    case_no: CaseNumber
    unit: RealEstateUnitCode
    version: int
    corrected_version: int
    utilities: tuple[str, ...]
