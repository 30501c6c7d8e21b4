"""用电过户: an account follows a property to its new owner.

It is applied for beside the registration case, checked against flags only (核验), and waits for the
register. ``property.booked`` brings the few facts that a new supply contract needs, in the
transaction of 登簿 and only with the buyer's live consent, which is used up in it. Then the new
holder signs once.

Nothing said here tells whose account another one is: a wrong number and a neighbour's give the same
answer.
"""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Final

from tongban.contracts import Context, Contract, ContractError, evaluate, from_json, submit, to_json
from tongban.contracts.declarations import on
from tongban.contracts.personal import open_key, read_person
from tongban.contracts.types import CaseNumber, ElectricityAccountNumber

from .consents import check_use, transfer_use, use_up, verify_live, verify_standing
from .ledger import (
    POWER,
    account_key,
    find_account,
    find_transfer,
    get_account,
    get_reversal,
    get_transfer,
    make_step,
    meters_key,
    put,
    put_step,
    require_agent,
    require_agent_or_clerk,
    require_clerk,
    reversal_key,
    verify_step,
    waiting_key,
)
from .messages import Booked, Corrected, Ended, Facts, Revoked
from .records import (
    HOLDS,
    NEXT,
    Account,
    Doubt,
    Flags,
    Handover,
    Meter,
    Reversal,
    State,
    Transfer,
    state_after_check,
)

AUTH: Final = "auth"
PROPERTY: Final = "property"
LEVEL_NEEDED: Final = 3

