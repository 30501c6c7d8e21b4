"""The contract ``rules``: what departments have agreed follows from what.

A rule begins as a proposal. It is active when the departments of both contracts have approved the
same content, and stays so until one of them withdraws it, or until a new content of it has both
approvals. What a rule says has to be what its contracts declare; so the contracts are asked, and
every peer that endorses here has to run them.

Composite keys: ``rule``, id: all that is known of a rule. ``active``, source, event: the active
rules on an event in their order; this one key is what a transaction that emits reads.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from tongban.contracts import Context, Contract, ContractError, evaluate, from_json, submit, to_json
from tongban.contracts.rule_graph import Edge, edges_of, find_circle, in_order
from tongban.contracts.rules import (
    REACTIONS_MAX,
    SYSTEM_CONTRACT,
    Description,
    Rule,
    content_hash,
    declared_rules,
)

RULE = "rule"
ACTIVE = "active"

RULES_MAX = 1_000
"""Rules of a channel: all are read when one becomes active."""

DUTY = "rules"
"""Attribute ``duty`` of those who may propose and approve without being administrators."""


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """All that is known of a rule."""

    id: str
    active: Rule | None
    proposed: Rule | None
    content_hash: str
    """Of the proposed content; empty if nothing is proposed."""
    proposed_by: str
    """MSP id."""
    proposed_at: datetime
    approvals: dict[str, str] = field(default_factory=dict)
    """MSP ids of departments that have approved the proposed content, with its hash."""


class Rules(Contract):
    """Rules between contracts, and who has approved them."""

    @submit(name="Propose")
    def propose(self, ctx: Context, rule: Rule) -> str:
        """Propose a new rule, or a new content of one, just as its contracts declare it. Returns
        the hash to approve."""
        _require_authority(ctx)
        _verify_declared(ctx, rule)
        record = self._find(ctx, rule.id)
        found = content_hash(rule)
        if record is not None and record.active == rule:
            raise ContractError("ALREADY_ACTIVE", f"rule {rule.id} is active with this content")
        if record is not None and record.content_hash == found:
            raise ContractError(
                "ALREADY_PROPOSED", f"rule {rule.id} is proposed with this content: approve {found}"
            )
        self._put(
            ctx,
            RuleRecord(
                rule.id,
                record.active if record else None,
                rule,
                found,
                ctx.client.mspid,
                ctx.timestamp,
            ),
        )
        return found

    @submit(name="Approve")
    def approve(self, ctx: Context, rule_id: str, content_hash: str) -> bool:
        """Approve the proposed content on behalf of the caller's department. Returns whether the
        rule is active with it now."""
        _require_authority(ctx)
        record = self._get(ctx, rule_id)
        rule = record.proposed
        if rule is None or record.content_hash != content_hash:
            found = record.content_hash or "nothing"
            raise ContractError(
                "OTHER_CONTENT", f"rule {rule_id}: {found} is proposed, not {content_hash[:64]}"
            )
        concerned = sorted({rule.source_department, rule.target_department})
        ctx.client.require_organization(*concerned)
        approvals = {**record.approvals, ctx.client.mspid: content_hash}
        if any(approvals.get(mspid) != content_hash for mspid in concerned):
            self._put(ctx, replace(record, approvals=approvals))
            return False
        _verify_declared(ctx, rule)
        self._activate(ctx, replace(record, approvals=approvals), rule)
        return True

    @submit(name="Withdraw")
    def withdraw(self, ctx: Context, rule_id: str) -> None:
        """Neither the rule nor a proposal of it holds any more. Either department may do this
        alone; who proposed may take a proposal back."""
        _require_authority(ctx)
        record = self._get(ctx, rule_id)
        concerned = {record.proposed_by} if record.active is None else set()
        for rule in (record.active, record.proposed):
            if rule is not None:
                concerned |= {rule.source_department, rule.target_department}
        ctx.client.require_organization(*sorted(concerned))
        if record.active is not None:
            self._put_active(ctx, record.active, [])
        ctx.stub.delete_state(ctx.stub.create_composite_key(RULE, [rule_id]))

    @evaluate(name="ForEvent")
    def for_event(self, ctx: Context, source: str, event: str) -> list[Rule]:
        """The active rules on an event, in their order."""
        value = ctx.stub.get_state(_active_key(ctx, source, event))
        return from_json(list[Rule], value) if value else []

    @evaluate(name="Get")
    def get(self, ctx: Context, rule_id: str) -> RuleRecord:
        """All that is known of a rule."""
        return self._get(ctx, rule_id)

    @evaluate(name="List")
    def list_rules(self, ctx: Context) -> list[RuleRecord]:
        """All rules, active and proposed, by id."""
        rows = ctx.stub.get_state_by_partial_composite_key(RULE)
        return [from_json(RuleRecord, row.value) for row in rows]

    @evaluate(name="Graph")
    def graph(self, ctx: Context) -> list[Edge]:
        """Which events lead to which by the active rules."""
        return edges_of(_active_of(self.list_rules(ctx)))

    def _activate(self, ctx: Context, record: RuleRecord, rule: Rule) -> None:
        records = self.list_rules(ctx)
        if len(records) > RULES_MAX:
            raise ContractError("TOO_MANY_RULES", f"a channel has at most {RULES_MAX} rules")
        others = [one for one in _active_of(records) if one.id != rule.id]
        circle = find_circle([*others, rule])
        if circle:
            way = " → ".join(map(str, circle))
            raise ContractError(
                "CIRCLE", f"with rule {rule.id} events would follow from themselves: {way}"
            )
        previous = record.active
        if previous is not None and _event_of(previous) != _event_of(rule):
            self._put_active(ctx, previous, [])
        self._put_active(ctx, rule, [rule])
        self._put(ctx, replace(record, active=rule, proposed=None, content_hash=""))

    def _put_active(self, ctx: Context, rule: Rule, new: list[Rule]) -> None:
        """The rules on the rule's event are the present ones, without it, and with the new."""
        present = self.for_event(ctx, rule.source, rule.event)
        rules = in_order([*(one for one in present if one.id != rule.id), *new])
        if len(rules) > REACTIONS_MAX:
            raise ContractError("TOO_MANY_RULES", f"an event has at most {REACTIONS_MAX} rules")
        key = _active_key(ctx, rule.source, rule.event)
        ctx.stub.put_state(key, to_json(rules, list[Rule]) if rules else b"")

    def _find(self, ctx: Context, rule_id: str) -> RuleRecord | None:
        value = ctx.stub.get_state(ctx.stub.create_composite_key(RULE, [rule_id]))
        return from_json(RuleRecord, value) if value else None

    def _get(self, ctx: Context, rule_id: str) -> RuleRecord:
        record = self._find(ctx, rule_id)
        if record is None:
            raise ContractError("NOT_FOUND", f"there is no rule {rule_id[:200]!r}")
        return record

    def _put(self, ctx: Context, record: RuleRecord) -> None:
        ctx.stub.put_state(ctx.stub.create_composite_key(RULE, [record.id]), to_json(record))


