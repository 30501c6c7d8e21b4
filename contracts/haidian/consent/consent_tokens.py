"""Consent as a record: who allows which department what, for one purpose, in one case, once.

A token is granted on the word of a citizen's agent and an identity check of the citizen. The
grantee's contract uses it up in the very transaction that acts on it, so a use and its effect are
both on the ledger or neither is. A token that was revoked earlier in the order of blocks is not
there for that transaction: its read of the token is out of date. What was done before stands, with
a receipt (个人信息保护法, article 15).

Values of people are no part of a token: ``items`` names catalogue entries.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from tongban.contracts import Context, Contract, ContractError, evaluate, from_json, submit, to_json
from tongban.contracts.declarations import emits
from tongban.contracts.personal import commit_key, open_key, read_person
from tongban.contracts.types import CaseNumber

BUREAU: Final = "BureauMSP"
AUTH: Final = "auth"

VALID_SECONDS_MAX: Final = 24 * 60 * 60
"""Longest life of a token, by the ledger's time."""

LEVEL_NEEDED: Final = 3
"""Of the identity check behind a consent: a live face, or a read card and a face."""

ITEMS_MAX: Final = 20
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Place(Enum):
    """Where consent was given."""

    WINDOW = "window"
    TERMINAL = "terminal"
    APP = "app"


class State(Enum):
    """Of a token. That its time has passed is told by the clock of whoever asks."""

    GRANTED = "granted"
    USED = "used"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed to."""

    case_no: CaseNumber
    purpose: str
    """Code of the purpose."""
    grantee: str
    """MSP id of the one department that may use it."""
    items: tuple[str, ...]
    """Catalogue entries, all of which the citizen was shown."""
    wording: str
    """Version of the text that was shown."""
    place: Place
    valid_seconds: int = VALID_SECONDS_MAX


@dataclass(frozen=True, slots=True)
class Receipt:
    """That a token was used: what for, when and in which transaction."""

    tx_id: str
    used_at: datetime
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """A consent on the ledger."""

    id: str
    subject: str
    """Keyed hash of the identity number."""
    terms: Terms
    proof: str
    """The identity check behind it."""
    granted_at: datetime
    not_after: datetime
    state: State = State.GRANTED
    receipt: Receipt | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """What a contract wants to do on the strength of a token."""

    token: str
    case_no: CaseNumber
    purpose: str
    grantee: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Revoked:
    """Payload of the event ``consent.revoked``."""

    token: str
    case_no: CaseNumber
    grantee: str


class Consent(Contract):
    """授权链: consent of single citizens for single cases."""

    department = BUREAU

    @submit
    def commit_subject_key(self, ctx: Context, commitment: str) -> None:
        """Fix the key under which subjects are known. Once, by the bureau's administrator."""
        ctx.client.require_organization(BUREAU)
        ctx.client.require_role("admin")
        commit_key(ctx, commitment)

    @submit
    def grant(self, ctx: Context, terms: Terms, proof: str) -> Token:
        """The person in the transient data agrees to the terms; the token's id is the
        transaction's."""
        _require_agent(ctx)
        _verify_form(terms)
        subject = _present_person(ctx, proof)
        until = ctx.timestamp + timedelta(seconds=terms.valid_seconds)
        token = Token(ctx.tx_id, subject, terms, proof, ctx.timestamp, until)
        return _put(ctx, token)

    @emits("consent.revoked")
    @submit
    def revoke(self, ctx: Context, token_id: str, proof: str) -> Token:
        """The person in the transient data, whose token it is, takes it back. Contracts of the
        grantee hear of it in this transaction."""
        _require_agent(ctx)
        subject = _present_person(ctx, proof)
        token = _get(ctx, token_id)
        if token.subject != subject:
            raise ContractError("CONSENT_OF_ANOTHER", "somebody else gave it（非本人授权）")
        if token.state is State.REVOKED:
            return token
        revoked = _put(ctx, replace(token, state=State.REVOKED, revoked_at=ctx.timestamp))
        terms = token.terms
        ctx.emit("consent.revoked", Revoked(token.id, terms.case_no, terms.grantee))
        return revoked

    @evaluate
    def read(self, ctx: Context, token_id: str) -> Token:
        """The token with its receipt."""
        return _get(ctx, token_id)

    @evaluate
    def check(self, ctx: Context, use: Use) -> Token:
        """The token, if it allows this use now."""
        token = _get(ctx, use.token)
        _verify_covers(token, use)
        if token.state is State.USED:
            raise ContractError("CONSENT_USED", "it was for one use（授权仅限一次，已使用）")
        if ctx.timestamp > token.not_after:
            raise ContractError("CONSENT_EXPIRED", "its time has passed（授权已过期）")
        return token

    @evaluate
    def check_standing(self, ctx: Context, use: Use) -> Token:
        """The token, if it was used for this already and was not revoked since: what was begun
        on its strength may be finished."""
        token = _get(ctx, use.token)
        _verify_covers(token, use)
        if token.receipt is None:
            raise ContractError("CONSENT_NOT_USED", "nothing was begun on it（授权尚未使用）")
        return token

    @submit
    def use(self, ctx: Context, use: Use) -> Receipt:
        """The token is used up, with a receipt. For contracts of the grantee, in the transaction
        that acts on it; a client that calls this itself must be the grantee's."""
        if ctx.stub.entry_chaincode == ctx.stub.chaincode_name:
            ctx.client.require_organization(use.grantee)
        token = self.check(ctx, use)
        receipt = Receipt(ctx.tx_id, ctx.timestamp, use.items)
        _put(ctx, replace(token, state=State.USED, receipt=receipt))
        return receipt


