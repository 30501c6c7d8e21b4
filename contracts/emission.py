"""Emitting events: who has a rule on one is asked of the contract ``rules``, so that the answer is
in the read set, and each of them is called, in the same simulation.

One object serves one invocation of one contract. What it learns from reactions it passes on:
to the contract that emitted the event it follows, and at the top in the transaction's one event.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tongban.contracts import canonical
from tongban.contracts.canonical import NotCanonical
from tongban.contracts.context import Context
from tongban.contracts.declarations import is_event_name
from tongban.contracts.errors import ContractError, split_message
from tongban.contracts.rules import (
    DEFER_HINT,
    DEPTH_MAX,
    RECORDABLE,
    RULES_CHAINCODE,
    SYSTEM_CONTRACT,
    EmittedEvent,
    Envelope,
    Outcome,
    PendingReaction,
    ReactionOutcome,
    RefusedReaction,
    Report,
    Rule,
    Step,
    parse_report,
    pending_key,
    reaction_id,
    refusal_key,
)
from tongban.contracts.runtime.bridge import Response, StateRefused
from tongban.contracts.values import from_json, to_json
from tongban.protos.digest import sha256

REFUSAL_CHARACTERS_MAX = 500
"""Of a refusal's text that is kept on the ledger."""


class Rules:
    """The rules at work in one invocation (``tongban.contracts.context.RulesHook``)."""

    def __init__(self) -> None:
        self.path: tuple[Step, ...] = ()
        """The events that this invocation follows, the first one first."""
        self.is_reaction = False
        """Whether another contract waits for the report, which is then not made an event."""
        self._events: list[EmittedEvent] = []
        self._reactions: list[ReactionOutcome] = []
        self._ordinal = 0
        self._keyed: set[str] = set()
        """Ids of the keyed reactions of this invocation, which does not see its own writes."""
        self._failure: ContractError | None = None

    @property
    def report(self) -> Report:
        """What was emitted so far, and what followed."""
        return Report(tuple(self._events), tuple(self._reactions))

    def emit(
        self, ctx: Context, name: str, payload: object, key: str
    ) -> tuple[ReactionOutcome, ...]:
        """See :meth:`tongban.contracts.context.Context.emit`."""
        try:
            return self._emit(ctx, name, payload, key)
        except ContractError as error:
            self._failure = self._failure or error
            raise

    def note(self, outcome: ReactionOutcome) -> None:
        """The report tells of this reaction too."""
        self._reactions.append(replace(outcome, result=""))

    def verify(self) -> None:
        """Raises what an emit has raised, though the function may have caught it."""
        if self._failure is not None:
            raise self._failure

    def finish(self, ctx: Context) -> None:
        """The transaction's event tells what was emitted and what followed."""
        self.verify()
        if self.is_reaction or not (self._events or self._reactions):
            return
        if ctx.stub.has_event:
            raise ContractError(
                "TWO_EVENTS", "a transaction has one event: use ctx.emit, or set_event, not both"
            )
        name = self._events[0].name if self._events else self._reactions[0].event
        ctx.stub.set_event(name, to_json(self.report))

    def _emit(
        self, ctx: Context, name: str, payload: object, key: str
    ) -> tuple[ReactionOutcome, ...]:
        self._verify(ctx, name)
        data = _payload_of(name, payload)
        path = (*self.path, Step(ctx.stub.chaincode_name, name, self._ordinal))
        self._ordinal += 1
        self._events.append(EmittedEvent(ctx.stub.chaincode_name, name, sha256(data).hex()))
        deferred = _deferred_targets(ctx.stub.transient)
        outcomes = []
        for rule in active_rules(ctx, ctx.stub.chaincode_name, name):
            identifier = reaction_id(path, rule.id, ctx.tx_id, key)
            envelope = Envelope(identifier, rule.id, path, bool(key))
            if envelope.is_keyed and identifier in self._keyed:
                outcome = _outcome(rule, envelope, Outcome.REPEATED)
            elif rule.unavailable == "defer" and rule.target in deferred:
                outcome = self._defer(ctx, rule, envelope, data)
            else:
                outcome = self._call(ctx, rule, envelope, data)
            self._keyed.add(identifier)
            self.note(outcome)
            outcomes.append(outcome)
        return tuple(outcomes)

    def _verify(self, ctx: Context, name: str) -> None:
        if ctx.stub.is_read_only:
            raise ContractError("READ_ONLY", "an @evaluate function cannot emit events")
        if not is_event_name(name):
            raise ContractError(
                "INVALID_EVENT", f"expected a name like property.booked, found {name[:100]!r}"
            )
        declared = ctx.declared_events
        if name not in declared and (declared or self.path):
            raise ContractError(
                "UNDECLARED_EVENT", f"{ctx.function} emits {name}: declare it with @emits"
            )
        if len(self.path) >= DEPTH_MAX:
            steps = " → ".join(step.event for step in self.path)
            raise ContractError(
                "RULES_TOO_DEEP",
                f"more than {DEPTH_MAX} events follow from each other: {steps} → {name}",
            )

    def _call(self, ctx: Context, rule: Rule, envelope: Envelope, data: bytes) -> ReactionOutcome:
        args: list[str | bytes] = [f"{SYSTEM_CONTRACT}:React", to_json(envelope), data]
        try:
            response = ctx.stub.invoke_chaincode(rule.target, args)
        except StateRefused as error:
            raise ContractError("REACTION_FAILED", f"{rule.target}: {error}") from None
        if response.status >= 400:
            return self._refused(ctx, rule, envelope, response)
        answer = canonical.decode(response.payload.decode("utf-8"))
        report = parse_report(canonical.encode(answer["report"]))
        self._events.extend(report.events)
        self._reactions.extend(report.reactions)
        return _outcome(rule, envelope, Outcome(answer["outcome"]), result=answer["result"])

    def _refused(
        self, ctx: Context, rule: Rule, envelope: Envelope, response: Response
    ) -> ReactionOutcome:
        code, text = split_message(response.message)
        details = _details_of(response.payload)
        if rule.refused == "abort" or details.get(RECORDABLE) is not True:
            raise ContractError(
                code,
                text,
                {"rule": rule.id, "target": rule.target},
                status=min(response.status, 599),
            )
        refusal = RefusedReaction(
            envelope.id,
            rule.id,
            rule.source,
            rule.event,
            rule.target,
            code,
            text[:REFUSAL_CHARACTERS_MAX],
            ctx.tx_id,
            ctx.timestamp,
        )
        ctx.stub.put_state(refusal_key(rule.id, envelope.id), to_json(refusal))
        return _outcome(rule, envelope, Outcome.REFUSED, code=code)

    def _defer(self, ctx: Context, rule: Rule, envelope: Envelope, data: bytes) -> ReactionOutcome:
        key = pending_key(rule.target, envelope.id)
        if envelope.is_keyed and ctx.stub.get_state(key):
            return _outcome(rule, envelope, Outcome.REPEATED)
        pending = PendingReaction(
            envelope.id,
            rule.id,
            rule.source,
            rule.event,
            rule.target,
            envelope.path,
            canonical.decode(data.decode("utf-8")),
            ctx.tx_id,
            ctx.timestamp,
            envelope.is_keyed,
        )
        ctx.stub.put_state(key, to_json(pending))
        return _outcome(rule, envelope, Outcome.DEFERRED)


