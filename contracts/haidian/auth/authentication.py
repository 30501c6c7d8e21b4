"""Proof that an identity check happened: how, how strictly, where, when and with what result.

A face, its template or a hash of either never comes here: ``evidence`` is the hash of the checking
system's own record of the event, which stays with it.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from tongban.contracts import Context, Contract, ContractError, evaluate, from_json, submit, to_json
from tongban.contracts.personal import commit_key, open_key, read_person

POLICE: Final = "PoliceMSP"
BUREAU: Final = "BureauMSP"

VALID_FOR: Final = timedelta(hours=24)
"""How long a check may be relied on, by the ledger's time: a visit, not a membership."""

LEVELS: Final = (1, 2, 3, 4)
"""1 is what a name and a number alone give; 4 a card read and a live face together."""

_DEVICE: Final = re.compile(r"[A-Za-z0-9-]{1,40}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Method(Enum):
    """How a person was checked."""

    FACE = "face"
    CARD = "card"
    CERTIFICATE = "certificate"


class Result(Enum):
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One identity check, as the verifier reports it."""

    method: Method
    level: int
    device: str
    """The terminal's or counter's own id."""
    result: Result
    evidence: str
    """SHA-256 of the verifier's record of the event, hex."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A check on the ledger."""

    id: str
    subject: str
    """Keyed hash of the identity number."""
    check: Check
    checked_at: datetime
    verifier: str
    """MSP id of who checked."""


class Authentication(Contract):
    """认证链: 人证核验 happened, and how it ended."""

    @submit
    def commit_subject_key(self, ctx: Context, commitment: str) -> None:
        """Fix the key under which subjects are known. Once, by the bureau's administrator."""
        ctx.client.require_organization(BUREAU)
        ctx.client.require_role("admin")
        commit_key(ctx, commitment)

    @submit
    def record(self, ctx: Context, check: Check) -> Proof:
        """Record a check of the person in the transient data; its id is the transaction's."""
        ctx.client.require_organization(POLICE)
        ctx.client.require_attribute("duty", "verify")
        _verify_form(check)
        person = read_person(ctx)
        person.number.verify_born_by(ctx.timestamp.date())
        subject = open_key(ctx).seal(person).ref
        proof = Proof(ctx.tx_id, subject, check, ctx.timestamp, ctx.client.mspid)
        ctx.stub.put_state(_key(proof.id), to_json(proof))
        return proof

    @evaluate
    def read(self, ctx: Context, proof_id: str) -> Proof:
        """The proof with this id."""
        value = ctx.stub.get_state(_key(proof_id))
        if not value:
            raise ContractError("PROOF_UNKNOWN", "no such identity check（没有该核验记录）")
        return from_json(Proof, value)

    @evaluate
    def check(self, ctx: Context, proof_id: str, subject: str, level: int) -> Proof:
        """The proof, if it shows that this subject was there, lately and at least so strictly.

        Other contracts call this in the transaction that relies on it.
        """
        proof = self.read(ctx, proof_id)
        if proof.subject != subject:
            raise ContractError("PROOF_OF_ANOTHER", "another person was checked（核验对象不符）")
        if proof.check.result is not Result.PASSED:
            raise ContractError("PROOF_FAILED", "the identity check failed（人证核验未通过）")
        if proof.check.level < level:
            raise ContractError(
                "PROOF_TOO_WEAK",
                f"expected level {level}, found {proof.check.level}（核验等级不足）",
            )
        if not -_SKEW <= ctx.timestamp - proof.checked_at <= VALID_FOR:
            raise ContractError("PROOF_EXPIRED", "the identity check is too old（核验已过期）")
        return proof


_SKEW: Final = timedelta(minutes=15)
"""Departments' clocks may differ by as much as a peer accepts (fabric core/peer, time window)."""


def _key(proof_id: str) -> str:
    return f"proof:{proof_id}"


def _verify_form(check: Check) -> None:
    if check.level not in LEVELS:
        raise ContractError("INVALID_CHECK", f"level: expected 1 to 4, found {check.level}")
    if not _DEVICE.fullmatch(check.device):
        raise ContractError("INVALID_CHECK", "device: expected up to 40 letters, digits or -")
    if not _DIGEST.fullmatch(check.evidence):
        raise ContractError("INVALID_CHECK", "evidence: expected a SHA-256 in hex, nothing else")
