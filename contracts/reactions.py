"""Reacting: the functions that every package answers under ``org.tongban.rules``.

    Describe                         what the package declares                            evaluate
    React(envelope, payload)         run a reaction, for the contract that emits
    RunDeferred(source, id, close)   run one that was deferred, for its department's worker
    Done(id)                         whether a reaction has happened                      evaluate
    Pending(target, bookmark, size)  deferred reactions that wait                         evaluate
    ReadPending(target, id)          one of them                                          evaluate
    TakePending(target, id)          the same, and it no longer waits; for RunDeferred
    ClosePending(target, id)         it no longer waits, since it has happened

The first four concern the contract that reacts, the others the one that emitted.

A reaction trusts an envelope because of three things that a client cannot forge: the client's
signed proposal is for another contract, one of those on the event's way; the rule is active, which
the reacting side reads for itself; and its own function declares it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tongban.contracts import canonical
from tongban.contracts.composite import partial_range
from tongban.contracts.context import Context
from tongban.contracts.emission import REFUSAL_CHARACTERS_MAX, Rules, active_rules
from tongban.contracts.errors import ContractError
from tongban.contracts.function import Function
from tongban.contracts.proposals import client_call
from tongban.contracts.rules import (
    PENDING,
    RECORDABLE,
    SYSTEM_CONTRACT,
    DoneReaction,
    Envelope,
    Outcome,
    PendingReaction,
    ReactionContext,
    ReactionOutcome,
    Rule,
    Step,
    done_key,
    pending_key,
)
from tongban.contracts.runtime.bridge import Response
from tongban.contracts.values import from_json, to_json

PAGE_SIZE_MAX = 500


class Package(Protocol):
    """What is asked of the package that these functions stand for."""

    @property
    def description(self) -> bytes:
        """Serialized ``Description``."""
        ...

    @property
    def department(self) -> str: ...

    def find_function(self, name: str) -> Function | None:
        """By full name, ``Contract:function``."""
        ...

    def run(self, ctx: Context, name: str, args: Sequence[bytes]) -> Response:
        """Run a function by its full name, with the contract's hooks."""
        ...


@dataclass(frozen=True, slots=True)
class PendingPage:
    """Some of the reactions that wait, in the order of their ids."""

    pending: tuple[PendingReaction, ...]
    bookmark: str
    """For the next page; empty at the end."""


def answer(package: Package, ctx: Context, function: str) -> Response | None:
    """The answer of one of these functions; None if there is no such one."""
    found = _FUNCTIONS.get(function)
    if found is None:
        return None
    work, count, is_submit = found
    args = ctx.stub.args[1:]
    if len(args) != count:
        raise ContractError("", f"Expected {count} parameters, but {len(args)} have been supplied")
    ctx.stub.is_read_only = not is_submit
    return Response(200, "", work(package, ctx, args))


def _describe(package: Package, ctx: Context, args: Sequence[bytes]) -> bytes:
    return package.description


def _react(package: Package, ctx: Context, args: Sequence[bytes]) -> bytes:
    envelope, payload = from_json(Envelope, args[0]), args[1]
    hook = _hook_of(ctx)
    hook.is_reaction = True
    _verify_way(ctx, envelope)
    rule = _verified_rule(package, ctx, envelope)
    if envelope.is_keyed and _has_happened(ctx, envelope.id):
        return _to_answer(hook, Outcome.REPEATED, b"")
    try:
        result = _run(package, ctx, rule, envelope, payload, ctx.tx_id)
    except ContractError as error:
        # What was written before another contract was called cannot be taken back, so then the
        # refusal has to end the whole transaction.
        details = {**error.details, RECORDABLE: not ctx.stub.has_called_others}
        raise ContractError(error.code, error.text, details, status=error.status) from None
    if envelope.is_keyed:
        done = DoneReaction(envelope.id, rule.id, rule.source, ctx.tx_id, ctx.tx_id, Outcome.DONE)
        ctx.stub.put_state(done_key(envelope.id), to_json(done))
    return _to_answer(hook, Outcome.DONE, result)


