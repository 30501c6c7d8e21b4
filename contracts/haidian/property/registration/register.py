"""The register itself: units are taken over, read, and kept under the departments' key."""

from typing import Final

from tongban.contracts import Context, Contract, ContractError, evaluate, from_json, submit
from tongban.contracts.personal import Person, commit_key, open_key, read_transient
from tongban.contracts.types import RealEstateUnitCode

from .ledger import (
    BUREAU,
    REGISTRY,
    court_key,
    get_unit,
    mortgage_key,
    put,
    put_witnessed,
    require_duty,
    unit_key,
)
from .records import CourtRecord, MortgageRecord, NewUnit, Unit

UNITS_MAX: Final = 100
"""Units in one transaction."""


class Register(Contract):
    """不动产登记簿."""

    department = REGISTRY

    @submit
    def commit_subject_key(self, ctx: Context, commitment: str) -> None:
        """Fix the key under which people are known. Once, by the bureau's administrator."""
        ctx.client.require_organization(BUREAU)
        ctx.client.require_role("admin")
        commit_key(ctx, commitment)

    @submit
    def take_over(self, ctx: Context, units: list[NewUnit]) -> int:
        """Enter units of the older register. Transient ``owners``: for each unit its holders;
        transient ``addresses``: for each its 坐落."""
        require_duty(ctx, REGISTRY, "book")
        if not 1 <= len(units) <= UNITS_MAX:
            raise ContractError("TOO_MANY", f"expected 1 to {UNITS_MAX} units, found {len(units)}")
        key = open_key(ctx)
        owners = from_json(dict[str, list[Person]], read_transient(ctx, "owners"))
        addresses = from_json(dict[str, str], read_transient(ctx, "addresses"))
        for new in units:
            code = str(new.code)
            if ctx.stub.get_state(unit_key(new.code)):
                raise ContractError("UNIT_EXISTS", f"{code} is in the register（单元已登记）")
            if not owners.get(code) or code not in addresses:
                raise ContractError("OWNERS_NEEDED", f"{code}: expected holders and 坐落")
            holders = tuple(key.seal(person) for person in owners[code])
            address = key.reference("address", addresses[code])
            unit = Unit(new.code, 1, holders, new.certificate, new.usage, address, ctx.timestamp)
            put(ctx, unit_key(new.code), unit)
            put_witnessed(ctx, court_key(new.code), CourtRecord())
            put_witnessed(ctx, mortgage_key(new.code), MortgageRecord())
        return len(units)

    @evaluate
    def read_unit(self, ctx: Context, unit: RealEstateUnitCode) -> Unit:
        """The unit's entry."""
        return get_unit(ctx, unit)
