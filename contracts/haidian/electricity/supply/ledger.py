"""Where the electricity contract's records lie, and who may do what."""

from dataclasses import replace
from typing import Final

from tongban.contracts import Context, ContractError, from_json, to_json
from tongban.contracts.types import CaseNumber

from .records import NEXT, Account, Reversal, State, Step, Transfer

POWER: Final = "PowerMSP"
BUREAU: Final = "BureauMSP"


def account_key(ref: str) -> str:
    return f"account:{ref}"


def meters_key(address: str) -> str:
    """The references of all accounts at an address."""
    return f"meters:{address}"


def waiting_key(account: str) -> str:
    """The case that goes on when the account's arrears are settled."""
    return f"waiting:{account}"


def transfer_key(case_no: CaseNumber) -> str:
    return f"transfer:{case_no}"


def reversal_key(case_no: CaseNumber) -> str:
    return f"reversal:{case_no}"


def find_account(ctx: Context, ref: str) -> Account | None:
    value = ctx.stub.get_state(account_key(ref)) if ref else b""
    return from_json(Account, value) if value else None


def get_account(ctx: Context, ref: str) -> Account:
    account = find_account(ctx, ref)
    if account is None:
        raise ContractError("ACCOUNT_UNKNOWN", "there is no such account（户号不存在）")
    return account


def find_transfer(ctx: Context, case_no: CaseNumber) -> Transfer | None:
    value = ctx.stub.get_state(transfer_key(case_no))
    return from_json(Transfer, value) if value else None


def get_transfer(ctx: Context, case_no: CaseNumber) -> Transfer:
    transfer = find_transfer(ctx, case_no)
    if transfer is None:
        raise ContractError("TRANSFER_UNKNOWN", "no transfer was applied for（未申请用电过户）")
    return transfer


def get_reversal(ctx: Context, case_no: CaseNumber) -> Reversal:
    value = ctx.stub.get_state(reversal_key(case_no))
    if not value:
        raise ContractError("REVERSAL_UNKNOWN", "nothing is to be reversed（无冲正办件）")
    return from_json(Reversal, value)


def put(ctx: Context, key: str, record: object) -> None:
    ctx.stub.put_state(key, to_json(record))


def put_step(ctx: Context, transfer: Transfer, state: State, reason: str = "") -> Transfer:
    """The transfer goes on to this state.

    Raises:
        ContractError: WRONG_STATE, it cannot.
    """
    verify_step(transfer, state)
    changed = replace(transfer, state=state, steps=(*transfer.steps, make_step(ctx, state, reason)))
    put(ctx, transfer_key(transfer.case_no), changed)
    return changed


def make_step(ctx: Context, state: State, reason: str = "") -> Step:
    by = f"{ctx.client.mspid}/{ctx.client.find_attribute('duty') or '-'}"
    return Step(state, ctx.timestamp, by, ctx.tx_id, reason)


def verify_step(transfer: Transfer, state: State) -> None:
    if state not in NEXT[transfer.state] and state is not transfer.state:
        following = "、".join(sorted(one.value for one in NEXT[transfer.state])) or "无"
        raise ContractError(
            "WRONG_STATE", f"过户处于{transfer.state.value}，不能{state.value}（可：{following}）"
        )


def require_agent(ctx: Context) -> None:
    ctx.client.require_organization(BUREAU)
    ctx.client.require_attribute("duty", "citizen-agent")


def require_clerk(ctx: Context) -> None:
    ctx.client.require_organization(POWER)
    ctx.client.require_attribute("duty", "accounts")


def require_agent_or_clerk(ctx: Context) -> None:
    if ctx.client.mspid == POWER:
        require_clerk(ctx)
    else:
        require_agent(ctx)