def _run_deferred(package: Package, ctx: Context, args: Sequence[bytes]) -> bytes:
    source, identifier = _text(args[0]), _text(args[1])
    must_close = from_json(bool, args[2])
    if package.department:
        ctx.client.require_organization(package.department)
    pending = _verified_pending(ctx, source, identifier, must_close)
    steps = tuple(pending.path)
    envelope = Envelope(identifier, pending.rule, steps, pending.is_keyed)
    rule = _verified_rule(package, ctx, envelope)
    hook = _hook_of(ctx)
    outcome, code, text = Outcome.DONE, "", ""
    called_before, ctx.stub.has_called_others = ctx.stub.has_called_others, False
    mark = ctx.stub.mark_writes()
    try:
        _run(package, ctx, rule, envelope, canonical.encode(pending.payload), pending.tx_id)
    except ContractError as error:
        if ctx.stub.has_called_others:
            raise
        ctx.stub.drop_writes(mark)
        outcome, code, text = Outcome.REFUSED, error.code, error.text[:REFUSAL_CHARACTERS_MAX]
    ctx.stub.has_called_others = ctx.stub.has_called_others or called_before
    done = DoneReaction(identifier, rule.id, source, ctx.tx_id, pending.tx_id, outcome, code, text)
    ctx.stub.put_state(done_key(identifier), to_json(done))
    hook.note(ReactionOutcome(rule.id, identifier, source, rule.event, rule.target, outcome, code))
    return to_json(done)


def _done(package: Package, ctx: Context, args: Sequence[bytes]) -> bytes:
    return ctx.stub.get_state(done_key(_text(args[0])))


def _pending(package: Package, ctx: Context, args: Sequence[bytes]) -> bytes:
    size = from_json(int, args[2])
    if not 1 <= size <= PAGE_SIZE_MAX:
        raise ContractError("INVALID_ARGUMENT", f"expected a size from 1 to {PAGE_SIZE_MAX}")
    target = [_text(args[0])] if args[0] else []
    start, _ = partial_range(PENDING, target)
    bookmark = _text(args[1])
    page = ctx.stub.get_state_by_partial_composite_key_with_pagination(
        PENDING, target, size, bookmark if bookmark >= start else ""
    )
    entries = tuple(from_json(PendingReaction, row.value) for row in page.rows)
    return to_json(PendingPage(entries, page.bookmark))


def _read_pending(package: Package, ctx: Context, args: Sequence[bytes]) -> bytes:
    return _stored_pending(ctx, _text(args[0]), _text(args[1]))


def _take_pending(package: Package, ctx: Context, args: Sequence[bytes]) -> bytes:
    target, identifier = _text(args[0]), _text(args[1])
    called = client_call(ctx.stub.signed_proposal)
    expected = f"{SYSTEM_CONTRACT}:RunDeferred".encode()
    if called.chaincode != target or called.args[:1] != (expected,):
        raise ContractError("ACCESS_DENIED", f"only RunDeferred of {target} takes what waits")
    found = _stored_pending(ctx, target, identifier)
    ctx.stub.delete_state(pending_key(target, identifier))
    return found


def _close_pending(package: Package, ctx: Context, args: Sequence[bytes]) -> bytes:
    target, identifier = _text(args[0]), _text(args[1])
    pending = from_json(PendingReaction, _stored_pending(ctx, target, identifier))
    found = ctx.stub.ask(target, f"{SYSTEM_CONTRACT}:Done", identifier)
    done = from_json(DoneReaction, found) if found else None
    is_settled = done is not None and (
        done.outcome is Outcome.DONE or done.origin_tx_id == pending.tx_id
    )
    if not is_settled:
        raise ContractError("NOT_DONE", f"reaction {identifier} has not happened yet")
    ctx.stub.delete_state(pending_key(target, identifier))
    return found


def _run(  # noqa: PLR0917 - the parts of one reaction
    package: Package,
    ctx: Context,
    rule: Rule,
    envelope: Envelope,
    payload: bytes,
    origin_tx_id: str,
) -> bytes:
    """What the reaction returns, after what it emitted went well."""
    hook = _hook_of(ctx)
    hook.path = tuple(Step(*step) for step in envelope.path)
    ctx.reaction = ReactionContext(
        rule.id,
        envelope.id,
        rule.source,
        rule.event,
        origin_tx_id,
        origin_tx_id != ctx.tx_id,
    )
    response = package.run(ctx, rule.function, [payload])
    hook.verify()
    if response.status >= 400:
        raise ContractError("", response.message, status=min(response.status, 599))
    return response.payload