def _require_agent(ctx: Context) -> None:
    ctx.client.require_organization(BUREAU)
    ctx.client.require_attribute("duty", "citizen-agent")


def _present_person(ctx: Context, proof: str) -> str:
    """Reference of the person in the transient data, whose identity was checked."""
    subject = open_key(ctx).seal(read_person(ctx)).ref
    ctx.stub.ask(AUTH, "check", proof, subject, str(LEVEL_NEEDED))
    return subject


def _verify_form(terms: Terms) -> None:
    names: list[Any] = [terms.purpose, terms.grantee, terms.wording, *terms.items]
    if not all(_NAME.fullmatch(name) for name in names):
        raise ContractError("INVALID_TERMS", "expected codes of up to 64 letters, digits, . _ -")
    if not 1 <= len(set(terms.items)) == len(terms.items) <= ITEMS_MAX:
        raise ContractError("INVALID_TERMS", f"expected 1 to {ITEMS_MAX} different items")
    if not 1 <= terms.valid_seconds <= VALID_SECONDS_MAX:
        raise ContractError(
            "INVALID_TERMS", f"valid_seconds: expected 1 to {VALID_SECONDS_MAX}（最长 24 小时）"
        )


def _verify_covers(token: Token, use: Use) -> None:
    terms = token.terms
    if token.state is State.REVOKED:
        raise ContractError("CONSENT_REVOKED", "it was taken back（授权已撤回）")
    if terms.case_no != use.case_no:
        raise ContractError("CONSENT_OTHER_CASE", "it is for another case（授权属另一办件）")
    if (terms.grantee, terms.purpose) != (use.grantee, use.purpose):
        raise ContractError(
            "CONSENT_OTHER_PURPOSE",
            "it is for another department or purpose（授权对象或目的不符）",
        )
    missing = sorted(set(use.items) - set(terms.items))
    if missing:
        raise ContractError(
            "CONSENT_TOO_NARROW", f"does not cover {', '.join(missing)}（超出授权）"
        )


def _get(ctx: Context, token_id: str) -> Token:
    value = ctx.stub.get_state(_key(token_id))
    if not value:
        raise ContractError("CONSENT_UNKNOWN", "there is no such consent（没有该授权）")
    return from_json(Token, value)


def _put(ctx: Context, token: Token) -> Token:
    ctx.stub.put_state(_key(token.id), to_json(token))
    return token


def _key(token_id: str) -> str:
    return f"token:{token_id}"
