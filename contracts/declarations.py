"""What a contract's source says about rules: which of its functions react to events of other
contracts, and which events its functions emit.

    class Electricity(Contract):
        department = "PowerMSP"

        @on("property.booked", source="property", refused="record", unavailable="defer", order=10)
        @emits("electricity.transferred")
        @submit
        def follow(self, ctx: Context, booked: Booked) -> None: ...

A declaration does nothing by itself: it becomes a rule when the departments of both contracts have
approved it in the ``rules`` contract.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from tongban.contracts.errors import ContractDefinitionError

F = TypeVar("F", bound=Callable[..., Any])

Refused = Literal["abort", "record"]
"""What a reaction's refusal does: to the whole transaction, or only to the reaction."""

Unavailable = Literal["abort", "defer"]
"""What happens while the reacting department cannot endorse: nothing at all, or all but the
reaction, which follows later."""

REACTIONS: Final = "__tongban_reactions__"
EMITS: Final = "__tongban_emits__"

ORDER_MAX: Final = 1_000_000

_EVENT_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_CHAINCODE_NAME: Final = re.compile(r"[A-Za-z0-9]+([-_][A-Za-z0-9]+)*")
"""fabric core/chaincode/lifecycle/deployedcc_infoprovider.go and ccprovider."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """That a function follows an event of another contract."""

    event: str
    source: str
    """Name of the chaincode that emits the event."""
    refused: Refused
    unavailable: Unavailable
    order: int
    """Among the reactions to one event, lower ones come first; equal ones go by the rule's id."""


def on(
    event: str,
    *,
    source: str,
    refused: Refused = "abort",
    unavailable: Unavailable = "abort",
    order: int = 100,
) -> Callable[[F], F]:
    """Mark a ``@submit`` function of one parameter: it reacts to ``event`` of the chaincode
    ``source``, once the departments concerned have approved.

    The function gets the event's payload and sees the state as committed before the transaction.
    Clients cannot call it. ``ctx.reaction`` says what it follows.
    """
    place = f"@on({event!r})"
    if not is_event_name(event):
        raise ContractDefinitionError(place, "expected a name like property.booked")
    if not is_chaincode_name(source):
        raise ContractDefinitionError(place, f"source: no chaincode can be named {source!r}")
    if refused not in ("abort", "record"):
        raise ContractDefinitionError(place, f'refused: expected "abort" or "record", {refused!r}')
    if unavailable not in ("abort", "defer"):
        raise ContractDefinitionError(
            place, f'unavailable: expected "abort" or "defer", found {unavailable!r}'
        )
    if not 0 <= order <= ORDER_MAX:
        raise ContractDefinitionError(place, f"order: expected 0 to {ORDER_MAX}, found {order}")
    reaction = Reaction(event, source, refused, unavailable, order)

    def mark(function: F) -> F:
        found: tuple[Reaction, ...] = getattr(function, REACTIONS, ())
        if any((one.source, one.event) == (source, event) for one in found):
            raise ContractDefinitionError(place, f"the function reacts to it twice ({source})")
        setattr(function, REACTIONS, (*found, reaction))
        return function

    return mark


def emits(*events: str) -> Callable[[F], F]:
    """Mark a function with the events that it may emit. A reaction that emits must say so, since
    circles between contracts are found by it; elsewhere it is for the reader and for tools, and
    holds once it is there."""
    for event in events:
        if not is_event_name(event):
            raise ContractDefinitionError(
                f"@emits({event!r})", "expected a name like property.booked"
            )

    def mark(function: F) -> F:
        found: tuple[str, ...] = getattr(function, EMITS, ())
        setattr(function, EMITS, tuple(sorted({*found, *events})))
        return function

    return mark


def is_event_name(name: str) -> bool:
    return _EVENT_NAME.fullmatch(name) is not None


def is_chaincode_name(name: str) -> bool:
    return _CHAINCODE_NAME.fullmatch(name) is not None