def _has_happened(ctx: Context, identifier: str) -> bool:
    stored = ctx.stub.get_state(done_key(identifier))
    return bool(stored) and from_json(DoneReaction, stored).outcome is Outcome.DONE


def _verify_way(ctx: Context, envelope: Envelope) -> None:
    called = client_call(ctx.stub.signed_proposal)
    is_direct = called == (ctx.stub.chaincode_name, ctx.stub.args)
    if is_direct or called.chaincode not in [source for source, _, _ in envelope.path]:
        raise ContractError(
            "ACCESS_DENIED", "a reaction runs when its event is emitted; clients cannot call it"
        )


def _verified_rule(package: Package, ctx: Context, envelope: Envelope) -> Rule:
    """The active rule of the envelope, which the function declares as it was approved."""
    own = ctx.stub.chaincode_name
    for rule in active_rules(ctx, envelope.source, envelope.event):
        if rule.id == envelope.rule and rule.target == own:
            break
    else:
        raise ContractError("RULE_NOT_ACTIVE", f"no active rule {envelope.rule} of {own}")
    function = package.find_function(rule.function)
    if (
        function is None
        or (rule.source, rule.event) not in [(one.source, one.event) for one in function.reactions]
        or not set(function.emits) <= set(rule.emits)
        or package.department != rule.target_department
    ):
        raise ContractError(
            "RULE_OUTDATED",
            f"{own} declares {rule.function} otherwise than rule {rule.id} was approved; "
            "propose and approve it again",
            {RECORDABLE: True},
        )
    return rule


def _verified_pending(
    ctx: Context, source: str, identifier: str, must_close: bool
) -> PendingReaction:
    """What waits, and has not happened."""
    stored = ctx.stub.get_state(done_key(identifier))
    done = from_json(DoneReaction, stored) if stored else None
    already = ContractError("ALREADY_DONE", f"reaction {identifier} has happened already")
    if done is not None and done.outcome is Outcome.DONE:
        raise already
    try:
        pending = _fetch_pending(ctx, source, identifier, must_close)
    except ContractError as error:
        raise already if done is not None and error.code == "NOT_PENDING" else error from None
    # What was refused may be emitted again under its key, by another transaction.
    if done is not None and done.origin_tx_id == pending.tx_id:
        raise already
    return pending


def _fetch_pending(ctx: Context, source: str, identifier: str, must_close: bool) -> PendingReaction:
    own = ctx.stub.chaincode_name
    if must_close:
        found = ctx.stub.call(source, f"{SYSTEM_CONTRACT}:TakePending", own, identifier)
    else:
        found = ctx.stub.ask(source, f"{SYSTEM_CONTRACT}:ReadPending", own, identifier)
    pending = from_json(PendingReaction, found)
    if (pending.source, pending.target, pending.id) != (source, own, identifier):
        raise ContractError("NOT_PENDING", f"{source} keeps something else under {identifier}")
    return pending


def _stored_pending(ctx: Context, target: str, identifier: str) -> bytes:
    found = ctx.stub.get_state(pending_key(target, identifier))
    if not found:
        raise ContractError("NOT_PENDING", f"no reaction {identifier} of {target} waits")
    return found


def _to_answer(hook: Rules, outcome: Outcome, result: bytes) -> bytes:
    report = canonical.decode(to_json(hook.report).decode("utf-8"))
    text = result.decode("utf-8", "replace")
    return canonical.encode({"outcome": outcome.value, "report": report, "result": text})


def _hook_of(ctx: Context) -> Rules:
    if not isinstance(ctx.rules, Rules):
        raise ContractError("NO_RULES", "this package was loaded without rules")
    return ctx.rules


def _text(argument: bytes) -> str:
    try:
        return argument.decode("utf-8")
    except UnicodeDecodeError:
        raise ContractError("INVALID_ARGUMENT", "expected UTF-8 text") from None


_Work = Callable[[Package, Context, Sequence[bytes]], bytes]

_FUNCTIONS: Mapping[str, tuple[_Work, int, bool]] = {
    "Describe": (_describe, 0, False),
    "React": (_react, 2, True),
    "RunDeferred": (_run_deferred, 3, True),
    "Done": (_done, 1, False),
    "Pending": (_pending, 3, False),
    "ReadPending": (_read_pending, 2, False),
    "TakePending": (_take_pending, 2, True),
    "ClosePending": (_close_pending, 2, True),
}
"""Work, number of arguments, and whether it may write."""
