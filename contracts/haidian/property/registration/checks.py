"""What must hold before a case may take a step. Everything looked at is in the read set, so a
change that comes first in the order of blocks makes the step invalid."""

from tongban.contracts import Context, ContractError
from tongban.contracts.personal import Party

from .ledger import get_court_record, get_mortgage, get_tax_record, get_unit
from .records import NEXT, Case, CaseState, Unit


def verify_step(case: Case, state: CaseState) -> None:
    """The case may go on to this state.

    Raises:
        ContractError: WRONG_STATE; says where it stands and where it could go.
    """
    if state not in NEXT[case.state]:
        following = "、".join(sorted(one.value for one in NEXT[case.state])) or "无"
        raise ContractError(
            "WRONG_STATE", f"案件处于{case.state.value}，不能{state.value}（可：{following}）"
        )


def verify_registrable(ctx: Context, case: Case) -> Unit:
    """The unit can be transferred by this case; returns its entry.

    Raises:
        ContractError: UNIT_CHANGED, HOLDERS_DIFFER, SEIZED or MORTGAGED.
    """
    unit = get_unit(ctx, case.unit)
    if unit.version != case.unit_version:
        raise ContractError(
            "UNIT_CHANGED",
            f"the register has version {unit.version}, the case is about {case.unit_version}"
            "（登记簿已变更）",
        )
    if not _are_same(unit.holders, case.sellers):
        raise ContractError(
            "HOLDERS_DIFFER",
            "sellers must be all registered holders and nobody else（卖方须为全部登记权利人）",
        )
    verify_not_seized(ctx, case)
    mortgage = get_mortgage(ctx, case.unit)
    if mortgage.mortgagee and mortgage.carried_by != str(case.case_no):
        raise ContractError(
            "MORTGAGED",
            "the mortgagee has not agreed to this transfer（抵押权人未同意，可办理解押或带押过户）",
        )
    return unit


def verify_not_seized(ctx: Context, case: Case) -> None:
    """No court order is in force.

    Raises:
        ContractError: SEIZED; says how many orders there are, not whose.
    """
    orders = get_court_record(ctx, case.unit).in_force(ctx.timestamp)
    if orders:
        waiting = f", {len(orders) - 1} waiting（轮候）" if len(orders) > 1 else ""
        raise ContractError("SEIZED", f"an order of a court is in force{waiting}（已被查封）")


def verify_tax_settled(ctx: Context, case: Case) -> None:
    """Raises ContractError: TAX_OPEN."""
    if not get_tax_record(ctx, case.case_no).is_settled:
        raise ContractError("TAX_OPEN", "the tax authority has not cleared it（尚未完税）")


def _are_same(holders: tuple[Party, ...], sellers: tuple[Party, ...]) -> bool:
    return sorted((one.ref, one.name_ref) for one in holders) == sorted(
        (one.ref, one.name_ref) for one in sellers
    )