def _require_authority(ctx: Context) -> None:
    if not ctx.client.has_role("admin"):
        ctx.client.require_attribute("duty", DUTY)


def _verify_declared(ctx: Context, rule: Rule) -> None:
    """The contracts of the rule declare just this."""
    descriptions = {
        name: from_json(Description, ctx.stub.ask(name, f"{SYSTEM_CONTRACT}:Describe"))
        for name in sorted({rule.source, rule.target})
    }
    for name, described in descriptions.items():
        if not described.department:
            raise ContractError(
                "NO_DEPARTMENT", f"{name} does not say which department answers for it"
            )
    emitted = descriptions[rule.source].emits
    if emitted and rule.event not in emitted:
        raise ContractError(
            "NOT_DECLARED", f"{rule.source} emits {', '.join(emitted)}, not {rule.event}"
        )
    # The id is part of it, so that no reaction can be agreed twice under two names.
    if rule in declared_rules(descriptions):
        return
    raise ContractError(
        "NOT_DECLARED",
        f"{rule.target} does not declare that {rule.function} reacts to {rule.event} of "
        f"{rule.source} as the rule says",
    )


def _active_of(records: list[RuleRecord]) -> list[Rule]:
    return [record.active for record in records if record.active is not None]


def _event_of(rule: Rule) -> tuple[str, str]:
    return rule.source, rule.event


def _active_key(ctx: Context, source: str, event: str) -> str:
    return ctx.stub.create_composite_key(ACTIVE, [source, event])
