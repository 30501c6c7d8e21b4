"""Registration cases: from the draft to the register, and what other departments hear of it.

A case that names utilities tells them with events: ``property.booked`` in the transaction of 登簿,
``property.withdrawn`` or ``property.refused`` if there will be none, ``property.corrected`` if it
was reversed. A case that names none tells nobody: that a home changed hands is no supplier's
business without the citizens' wish.
"""

import re
from dataclasses import replace
from typing import Final

from tongban.contracts import Context, Contract, ContractError, evaluate, submit
from tongban.contracts.declarations import emits
from tongban.contracts.personal import open_key, read_persons
from tongban.contracts.types import (
    CaseNumber,
    RealEstateCertificateNumber,
    RealEstateUnitCode,
)

from .checks import verify_registrable, verify_step, verify_tax_settled
from .ledger import (
    BUREAU,
    REGISTRY,
    case_key,
    get_case,
    get_unit,
    put,
    put_witnessed,
    require_duty,
    signature_of,
    tax_key,
    unit_key,
)
from .records import (
    Booked,
    Case,
    CaseState,
    Corrected,
    Ended,
    Facts,
    Step,
    TaxRecord,
    Unit,
)

AUTH: Final = "auth"
LEVEL_NEEDED: Final = 3
"""Of each party's identity check."""

UTILITIES: Final = frozenset({"electricity"})
"""Suppliers that have agreed to a rule. Water, gas and heat come with theirs."""