def active_rules(ctx: Context, source: str, event: str) -> tuple[Rule, ...]:
    """The approved rules on an event in their order.

    Raises:
        ContractError: RULES_UNAVAILABLE, the contract that keeps them cannot be asked.
    """
    try:
        found = ctx.stub.ask(RULES_CHAINCODE, "ForEvent", source, event)
    except StateRefused as error:
        raise ContractError(
            "RULES_UNAVAILABLE", f"the contract {RULES_CHAINCODE!r} cannot be asked: {error}"
        ) from None
    return tuple(from_json(list[Rule], found))


def _outcome(
    rule: Rule, envelope: Envelope, outcome: Outcome, *, code: str = "", result: str = ""
) -> ReactionOutcome:
    return ReactionOutcome(
        rule.id, envelope.id, rule.source, rule.event, rule.target, outcome, code, result
    )


def _payload_of(name: str, payload: object) -> bytes:
    data = to_json(payload)
    if not data.startswith(b"{"):
        raise ContractError(
            "INVALID_EVENT", f"{name}: expected a dataclass or a dict as payload, an object in JSON"
        )
    return data


def _deferred_targets(transient: Mapping[str, bytes]) -> frozenset[str]:
    hint = transient.get(DEFER_HINT)
    return frozenset(from_json(list[str], hint)) if hint else frozenset()


def _details_of(payload: bytes) -> Mapping[str, Any]:
    try:
        found = canonical.decode(payload.decode("utf-8"))
    except (NotCanonical, UnicodeDecodeError):
        return {}
    details = found.get("details") if isinstance(found, dict) else None
    return details if isinstance(details, dict) else {}
