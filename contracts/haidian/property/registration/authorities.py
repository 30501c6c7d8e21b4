"""What court, tax authority and mortgagees record. They are clients without peers; see
``ledger`` for what makes their records theirs."""

import re
from dataclasses import replace
from datetime import datetime
from typing import Final

from tongban.contracts import Context, Contract, ContractError, evaluate, submit
from tongban.contracts.types import CaseNumber, RealEstateUnitCode, UnifiedSocialCreditCode

from .ledger import (
    COURT,
    REGISTRY,
    TAX,
    court_key,
    get_case,
    get_court_record,
    get_mortgage,
    get_tax_record,
    mortgage_key,
    put,
    require_duty,
    tax_key,
)
from .records import CourtRecord, MortgageRecord, Seizure, TaxRecord

_NUMBER: Final = re.compile(r"[A-Za-z0-9-]{1,60}")

SEIZURES_MAX: Final = 100
"""Orders on one unit."""


class Authorities(Contract):
    """查封、完税、抵押."""

    department = REGISTRY

    @submit
    def seize(
        self,
        ctx: Context,
        unit: RealEstateUnitCode,
        order_no: str,
        court: UnifiedSocialCreditCode,
        until: datetime,
    ) -> CourtRecord:
        """Record an order; behind others it waits (轮候)."""
        require_duty(ctx, COURT, "seizure")
        record = get_court_record(ctx, unit)
        _verify_number(order_no)
        if any(one.order_no == order_no for one in record.seizures):
            return record
        if len(record.seizures) >= SEIZURES_MAX:
            raise ContractError("TOO_MANY", f"a unit has up to {SEIZURES_MAX} orders")
        order = Seizure(order_no, court, ctx.timestamp, until)
        changed = CourtRecord((*record.seizures, order))
        put(ctx, court_key(unit), changed)
        return changed

    @submit
    def lift(self, ctx: Context, unit: RealEstateUnitCode, order_no: str) -> CourtRecord:
        """Take an order off; the next one takes its place."""
        require_duty(ctx, COURT, "seizure")
        record = get_court_record(ctx, unit)
        left = tuple(one for one in record.seizures if one.order_no != order_no)
        if left == record.seizures:
            raise ContractError("ORDER_UNKNOWN", "no such order on this unit（无此查封）")
        changed = CourtRecord(left)
        put(ctx, court_key(unit), changed)
        return changed

    @submit
    def mortgage(self, ctx: Context, unit: RealEstateUnitCode, contract_no: str) -> MortgageRecord:
        """Record the client's organization as mortgagee of a unit that has none."""
        _require_lender(ctx)
        _verify_number(contract_no)
        if get_mortgage(ctx, unit).mortgagee:
            raise ContractError("MORTGAGED", "the unit has a mortgagee（已抵押）")
        record = MortgageRecord(ctx.client.mspid, contract_no)
        put(ctx, mortgage_key(unit), record)
        return record

    @submit
    def release(self, ctx: Context, unit: RealEstateUnitCode) -> MortgageRecord:
        """The mortgage is no more (解押)."""
        _get_own_mortgage(ctx, unit)
        record = MortgageRecord()
        put(ctx, mortgage_key(unit), record)
        return record

    @submit
    def carry(self, ctx: Context, unit: RealEstateUnitCode, case_no: CaseNumber) -> MortgageRecord:
        """One case may transfer the unit with the mortgage on it (带押过户)."""
        record = replace(_get_own_mortgage(ctx, unit), carried_by=str(case_no))
        put(ctx, mortgage_key(unit), record)
        return record

    @submit
    def settle_tax(self, ctx: Context, case_no: CaseNumber, receipt_no: str) -> TaxRecord:
        """The tax on an accepted case is settled."""
        require_duty(ctx, TAX, "tax")
        _verify_number(receipt_no)
        if get_tax_record(ctx, case_no).is_settled:
            raise ContractError("TAX_SETTLED", "it was settled before（已完税）")
        if not get_case(ctx, case_no).is_open:
            raise ContractError("CASE_CLOSED", "no registration will come（办件已结束）")
        record = TaxRecord(case_no, True, receipt_no, ctx.timestamp)
        put(ctx, tax_key(case_no), record)
        return record

    @evaluate
    def read_court_record(self, ctx: Context, unit: RealEstateUnitCode) -> CourtRecord:
        """The orders on a unit."""
        return get_court_record(ctx, unit)

    @evaluate
    def read_mortgage(self, ctx: Context, unit: RealEstateUnitCode) -> MortgageRecord:
        """The mortgage on a unit."""
        return get_mortgage(ctx, unit)


def _require_lender(ctx: Context) -> None:
    require_duty(ctx, ctx.client.mspid, "mortgage")


def _get_own_mortgage(ctx: Context, unit: RealEstateUnitCode) -> MortgageRecord:
    _require_lender(ctx)
    record = get_mortgage(ctx, unit)
    if record.mortgagee != ctx.client.mspid:
        raise ContractError("NOT_MORTGAGEE", "the unit is not mortgaged to you（非抵押权人）")
    return record


def _verify_number(number: str) -> None:
    if not _NUMBER.fullmatch(number):
        raise ContractError("INVALID_NUMBER", "expected up to 60 letters, digits or -")