PARTIES_MAX: Final = 20
_CONTRACT_NO: Final = re.compile(r"[A-Za-z0-9-]{1,60}")
_REASON: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class Registration(Contract):
    """不动产转移登记办件."""

    department = REGISTRY
    is_default = True

    @submit
    def draft(
        self,
        ctx: Context,
        case_no: CaseNumber,
        unit: RealEstateUnitCode,
        contract_no: str,
        utilities: list[str],
    ) -> Case:
        """Open a case. Transient ``sellers`` and ``buyers`` name the parties. The same case
        drafted again is the case there is."""
        require_duty(ctx, BUREAU, "citizen-agent")
        _verify_draft(contract_no, utilities)
        key = open_key(ctx)
        sellers = tuple(key.seal(person) for person in read_persons(ctx, "sellers"))
        buyers = tuple(key.seal(person) for person in read_persons(ctx, "buyers"))
        if not (1 <= len(sellers) <= PARTIES_MAX and 1 <= len(buyers) <= PARTIES_MAX):
            raise ContractError("PARTIES_NEEDED", f"expected 1 to {PARTIES_MAX} of each side")
        version = get_unit(ctx, unit).version
        wishes = tuple(sorted(set(utilities)))
        new = Case(
            case_no, unit, version, contract_no, sellers, buyers, wishes, CaseState.DRAFT, ()
        )
        if ctx.stub.get_state(case_key(case_no)):
            return _verify_same(get_case(ctx, case_no), new)
        return _put_step(ctx, new, CaseState.DRAFT)

    @submit
    def hand_in(self, ctx: Context, case_no: CaseNumber, proofs: dict[str, str]) -> Case:
        """Submit the case: every party's identity was checked. ``proofs`` has one for each
        party's reference."""
        require_duty(ctx, BUREAU, "citizen-agent")
        case = get_case(ctx, case_no)
        verify_step(case, CaseState.SUBMITTED)
        _verify_all_present(ctx, case, proofs)
        return _put_step(ctx, case, CaseState.SUBMITTED)

    @submit
    def accept(self, ctx: Context, case_no: CaseNumber) -> Case:
        """受理: the unit can be transferred by these parties as far as the register says."""
        require_duty(ctx, REGISTRY, "accept")
        case = get_case(ctx, case_no)
        verify_step(case, CaseState.ACCEPTED)
        if case.state is CaseState.SUBMITTED:
            put_witnessed(ctx, tax_key(case_no), TaxRecord(case_no))
        verify_registrable(ctx, case)
        return _put_step(ctx, case, CaseState.ACCEPTED)

    @emits("property.refused")
    @submit
    def reject(self, ctx: Context, case_no: CaseNumber, reason: str) -> Case:
        """不予受理: the case ends before it began."""
        require_duty(ctx, REGISTRY, "accept")
        return _end(ctx, case_no, CaseState.NOT_ACCEPTED, "property.refused", reason)

    @submit
    def review(self, ctx: Context, case_no: CaseNumber) -> Case:
        """审查 begins."""
        require_duty(ctx, REGISTRY, "review")
        case = get_case(ctx, case_no)
        verify_step(case, CaseState.IN_REVIEW)
        verify_registrable(ctx, case)
        return _put_step(ctx, case, CaseState.IN_REVIEW)

    @submit
    def decide(self, ctx: Context, case_no: CaseNumber) -> Case:
        """决定: registration is granted; tax is settled and nothing stands against it."""
        require_duty(ctx, REGISTRY, "review")
        case = get_case(ctx, case_no)
        verify_step(case, CaseState.DECIDED)
        verify_tax_settled(ctx, case)
        verify_registrable(ctx, case)
        return _put_step(ctx, case, CaseState.DECIDED)

    @submit
    def suspend(self, ctx: Context, case_no: CaseNumber, reason: str) -> Case:
        """中止: something outside the case has to be settled first."""
        require_duty(ctx, REGISTRY, "review", "book")
        case = get_case(ctx, case_no)
        verify_step(case, CaseState.SUSPENDED)
        return _put_step(ctx, case, CaseState.SUSPENDED, _verified_reason(reason))

    @emits("property.refused")
    @submit
    def refuse(self, ctx: Context, case_no: CaseNumber, reason: str) -> Case:
        """不予登记."""
        require_duty(ctx, REGISTRY, "review", "book")
        return _end(ctx, case_no, CaseState.REFUSED, "property.refused", reason)

    @emits("property.withdrawn")
    @submit
    def withdraw(self, ctx: Context, case_no: CaseNumber, proofs: dict[str, str]) -> Case:
        """撤回: all parties, whose identity was checked, take the application back before 登簿;
        what hangs on it ends too."""
        require_duty(ctx, BUREAU, "citizen-agent")
        case = get_case(ctx, case_no)
        verify_step(case, CaseState.WITHDRAWN)
        _verify_all_present(ctx, case, proofs)
        return _end(ctx, case_no, CaseState.WITHDRAWN, "property.withdrawn", "WITHDRAWN")

    @emits("property.booked")
    @submit
    def book(
        self, ctx: Context, case_no: CaseNumber, certificate: RealEstateCertificateNumber
    ) -> Case:
        """登簿: the transfer takes legal effect with this transaction, and the suppliers that the
        citizens named follow in it. Booking the same case again changes nothing."""
        require_duty(ctx, REGISTRY, "book")
        case = get_case(ctx, case_no)
        if case.state is CaseState.BOOKED and case.certificate == str(certificate):
            return case
        verify_step(case, CaseState.BOOKED)
        verify_tax_settled(ctx, case)
        unit = verify_registrable(ctx, case)
        _claim_certificate(ctx, certificate, case_no)
        entry = replace(
            unit,
            version=unit.version + 1,
            holders=case.buyers,
            certificate=certificate,
            registered_at=ctx.timestamp,
        )
        put(ctx, unit_key(case.unit), entry)
        booked = _put_step(ctx, replace(case, certificate=str(certificate)), CaseState.BOOKED)
        if case.utilities:
            key = f"{case_no}/{entry.version}"
            ctx.emit("property.booked", _booked(booked, entry), key=key)
        return booked

    @submit
    def complete(self, ctx: Context, case_no: CaseNumber) -> Case:
        """办结: the certificate was handed over."""
        require_duty(ctx, REGISTRY, "accept", "book")
        case = get_case(ctx, case_no)
        verify_step(case, CaseState.COMPLETED)
        return _put_step(ctx, case, CaseState.COMPLETED)

    @emits("property.corrected")
    @submit
    def correct(self, ctx: Context, case_no: CaseNumber, reason: str) -> Case:
        """更正: a further version of the register gives the unit back. The wrong one stays in the
        ledger, and what followed from it is compensated, not undone."""
        require_duty(ctx, REGISTRY, "book")
        case = get_case(ctx, case_no)
        verify_step(case, CaseState.CORRECTED)
        unit = get_unit(ctx, case.unit)
        if unit.version != case.unit_version + 1:
            raise ContractError(
                "UNIT_CHANGED", "a later registration stands on this one（登记簿已有后续登记）"
            )
        entry = replace(
            unit, version=unit.version + 1, holders=case.sellers, registered_at=ctx.timestamp
        )
        put(ctx, unit_key(case.unit), entry)
        corrected = _put_step(ctx, case, CaseState.CORRECTED, _verified_reason(reason))
        if case.utilities:
            payload = Corrected(case_no, case.unit, entry.version, unit.version, case.utilities)
            ctx.emit("property.corrected", payload, key=f"{case_no}/{entry.version}")
        return corrected

    @evaluate
    def read(self, ctx: Context, case_no: CaseNumber) -> Case:
        """The case with all its steps."""
        return get_case(ctx, case_no)

    @evaluate
    def facts(self, ctx: Context, case_no: CaseNumber) -> Facts:
        """What a supplier's contract compares with: references only."""
        case = get_case(ctx, case_no)
        return Facts(
            case_no,
            case.unit,
            case.is_open,
            get_unit(ctx, case.unit).address,
            tuple((one.ref, one.name_ref) for one in case.sellers),
            tuple(one.ref for one in case.buyers),
        )


