"""What people have to agree to before an account may follow a property, and the contract asked."""

from typing import Any, Final

from tongban.contracts import Context, ContractError, from_json, to_json
from tongban.contracts.types import CaseNumber

from .ledger import POWER
from .messages import Use

CONSENT: Final = "consent"

TRANSFER_PURPOSE: Final = "electricity-transfer"
TRANSFER_ITEMS: Final = (
    "unit",
    "certificate",
    "registered-at",
    "usage",
    "division",
    "holder-name",
    "holder-id",
    "account",
)
"""Of the buyer: what goes to the supplier with 登簿, and no more."""

CHECK_PURPOSE: Final = "electricity-check"
CHECK_ITEMS: Final = ("name-match", "arrears-flag")
"""Of the seller, whose account it is: two yes-or-no answers."""


def transfer_use(token: str, case_no: CaseNumber) -> Use:
    return Use(token, case_no, TRANSFER_PURPOSE, POWER, TRANSFER_ITEMS)


def check_use(token: str, case_no: CaseNumber) -> Use:
    return Use(token, case_no, CHECK_PURPOSE, POWER, CHECK_ITEMS)


def verify_live(ctx: Context, use: Use) -> str:
    """The consent can be used now; returns the reference of who gave it.

    Raises:
        ContractError: what the consent contract says against it.
    """
    return _subject(_ask(ctx, "check", use))


def verify_standing(ctx: Context, use: Use) -> str:
    """The consent was used for this and stands; returns the reference of who gave it."""
    return _subject(_ask(ctx, "check_standing", use))


def use_up(ctx: Context, use: Use) -> None:
    """The consent is used in this transaction. Nothing may be refused after this call: what
    another contract has written stays, whatever this one raises."""
    _require_token(use)
    ctx.stub.call(CONSENT, "use", to_json(use))


def _ask(ctx: Context, function: str, use: Use) -> bytes:
    _require_token(use)
    return ctx.stub.ask(CONSENT, function, to_json(use))


def _require_token(use: Use) -> None:
    if not use.token:
        raise ContractError("NO_CONSENT", "nobody has agreed to this（缺少授权）")


def _subject(token: bytes) -> str:
    found: dict[str, Any] = from_json(dict[str, Any], token)  # consent's own type, any JSON here
    return str(found["subject"])
