"""Rules between contracts: what is agreed, and what goes from one contract to another.

A contract emits an event; the rules on it, read from the contract ``rules``, say which contracts
react, in which order. Each is called in the same transaction, so all of it happens or nothing does,
and the peers of all departments concerned have to endorse it.

The payload of an event may come to lie on the ledger, if a reaction is deferred. So it holds no
personal values; these travel in transient data, which a reaction of the same transaction sees too.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

from tongban.contracts import canonical
from tongban.contracts.composite import create_composite_key
from tongban.contracts.declarations import Refused, Unavailable, emits, on
from tongban.contracts.values import from_json, to_json

__all__ = [
    "RULES_CHAINCODE",
    "Outcome",
    "PendingReaction",
    "ReactionContext",
    "ReactionOutcome",
    "RefusedReaction",
    "Rule",
    "content_hash",
    "emits",
    "on",
]

RULES_CHAINCODE: Final = "rules"
"""Name under which a channel has the contract that keeps the rules."""

SYSTEM_CONTRACT: Final = "org.tongban.rules"
"""Every package answers under this name: calls between contracts, and questions of tools."""

DEFER_HINT: Final = "tongban-defer"
"""Transient entry, a JSON list of chaincodes: their reactions are to be deferred where the rule
allows it. A client sends it when their department's peers cannot be reached."""

DEPTH_MAX: Final = 8
"""Events that follow from each other in one transaction."""

REACTIONS_MAX: Final = 32
"""Rules on one event."""

RECORDABLE: Final = "can_be_recorded"
"""In the details of a reaction's refusal: none of what it wrote is in the transaction."""

PENDING: Final = "~tongban~pending"
DONE: Final = "~tongban~done"
REFUSAL: Final = "~tongban~refusal"
"""Types of composite keys in the namespaces of emitting (pending, refusal) and reacting (done)
contracts."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``function`` of ``target`` follows ``event`` of ``source``: what departments approve."""

    id: str
    source: str
    event: str
    target: str
    function: str
    refused: Refused
    unavailable: Unavailable
    order: int
    source_department: str
    """MSP id of the department that answers for the source."""
    target_department: str
    emits: tuple[str, ...] = ()
    """Events that the function may emit in turn."""


def content_hash(rule: Rule) -> str:
    """SHA-256 of the rule's canonical JSON, in hex: what an approval is for."""
    return hashlib.sha256(to_json(rule)).hexdigest()


class Step(NamedTuple):
    """One event on the way from the client's call to a reaction."""

    source: str
    event: str
    ordinal: int
    """Of the event among those of its function, from 0."""


class Outcome(StrEnum):
    """How a reaction went."""

    DONE = "done"
    REFUSED = "refused"
    """Recorded; the emitting transaction goes on."""
    DEFERRED = "deferred"
    REPEATED = "repeated"
    """It has happened before, under the same key; nothing was done."""


@dataclass(frozen=True, slots=True)
class ReactionOutcome:
    """How one reaction went, as the emitting function learns it and the event tells it."""

    rule: str
    id: str
    source: str
    event: str
    target: str
    outcome: Outcome
    code: str = ""
    """Code of the refusal."""
    result: str = ""
    """What the reaction returned, for its emitter only; not part of the event."""


@dataclass(frozen=True, slots=True)
class ReactionContext:
    """What the function that runs now follows (``ctx.reaction``)."""

    rule: str
    id: str
    """The same for a reaction whether it is run at once or later."""
    source: str
    event: str
    origin_tx_id: str
    """The transaction that emitted the event: this one, unless deferred."""
    is_deferred: bool


@dataclass(frozen=True, slots=True)
class PendingReaction:
    """A deferred reaction, in the namespace of the contract that emitted the event."""

    id: str
    rule: str
    source: str
    event: str
    target: str
    path: tuple[tuple[str, str, int], ...]
    payload: Any  # any JSON object
    tx_id: str
    at: datetime
    is_keyed: bool


@dataclass(frozen=True, slots=True)
class RefusedReaction:
    """A refusal that did not stop the emitting transaction, in the emitting contract's
    namespace."""

    id: str
    rule: str
    source: str
    event: str
    target: str
    code: str
    text: str
    tx_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class DoneReaction:
    """That a reaction has happened, in the namespace of the contract that reacted."""

    id: str
    rule: str
    source: str
    tx_id: str
    """The transaction in which it happened."""
    origin_tx_id: str
    outcome: Outcome
    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an emitting contract sends along with the payload."""

    id: str
    rule: str
    path: tuple[tuple[str, str, int], ...]
    is_keyed: bool

    @property
    def source(self) -> str:
        return self.path[-1][0]

    @property
    def event(self) -> str:
        return self.path[-1][1]


@dataclass(frozen=True, slots=True)
class EmittedEvent:
    """An event as the transaction's Fabric event lists it. Not its payload, which whoever needs
    it reads from the ledger under access rules of its own."""

    source: str
    name: str
    payload_hash: str
    """SHA-256 of the payload's canonical JSON, in hex."""


@dataclass(frozen=True, slots=True)
class Report:
    """What happened in a transaction: the payload of its event, and what a reacting contract
    answers to the emitting one."""

    events: tuple[EmittedEvent, ...] = ()
    reactions: tuple[ReactionOutcome, ...] = ()


def reaction_id(path: Sequence[Step], rule: str, tx_id: str, key: str) -> str:
    """The name of one reaction: of the transaction and the place in it, or of the business
    operation if the emitter gave a ``key``, so that it happens once however often it is emitted."""
    last = path[-1]
    found: list[Any]  # a mixed list is what JSON takes
    if key:
        found = ["key", last.source, last.event, rule, key]
    else:
        found = ["transaction", tx_id, rule, [list(step) for step in path]]
    return hashlib.sha256(canonical.encode(found)).hexdigest()


def pending_key(target: str, identifier: str) -> str:
    return create_composite_key(PENDING, [target, identifier])


def done_key(identifier: str) -> str:
    return create_composite_key(DONE, [identifier])


def refusal_key(rule: str, identifier: str) -> str:
    return create_composite_key(REFUSAL, [rule, identifier])


def parse_report(payload: bytes) -> Report:
    """The report in the event of a transaction that emitted through rules.

    Raises:
        ContractError: INVALID_VALUE, it is something else.
    """
    return from_json(Report, payload)


def declared_rules(descriptions: Mapping[str, "Description"]) -> list[Rule]:
    """The rules that these chaincodes declare about each other, by id. Those whose source is not
    among them are left out."""
    found = []
    for target, description in descriptions.items():
        for declared in description.reactions:
            source = descriptions.get(declared.source)
            if source is None:
                continue
            found.append(
                Rule(
                    f"{declared.source}.{declared.event}.{target}.{declared.function}",
                    declared.source,
                    declared.event,
                    target,
                    declared.function,
                    declared.refused,
                    declared.unavailable,
                    declared.order,
                    source.department,
                    description.department,
                    declared.emits,
                )
            )
    return sorted(found, key=lambda rule: rule.id)


@dataclass(frozen=True, slots=True)
class DeclaredReaction:
    """One ``@on`` of a package."""

    event: str
    source: str
    refused: Refused
    unavailable: Unavailable
    order: int
    function: str
    """With its contract's name, ``Contract:function``."""
    emits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """What a package says about rules (function ``org.tongban.rules:Describe``)."""

    department: str
    emits: tuple[str, ...]
    """All events that its functions declare."""
    reactions: tuple[DeclaredReaction, ...]