def _put_step(ctx: Context, case: Case, state: CaseState, reason: str = "") -> Case:
    step = Step(state, ctx.timestamp, signature_of(ctx), ctx.tx_id, reason)
    changed = replace(case, state=state, steps=(*case.steps, step))
    put(ctx, case_key(case.case_no), changed)
    return changed


def _end(ctx: Context, case_no: CaseNumber, state: CaseState, event: str, reason: str) -> Case:
    """The case is over without registration, and whoever waits for it hears so."""
    case = get_case(ctx, case_no)
    verify_step(case, state)
    ended = _put_step(ctx, case, state, _verified_reason(reason))
    if case.utilities:
        ctx.emit(event, Ended(case_no, case.unit, case.utilities), key=str(case_no))
    return ended


def _verify_all_present(ctx: Context, case: Case, proofs: dict[str, str]) -> None:
    """Every party's identity was checked.

    Raises:
        ContractError: what the contract for identity checks says against one of the proofs.
    """
    for party in (*case.sellers, *case.buyers):
        proof = proofs.get(party.ref, "")
        ctx.stub.ask(AUTH, "check", proof, party.ref, str(LEVEL_NEEDED))


def _booked(case: Case, entry: Unit) -> Booked:
    return Booked(
        case.case_no,
        case.unit,
        entry.certificate,
        entry.version,
        entry.registered_at,
        entry.usage,
        case.unit.division_code,
        entry.address,
        case.buyers[0],
        case.utilities,
    )


def _claim_certificate(
    ctx: Context, certificate: RealEstateCertificateNumber, case_no: CaseNumber
) -> None:
    """The number is given out once."""
    key = f"certificate:{certificate}"
    if ctx.stub.get_state(key):
        raise ContractError("CERTIFICATE_TAKEN", f"{certificate} was given out（证号已使用）")
    ctx.stub.put_state(key, str(case_no).encode())


def _verify_draft(contract_no: str, utilities: list[str]) -> None:
    if not _CONTRACT_NO.fullmatch(contract_no):
        raise ContractError("INVALID_NUMBER", "contract_no: up to 60 letters, digits or -")
    unknown = sorted(set(utilities) - UTILITIES)
    if unknown:
        raise ContractError(
            "UTILITY_UNKNOWN", f"expected some of {', '.join(sorted(UTILITIES))}（无此公用事业）"
        )


def _verify_same(case: Case, new: Case) -> Case:
    """The case there is, if a repeated draft says the same."""
    said = (new.unit, new.contract_no, new.sellers, new.buyers, new.utilities)
    if said != (case.unit, case.contract_no, case.sellers, case.buyers, case.utilities):
        raise ContractError("CASE_EXISTS", "the number belongs to another case（办件编号已使用）")
    return case


def _verified_reason(reason: str) -> str:
    """Reasons are codes, so that no text about a person comes to lie on the ledger."""
    if not _REASON.fullmatch(reason):
        raise ContractError("INVALID_REASON", "expected a code like SEIZED（应为原因代码）")
    return reason