HOLD_DAYS_MAX: Final = 30
"""How long a hold may last before anybody of the supplier may cancel the transfer."""

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_REASON: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class Transfers(Contract):
    """用电过户办件."""

    department = POWER
    is_default = True

    @submit
    def open(
        self, ctx: Context, case_no: CaseNumber, buyer_token: str = "", seller_token: str = ""
    ) -> Transfer:
        """Apply beside a registration case. Without the buyer's and the seller's consent it
        waits for them. Opened again, it is the transfer there is."""
        require_agent(ctx)
        existing = find_transfer(ctx, case_no)
        if existing is not None:
            return existing
        transfer = Transfer(case_no, State.AWAITING_CONSENT, ())
        if buyer_token and seller_token:
            return _authorize(ctx, transfer, buyer_token, seller_token)
        return put_step(ctx, transfer, State.AWAITING_CONSENT)

    @submit
    def authorize(
        self, ctx: Context, case_no: CaseNumber, buyer_token: str, seller_token: str
    ) -> Transfer:
        """The buyer agrees to the hand-over, the seller to the check."""
        require_agent(ctx)
        return _authorize(ctx, get_transfer(ctx, case_no), buyer_token, seller_token)

    @submit
    def check(
        self, ctx: Context, case_no: CaseNumber, category: str = "", capacity_va: int = 0
    ) -> Transfer:
        """核验, of the account whose number is in transient ``account``, or of the only one at
        the address. A wish for another category or capacity makes it a case of 变更用电."""
        require_agent_or_clerk(ctx)
        transfer = get_transfer(ctx, case_no)
        if transfer.state is not State.AWAITING_CHECK and transfer.state not in HOLDS:
            verify_step(transfer, State.AWAITING_CHECK)
        facts = from_json(Facts, ctx.stub.ask(PROPERTY, "facts", str(case_no)))
        if not facts.is_open and transfer.handover is None:
            raise ContractError("CASE_CLOSED", "no registration will come（登记已结束）")
        ref, meters = _named_account(ctx, facts.address)
        account = find_account(ctx, ref)
        flags = _flags(account, meters, facts)
        checked = replace(
            transfer,
            account=account.ref if account is not None and flags.same_address else ref,
            account_version=account.version if account is not None else 0,
            flags=flags,
            confirmed="",
        )
        if account is not None and flags.same_address and _differs(account, category, capacity_va):
            return put_step(ctx, checked, State.CANCELLED, "CHANGE_OF_SUPPLY")
        state = state_after_check(checked)
        verify_step(checked, state)
        if transfer.flags is None:
            use_up(ctx, check_use(transfer.seller_token, case_no))
        else:
            verify_standing(ctx, check_use(transfer.seller_token, case_no))
        if state is State.ARREARS:
            ctx.stub.put_state(waiting_key(checked.account), str(case_no).encode())
        return put_step(ctx, checked, state)

    @submit
    def confirm(self, ctx: Context, case_no: CaseNumber, evidence: str) -> Transfer:
        """A clerk has settled the doubts about the holder, on evidence of this hash."""
        require_clerk(ctx)
        if not _DIGEST.fullmatch(evidence):
            raise ContractError("INVALID_EVIDENCE", "expected a SHA-256 in hex, nothing else")
        transfer = get_transfer(ctx, case_no)
        if transfer.state not in (State.HOLDER_DIFFERS, State.METER_OPEN) or not transfer.account:
            raise ContractError("NOTHING_TO_CONFIRM", "no doubt about the holder（无待核实事项）")
        confirmed = replace(transfer, confirmed=evidence)
        state = state_after_check(confirmed)
        if state is State.ARREARS:
            ctx.stub.put_state(waiting_key(transfer.account), str(case_no).encode())
        return put_step(ctx, confirmed, state, "CONFIRMED")

    @submit
    def sign(self, ctx: Context, case_no: CaseNumber, proof: str) -> Transfer:
        """一签即成: the new holder, in transient ``person``, signs; the old relation is closed and
        the new one begins."""
        require_agent(ctx)
        transfer = get_transfer(ctx, case_no)
        verify_step(transfer, State.TRANSFERRED)
        handover = transfer.handover
        assert handover is not None, "a transfer that waits for the signature has its hand-over"
        party = open_key(ctx).seal(read_person(ctx))
        if not party.is_same_person(handover.holder):
            raise ContractError("NOT_THE_HOLDER", "somebody else must sign（签字人不符）")
        account = get_account(ctx, transfer.account)
        _verify_transferable(account, transfer)
        ctx.stub.ask(AUTH, "check", proof, party.ref, str(LEVEL_NEEDED))
        verify_standing(ctx, transfer_use(transfer.buyer_token, case_no))
        signed = replace(
            transfer, previous_holder=account.holder, previous_holder_name=account.holder_name
        )
        followed = replace(
            account,
            holder=party.ref,
            holder_name=party.name_ref,
            version=account.version + 1,
        )
        put(ctx, account_key(account.ref), followed)
        told = {"case_no": str(case_no), "certificate": str(handover.certificate)}
        ctx.stub.set_event("electricity.transferred", to_json(told))
        return put_step(ctx, signed, State.TRANSFERRED)

    @submit
    def cancel(self, ctx: Context, case_no: CaseNumber, reason: str) -> Transfer:
        """The citizens, or the supplier for a reason, end the transfer."""
        require_agent_or_clerk(ctx)
        if not _REASON.fullmatch(reason):
            raise ContractError("INVALID_REASON", "expected a code like NOT_WANTED（应为原因代码）")
        return _cancel(ctx, get_transfer(ctx, case_no), reason)

    @submit
    def cancel_overdue(self, ctx: Context, case_no: CaseNumber) -> Transfer:
        """A hold that lasted too long ends the transfer; the registration is not touched."""
        require_clerk(ctx)
        transfer = get_transfer(ctx, case_no)
        since = transfer.steps[-1].at
        if transfer.state not in HOLDS or ctx.timestamp - since < timedelta(days=HOLD_DAYS_MAX):
            raise ContractError("NOT_OVERDUE", f"no hold of {HOLD_DAYS_MAX} days（未超期）")
        return _cancel(ctx, transfer, "OVERDUE")

    @submit
    def reverse(self, ctx: Context, case_no: CaseNumber) -> Reversal:
        """冲正: the account goes back to its former holder by a transfer of its own."""
        require_clerk(ctx)
        reversal = get_reversal(ctx, case_no)
        if reversal.state is not State.AWAITING_SIGNATURE:
            raise ContractError("WRONG_STATE", "it was reversed before（已冲正）")
        account = get_account(ctx, reversal.account)
        if account.version != reversal.account_version:
            raise ContractError("ACCOUNT_CHANGED", "the account has gone on since（账户已变更）")
        back = replace(
            account,
            holder=reversal.holder,
            holder_name=reversal.holder_name,
            version=account.version + 1,
        )
        put(ctx, account_key(account.ref), back)
        step = make_step(ctx, State.TRANSFERRED, "REVERSED")
        done = replace(reversal, state=State.TRANSFERRED, steps=(*reversal.steps, step))
        put(ctx, reversal_key(case_no), done)
        return done

    @on("property.booked", source=PROPERTY, refused="record", unavailable="defer")
    @submit
    def follow_booking(self, ctx: Context, booked: Booked) -> Transfer | None:
        """登簿: with the buyer's live consent the hand-over takes place and, if nothing holds it,
        the transfer waits for the signature only."""
        if "electricity" not in booked.utilities:
            return None
        transfer = find_transfer(ctx, booked.case_no)
        if transfer is None:
            raise ContractError("NO_CONSENT", "no transfer was applied for（未申请用电过户）")
        if transfer.handover is not None:
            return transfer  # the register says it once more
        if transfer.state is State.CANCELLED:
            raise ContractError(
                "TRANSFER_CANCELLED", f"ended before: {transfer.steps[-1].reason}（过户已取消）"
            )
        handed = replace(
            transfer,
            handover=Handover(
                booked.unit,
                booked.certificate,
                booked.version,
                booked.booked_at,
                booked.usage,
                booked.division,
                booked.holder,
            ),
        )
        state = state_after_check(handed)
        if state is State.AWAITING_CHECK:
            state = transfer.state
        verify_step(transfer, state)
        use = transfer_use(transfer.buyer_token, booked.case_no)
        verify_live(ctx, use)  # a refusal from here still leaves the registration alone
        use_up(ctx, use)
        return put_step(ctx, handed, state, "BOOKED")

    @on("property.withdrawn", source=PROPERTY, refused="record", unavailable="defer")
    @on("property.refused", source=PROPERTY, refused="record", unavailable="defer")
    @submit
    def follow_end(self, ctx: Context, ended: Ended) -> Transfer | None:
        """No registration will come, so the transfer ends too."""
        transfer = find_transfer(ctx, ended.case_no)
        if transfer is None or transfer.state is State.CANCELLED:
            return transfer
        return _cancel(ctx, transfer, "REGISTRATION_ENDED")

    @on("property.corrected", source=PROPERTY, refused="record", unavailable="defer")
    @submit
    def follow_correction(self, ctx: Context, corrected: Corrected) -> Transfer | None:
        """更正: a transfer under way ends; a finished one stays on record as 需冲正, and a
        compensating case begins."""
        transfer = find_transfer(ctx, corrected.case_no)
        if transfer is None or transfer.state is State.CANCELLED:
            return transfer
        if transfer.state is not State.TRANSFERRED:
            return _cancel(ctx, transfer, "REGISTRATION_CORRECTED")
        reversal = Reversal(
            corrected.case_no,
            State.AWAITING_SIGNATURE,
            transfer.account,
            transfer.account_version + 1,
            transfer.previous_holder,
            transfer.previous_holder_name,
            (make_step(ctx, State.AWAITING_SIGNATURE, "REGISTRATION_CORRECTED"),),
        )
        put(ctx, reversal_key(corrected.case_no), reversal)
        return put_step(ctx, transfer, State.TO_REVERSE, "REGISTRATION_CORRECTED")

    @on("consent.revoked", source="consent", refused="record", unavailable="defer")
    @submit
    def follow_revocation(self, ctx: Context, revoked: Revoked) -> Transfer | None:
        """The buyer takes the consent back: the transfer ends, and what was handed over is taken
        out. A seller's is needed until the check; what is finished stands."""
        if revoked.grantee != POWER:
            return None
        transfer = find_transfer(ctx, revoked.case_no)
        if transfer is None or State.CANCELLED not in _ways_out(transfer):
            return transfer
        if revoked.token == transfer.buyer_token:
            return _cancel(ctx, transfer, "CONSENT_REVOKED")
        if revoked.token == transfer.seller_token and transfer.flags is None:
            waiting = replace(transfer, buyer_token="", seller_token="")
            return put_step(ctx, waiting, State.AWAITING_CONSENT, "CONSENT_REVOKED")
        return transfer

    @evaluate
    def read(self, ctx: Context, case_no: CaseNumber) -> Transfer:
        """The transfer with all its steps."""
        return get_transfer(ctx, case_no)

    @evaluate
    def read_reversal(self, ctx: Context, case_no: CaseNumber) -> Reversal:
        """The compensating case."""
        return get_reversal(ctx, case_no)

    @evaluate
    def meters(self, ctx: Context, case_no: CaseNumber) -> list[Meter]:
        """The accounts at the property's address, for the buyer to choose from."""
        require_agent_or_clerk(ctx)
        facts = from_json(Facts, ctx.stub.ask(PROPERTY, "facts", str(case_no)))
        found = [get_account(ctx, ref) for ref in _refs_at(ctx, facts.address)]
        return [Meter(one.ref, one.number, one.category) for one in found]


