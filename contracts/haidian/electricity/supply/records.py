"""What the electricity contract keeps, and which step of a transfer may follow which."""

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
)


class State(Enum):
    """Where a transfer stands."""

    AWAITING_CONSENT = "待授权"
    AWAITING_CHECK = "待核验"
    ARREARS = "欠费"
    HOLDER_DIFFERS = "户名不符"
    METER_OPEN = "多表待选"
    ADDRESS_DIFFERS = "地址不符"
    REGISTRATION_OPEN = "登记待定"
    AWAITING_SIGNATURE = "待签字"
    TRANSFERRED = "已过户"
    CANCELLED = "已取消"
    TO_REVERSE = "需冲正"


_S = State

HOLDS: Final = frozenset({_S.ARREARS, _S.HOLDER_DIFFERS, _S.METER_OPEN, _S.ADDRESS_DIFFERS})
_CHECKED: Final = HOLDS | {_S.REGISTRATION_OPEN, _S.AWAITING_SIGNATURE}

NEXT: Final[Mapping[State, frozenset[State]]] = {
    _S.AWAITING_CONSENT: frozenset({_S.AWAITING_CHECK, _S.CANCELLED}),
    _S.AWAITING_CHECK: _CHECKED | {_S.AWAITING_CONSENT, _S.CANCELLED},
    **dict.fromkeys(HOLDS, _CHECKED | {_S.CANCELLED}),
    _S.REGISTRATION_OPEN: HOLDS | {_S.AWAITING_SIGNATURE, _S.CANCELLED},
    _S.AWAITING_SIGNATURE: frozenset({_S.TRANSFERRED, _S.CANCELLED}),
    _S.TRANSFERRED: frozenset({_S.TO_REVERSE}),
    _S.CANCELLED: frozenset(),
    _S.TO_REVERSE: frozenset(),
}
"""A hold may give way to the next one, to waiting for the register, or to the signature."""


class Doubt(Enum):
    """Why a person has to look at the account."""

    NAME = "NAME"
    """The holder's name is no seller's."""
    IDENTITY = "IDENTITY"
    """It is, but the identity number is another's, or none is on file."""
    SHARED = "SHARED"
    """The meter serves several properties."""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account as it is taken over from the supplier's system; holder, number and address come
    transiently, under this label."""

    label: str
    category: str
    capacity_va: int
    has_arrears: bool = False
    is_shared: bool = False
    has_identity: bool = True
    """Whether the supplier has seen the holder's identity card."""


@dataclass(frozen=True, slots=True)
class Account:
    """A supply relation in its current version."""

    ref: str
    """Keyed hash of the number."""
    number: str
    """Masked."""
    address: str
    """Keyed hash."""
    holder: str
    """Keyed hash of the holder's identity number; empty if none is on file."""
    holder_name: str
    """Keyed hash of the holder's name."""
    category: str
    capacity_va: int
    has_arrears: bool
    is_shared: bool
    version: int = 1


@dataclass(frozen=True, slots=True)
class Meter:
    """An account as the buyer chooses among several."""

    ref: str
    number: str
    """Masked."""
    category: str


@dataclass(frozen=True, slots=True)
class Flags:
    """核验: flags only, never amounts or names."""

    exists: bool
    same_address: bool
    meters: int
    """At the address of the property."""
    doubts: tuple[Doubt, ...]
    has_arrears: bool


@dataclass(frozen=True, slots=True)
class Handover:
    """What came over from the register with ``property.booked``; taken out again if the citizen
    takes the consent back."""

    unit: RealEstateUnitCode
    certificate: RealEstateCertificateNumber
    version: int
    booked_at: datetime
    usage: str
    division: str
    holder: Party


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a transfer."""

    state: State
    at: datetime
    by: str
    tx_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """The transfer of one account for one registration case."""

    case_no: CaseNumber
    state: State
    steps: tuple[Step, ...]
    buyer_token: str = ""
    seller_token: str = ""
    account: str = ""
    account_version: int = 0
    flags: Flags | None = None
    confirmed: str = ""
    """Hash of the evidence on which a clerk settled the doubts."""
    handover: Handover | None = None
    previous_holder: str = ""
    previous_holder_name: str = ""


@dataclass(frozen=True, slots=True)
class Reversal:
    """The compensating case: what a corrected registration made of a finished transfer. It is
    done by a further transfer back, and the first one stays on record."""

    case_no: CaseNumber
    state: State
    account: str
    account_version: int
    holder: str
    holder_name: str
    steps: tuple[Step, ...]


def state_after_check(transfer: Transfer) -> State:
    """Where flags, a clerk's word and the register leave a transfer. The address comes first:
    nothing is said about an account elsewhere."""
    flags = transfer.flags
    if flags is None:
        return State.AWAITING_CHECK
    if not transfer.account and flags.meters > 1:
        return State.METER_OPEN
    if not flags.exists or not flags.same_address:
        return State.ADDRESS_DIFFERS
    if flags.doubts and not transfer.confirmed:
        only_shared = flags.doubts == (Doubt.SHARED,)
        return State.METER_OPEN if only_shared else State.HOLDER_DIFFERS
    if flags.has_arrears:
        return State.ARREARS
    return State.REGISTRATION_OPEN if transfer.handover is None else State.AWAITING_SIGNATURE
