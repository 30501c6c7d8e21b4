"""Submitting where another department's reaction may wait.

A contract's event may have reactions of other departments, whose peers then have to endorse. If
they cannot be reached, the same call is submitted with a hint in its transient data; the contract
then writes down the reactions whose rules allow it, instead of calling them, and a worker of that
department runs them later. Rules that do not allow it still refuse.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..errors import EndorseError, StatusCode
from .calls import Call
from .commands import Flow, Timeouts
from .flows import MISMATCH_TEXT, Committed, submit_with_retries
from .signable import Party, SignableProposal

DEFER_HINT = "tongban-defer"
"""Transient entry, a JSON list of chaincodes (``tongban.contracts.rules``)."""

UNAVAILABLE_TEXT = "unavailability of peers"
"""In the message of a gateway that knows too few live endorsers (fabric
internal/pkg/gateway/registry.go)."""

CONTRACT_TEXT = "chaincode response"
"""In a detail of a failed endorsement: the contract refused, which waiting does not change."""


@dataclass(frozen=True, slots=True)
class CommittedOrDeferred:
    """A transaction that took effect, with or without the other departments' reactions."""

    committed: Committed
    deferred: tuple[str, ...]
    """The chaincodes whose reactions were allowed to wait; empty if all happened at once."""
    reason: str
    """Why, in the gateway's words; empty if nothing was deferred."""


@dataclass(frozen=True, slots=True)
class Deferral:
    """Whose reactions may wait, and who endorses then."""

    chaincodes: Sequence[str]
    endorsing_organizations: Sequence[str] = ()
    """Empty: as the policies ask for."""


def submit_or_defer(
    propose: Callable[[Call], SignableProposal],
    call: Call,
    deferral: Deferral,
    party: Party,
    timeouts: Timeouts,
) -> Flow[CommittedOrDeferred]:
    """Submit, and if endorsers cannot be reached, submit with the hint.

    Nothing was ordered when that is found out, so the call cannot take effect twice.

    Raises:
        EndorseError, SubmitError, CommitStatusError, CommitError: as ``submit``.
    """
    attempts = 2
    for attempt in range(attempts):
        try:
            flow = submit_with_retries(lambda: propose(call), party, timeouts, call.retries)
            return CommittedOrDeferred((yield from flow), (), "")
        except EndorseError as error:
            # A gateway may learn only now that a peer is gone. Asked again it knows, and either
            # chooses others or says that there are too few.
            if is_unavailable(error):
                reason = error.message
                break
            if attempt + 1 == attempts or not may_be_unavailable(error):
                raise
    hint = json.dumps(list(deferral.chaincodes))
    waiting = replace(
        call,
        transient={**call.transient, DEFER_HINT: hint},
        endorsing_organizations=deferral.endorsing_organizations,
    )
    flow = submit_with_retries(lambda: propose(waiting), party, timeouts, call.retries)
    return CommittedOrDeferred((yield from flow), tuple(deferral.chaincodes), reason)


def is_unavailable(error: EndorseError) -> bool:
    """Whether the gateway says that endorsers are missing."""
    if error.code == StatusCode.UNAVAILABLE:
        return "any endorsing peers" in error.message
    return error.code == StatusCode.FAILED_PRECONDITION and UNAVAILABLE_TEXT in error.message


def may_be_unavailable(error: EndorseError) -> bool:
    """Whether some endorser failed otherwise than by refusing or differing."""
    if error.code != StatusCode.ABORTED:
        return False
    return any(
        CONTRACT_TEXT not in detail.message and MISMATCH_TEXT not in detail.message
        for detail in error.details
    )