def _authorize(ctx: Context, transfer: Transfer, buyer_token: str, seller_token: str) -> Transfer:
    verify_step(transfer, State.AWAITING_CHECK)
    case_no = transfer.case_no
    facts = from_json(Facts, ctx.stub.ask(PROPERTY, "facts", str(case_no)))
    if verify_live(ctx, transfer_use(buyer_token, case_no)) not in facts.buyers:
        raise ContractError("CONSENT_OF_ANOTHER", "no buyer gave it（非买方授权）")
    sellers = [ref for ref, _ in facts.sellers]
    if verify_live(ctx, check_use(seller_token, case_no)) not in sellers:
        raise ContractError("CONSENT_OF_ANOTHER", "no seller gave it（非卖方授权）")
    agreed = replace(transfer, buyer_token=buyer_token, seller_token=seller_token)
    return put_step(ctx, agreed, State.AWAITING_CHECK)


def _named_account(ctx: Context, address: str) -> tuple[str, list[str]]:
    """Reference of the account to look at, empty if it is open, and all at the address."""
    refs = _refs_at(ctx, address)
    key = open_key(ctx)
    named = ctx.stub.transient.get("account", b"")
    if named:
        number = ElectricityAccountNumber.parse(named.decode("utf-8", "replace"))
        return key.reference("account", str(number)), refs
    return (refs[0] if len(refs) == 1 else ""), refs


