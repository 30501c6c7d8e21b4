"""The supplier's accounts."""

from dataclasses import replace
from typing import Final

from tongban.contracts import Context, Contract, ContractError, evaluate, from_json, submit, to_json
from tongban.contracts.personal import Person, SubjectKey, commit_key, open_key, read_transient
from tongban.contracts.types import CaseNumber, ElectricityAccountNumber

from .ledger import (
    BUREAU,
    POWER,
    account_key,
    get_account,
    get_transfer,
    meters_key,
    put,
    put_step,
    require_clerk,
    waiting_key,
)
from .records import Account, NewAccount, State, Transfer, state_after_check

ACCOUNTS_MAX: Final = 100
"""Accounts in one transaction."""


class Accounts(Contract):
    """用电户."""

    department = POWER

    @submit
    def commit_subject_key(self, ctx: Context, commitment: str) -> None:
        """Fix the key under which people are known. Once, by the bureau's administrator."""
        ctx.client.require_organization(BUREAU)
        ctx.client.require_role("admin")
        commit_key(ctx, commitment)

    @submit
    def take_over(self, ctx: Context, accounts: list[NewAccount]) -> int:
        """Enter accounts of the supplier's system. Transient ``numbers``,
        ``addresses`` and ``holders`` tell of each by its label."""
        require_clerk(ctx)
        if not 1 <= len(accounts) <= ACCOUNTS_MAX:
            raise ContractError("TOO_MANY", f"expected 1 to {ACCOUNTS_MAX} accounts")
        key = open_key(ctx)
        numbers = from_json(dict[str, ElectricityAccountNumber], read_transient(ctx, "numbers"))
        addresses = from_json(dict[str, str], read_transient(ctx, "addresses"))
        holders = from_json(dict[str, Person], read_transient(ctx, "holders"))
        meters: dict[str, list[str]] = {}
        for new in accounts:
            if not (new.label in numbers and new.label in addresses and new.label in holders):
                raise ContractError("ACCOUNT_INCOMPLETE", "expected number, address and holder")
            account = _account(
                key, new, numbers[new.label], addresses[new.label], holders[new.label]
            )
            if ctx.stub.get_state(account_key(account.ref)):
                raise ContractError("ACCOUNT_EXISTS", "the account is there（户号已存在）")
            put(ctx, account_key(account.ref), account)
            meters.setdefault(account.address, []).append(account.ref)
        for address, refs in sorted(meters.items()):
            known = from_json(list[str], ctx.stub.get_state(meters_key(address)) or b"[]")
            ctx.stub.put_state(meters_key(address), to_json([*known, *refs]))
        return len(accounts)

    @submit
    def mark_arrears(self, ctx: Context, account: str) -> Account:
        """The account has arrears from now on."""
        require_clerk(ctx)
        changed = replace(get_account(ctx, account), has_arrears=True)
        put(ctx, account_key(account), changed)
        return changed

    @submit
    def clear_arrears(self, ctx: Context, account: str) -> Transfer | None:
        """The arrears are settled; a transfer that waited for it goes on at once."""
        require_clerk(ctx)
        settled = replace(get_account(ctx, account), has_arrears=False)
        put(ctx, account_key(account), settled)
        waiting = ctx.stub.get_state(waiting_key(account))
        if not waiting:
            return None
        ctx.stub.delete_state(waiting_key(account))
        transfer = get_transfer(ctx, _case_no(waiting))
        if transfer.state is not State.ARREARS or transfer.flags is None:
            return transfer
        checked = replace(transfer, flags=replace(transfer.flags, has_arrears=False))
        return put_step(ctx, checked, state_after_check(checked), "ARREARS_CLEARED")

    @evaluate
    def read_account(self, ctx: Context, account: str) -> Account:
        """The account with this reference."""
        return get_account(ctx, account)


def _case_no(value: bytes) -> CaseNumber:
    return CaseNumber(value.decode())


def _account(
    key: SubjectKey,
    new: NewAccount,
    number: ElectricityAccountNumber,
    address: str,
    holder: Person,
) -> Account:
    party = key.seal(holder)
    return Account(
        key.reference("account", str(number)),
        number.mask(),
        key.reference("address", address),
        party.ref if new.has_identity else "",
        party.name_ref,
        new.category,
        new.capacity_va,
        new.has_arrears,
        new.is_shared,
    )
