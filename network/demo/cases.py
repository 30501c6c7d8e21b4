"""The file of cases: one JSON object a line. Its format is described in ``docs/demo-cases.md``.

People, numbers and addresses in it are synthetic, and must be: they are what the test of canaries
looks for in every file of every node.
"""

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tongban.contracts.types import (
    ElectricityAccountNumber,
    RealEstateUnitCode,
    ResidentId,
)
from tongban.network.errors import NetworkError

SHIPPED = Path(__file__).parent / "cases.jsonl"
CASES_MAX = 9_999
"""Case numbers of a day have four digits."""


class Happening(StrEnum):
    """What goes wrong, or is put right, in a case. Without any it goes well."""

    DRAFTED_TWICE = "drafted-twice"
    IDENTITY_FAILS = "identity-fails"
    ARREARS_SETTLED = "arrears-settled"
    HOLDER_CONFIRMED = "holder-confirmed"
    METER_CHOSEN = "meter-chosen"
    MORE_CAPACITY = "more-capacity"
    NUMBER_PUT_RIGHT = "number-put-right"
    MORTGAGE_RELEASED = "mortgage-released"
    MORTGAGE_CARRIED = "mortgage-carried"
    SEIZED_AFTER_ACCEPTANCE = "seized-after-acceptance"
    SEIZED_TWICE = "seized-twice"
    SEIZED_WHILE_BOOKING = "seized-while-booking"
    SEIZURE_LIFTED = "seizure-lifted"
    STAYS_SUSPENDED = "stays-suspended"
    NO_CONSENT = "no-consent"
    CONSENT_EXPIRES = "consent-expires"
    REVOKED_BEFORE_BOOKING = "revoked-before-booking"
    REVOKED_BEFORE_SIGNATURE = "revoked-before-signature"
    WITHDRAWN = "withdrawn"
    CORRECTED = "corrected"
    SUPPLIER_OFFLINE = "supplier-offline"
    BOOKED_TWICE = "booked-twice"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _identifier(kind: type[ResidentId | RealEstateUnitCode | ElectricityAccountNumber]) -> object:
    def check(text: object) -> object:
        fault = kind.validate(text)
        if fault is not None:
            raise ValueError(fault.english)
        return text

    return BeforeValidator(check)


Number = Annotated[str, _identifier(ResidentId)]
UnitCode = Annotated[str, _identifier(RealEstateUnitCode)]
AccountNumber = Annotated[str, _identifier(ElectricityAccountNumber)]


class Human(_Part):
    """A synthetic person."""

    name: Annotated[str, Field(min_length=2, max_length=40)]
    number: Number
    phone: Annotated[str, Field(pattern=r"^[0-9]{11}$")]


class Meter(_Part):
    """An electricity account at the property's address, or at ``address``."""

    number: AccountNumber
    holder: Human | None = None
    """The first seller if left out."""
    has_identity: bool = True
    """Whether the supplier has the holder's identity number on file."""
    has_arrears: bool = False
    is_shared: bool = False
    address: str | None = None


class Expectation(_Part):
    """How the case ends."""

    outcome: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    """A kind; see ``outcome``."""
    registration: str
    """State of the registration case."""
    electricity: str | None = None
    """State of the electricity transfer; none was applied for if left out."""


class DemoCase(_Part):
    """One transfer of a property."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,40}$")]
    failure: Annotated[str, Field(pattern=r"^(E[0-9]{1,2}|C[0-9])?$")] = ""
    """The failure of the district's list that it shows, such as ``E6``."""
    unit: UnitCode
    address: Annotated[str, Field(min_length=4, max_length=100)]
    owners: Annotated[tuple[Human, ...], Field(min_length=1)]
    """As the register has them."""
    sellers: tuple[Human, ...] = ()
    """Who sells; all owners if left out."""
    buyers: Annotated[tuple[Human, ...], Field(min_length=1)]
    wants_electricity: bool = True
    meters: tuple[Meter, ...] = ()
    account: AccountNumber | None = None
    """The account that the buyer names; if left out, the only one at the address."""
    is_mortgaged: bool = False
    happenings: frozenset[Happening] = frozenset()
    expect: Expectation

    @property
    def all_sellers(self) -> tuple[Human, ...]:
        return self.sellers or self.owners


def load_cases(path: Path) -> list[DemoCase]:
    """The cases of a file.

    Raises:
        NetworkError: with every mistake in the file, each with its line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NetworkError(f"{path}: cannot be read: {error}") from None
    problems: list[str] = []
    cases: list[DemoCase] = []
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            try:
                cases.append(DemoCase.model_validate(json.loads(line)))
            except ValidationError as error:
                problems += [f"line {number}: {text}" for text in _explain(error)]
            except ValueError as error:
                problems.append(f"line {number}: not JSON: {error}")
    problems += _repetitions(cases)
    if not cases and not problems:
        problems.append("there is no case in it")
    if len(cases) > CASES_MAX:
        problems.append(f"expected up to {CASES_MAX} cases, found {len(cases)}")
    if problems:
        text = "\n".join(f"  {problem}" for problem in problems)
        raise NetworkError(f"{path}:\n{text}", "The format: docs/demo-cases.md")
    return cases


def _explain(error: ValidationError) -> Iterator[str]:
    for item in error.errors():
        yield f"{'.'.join(map(str, item['loc']))}: {item['msg']}"


def _repetitions(cases: list[DemoCase]) -> Iterator[str]:
    """Cases run at once, so no two may be about the same thing."""
    kinds = {
        "id": [case.id for case in cases],
        "unit": [case.unit for case in cases],
        "account number": [meter.number for case in cases for meter in case.meters],
        "address": [case.address for case in cases],
    }
    for kind, values in kinds.items():
        for value in sorted({value for value in values if values.count(value) > 1}):
            shown = value if kind in ("id", "unit") else "one"
            yield f"{kind} {shown} is in several cases"