def _refs_at(ctx: Context, address: str) -> list[str]:
    found: list[str] = from_json(list[str], ctx.stub.get_state(meters_key(address)) or b"[]")
    return found


def _flags(account: Account | None, meters: list[str], facts: Facts) -> Flags:
    if account is None or account.address != facts.address:
        # Whether it exists elsewhere, and whose it is, is not told.
        return Flags(bool(meters), False, len(meters), (), False)
    doubts = []
    names = [name for _, name in facts.sellers]
    if account.holder_name not in names:
        doubts.append(Doubt.NAME)
    elif (account.holder, account.holder_name) not in facts.sellers:
        doubts.append(Doubt.IDENTITY)
    if account.is_shared:
        doubts.append(Doubt.SHARED)
    return Flags(True, True, len(meters), tuple(doubts), account.has_arrears)


def _differs(account: Account, category: str, capacity_va: int) -> bool:
    return category not in ("", account.category) or capacity_va not in (0, account.capacity_va)


def _verify_transferable(account: Account, transfer: Transfer) -> None:
    if account.version != transfer.account_version:
        raise ContractError(
            "ACCOUNT_CHANGED", "checked in an older version（账户已变更，请重新核验）"
        )
    if account.has_arrears:
        raise ContractError("ARREARS", "to be settled before the relation ends（原用户欠费）")


def _ways_out(transfer: Transfer) -> frozenset[State]:
    return frozenset() if transfer.state is State.CANCELLED else NEXT[transfer.state]


def _cancel(ctx: Context, transfer: Transfer, reason: str) -> Transfer:
    """The transfer ends, and what it held of account and new holder is taken out; the steps, and
    the receipt in the consent, tell that there was one."""
    verify_step(transfer, State.CANCELLED)
    purged = Transfer(
        transfer.case_no,
        transfer.state,
        transfer.steps,
        transfer.buyer_token,
        transfer.seller_token,
    )
    if transfer.state is State.ARREARS:
        ctx.stub.delete_state(waiting_key(transfer.account))
    return put_step(ctx, purged, State.CANCELLED, reason)
