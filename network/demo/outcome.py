"""How a case ended, told from what the ledger holds of it and not from what was tried."""

from dataclasses import dataclass
from typing import Any, Final

Record = dict[str, Any]
"""A contract's answer: a JSON object."""

CANCEL_REASONS: Final = {
    "CONSENT_REVOKED": "consent-revoked",
    "CHANGE_OF_SUPPLY": "change-of-supply",
}
HOLDS: Final = {
    "欠费": "arrears",
    "户名不符": "holder",
    "多表待选": "meter",
    "地址不符": "address",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a case."""

    kind: str
    registration: str
    electricity: str | None


def judge(case: Record, transfer: Record | None) -> Outcome:
    """The outcome of a registration case and the transfer that may hang on it."""
    registration = str(case["state"])
    electricity = None if transfer is None else str(transfer["state"])
    return Outcome(_kind(case, transfer), registration, electricity)


def _kind(case: Record, transfer: Record | None) -> str:
    state, reason = case["state"], case["steps"][-1]["reason"].lower().replace("_", "-")
    if state == "草稿":
        return "identity-failed"
    if state in ("不予受理", "不予登记", "中止"):
        word = {"不予受理": "not-accepted", "不予登记": "refused", "中止": "suspended"}[state]
        return f"{word}-{reason}"
    if state == "撤回":
        return "withdrawn"
    if state == "更正":
        reversed_too = transfer is None or transfer["state"] == "需冲正"
        return "reversed" if reversed_too else "corrected-only"
    if state != "办结":
        return "unfinished"
    return "registered-only" if transfer is None else _kind_of_transfer(case, transfer)


def _kind_of_transfer(case: Record, transfer: Record) -> str:
    state, steps = transfer["state"], transfer["steps"]
    states = [step["state"] for step in steps]
    if state in HOLDS:
        return f"held-{HOLDS[state]}"
    if state == "已取消":
        if _was_handed_over(steps):
            return "registered-stopped-before-signature"
        return f"registered-{CANCEL_REASONS.get(steps[-1]['reason'], 'cancelled')}"
    if state == "已过户":
        booked = next(step for step in steps if step["reason"] == "BOOKED")
        if booked["tx_id"] not in [step["tx_id"] for step in case["steps"]]:
            return "transferred-deferred"
        return "transferred-after-hold" if set(states) & set(HOLDS) else "transferred"
    if state in ("登记待定", "待授权", "待核验"):
        return "registered-without-consent"
    return "unfinished"


def _was_handed_over(steps: list[Record]) -> bool:
    return any(step["reason"] == "BOOKED" for step in steps)
