"""From signatures to distinct identities whose signatures hold, and from there to a verdict.

A signature that was checked once is not checked again: results are remembered by identity, digest
of the message, and signature. What this node signed itself is remembered as holding.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from tongban.node.core.errors import UnknownIdentity
from tongban.node.core.identity import Identity, MspManager
from tongban.node.core.lru import LruCache
from tongban.node.core.policy.verdict import Policy, PolicyVerdict
from tongban.protos.errors import InvalidSignature
from tongban.protos.limits import SIGNATURES_PER_SET_MAX

RESULTS_MAX = 32_768
"""Remembered results, about 300 bytes each: a few blocks' worth of signatures."""

CHECKS_PER_CALL = 16
"""Checks that one call of a pool does: about a millisecond, so hand-overs do not count."""


class SignedBy(NamedTuple):
    """One signature over data, by a serialized identity."""

    data: bytes
    identity: bytes
    signature: bytes


class SignatureCheck(NamedTuple):
    """A signature to be checked ahead of its use."""

    identity: Identity
    message: bytes
    signature: bytes


class SignatureResult(NamedTuple):
    """An outcome that can be carried from one verifier to another."""

    identity_id: str
    message_digest: bytes
    signature: bytes
    holds: bool


class Pool(Protocol):
    """What is asked of a pool of threads; ``concurrent.futures.Executor`` has it."""

    # Any: the executor's own signature is generic over the callable's arguments.
    def map(self, fn: Callable[..., Any], /, *iterables: Iterable[Any]) -> Iterator[Any]: ...


class SignatureVerifier:
    """Checks signatures, each at most once as long as it is remembered."""

    def __init__(self, results_max: int = RESULTS_MAX) -> None:
        self._results: LruCache[tuple[str, bytes, bytes], int] = LruCache(results_max)

    def verify(self, identity: Identity, message: bytes, signature: bytes) -> bool:
        """Whether the identity made the signature over the message."""
        key = (identity.id, hashlib.sha256(message).digest(), signature)
        known = self._results.find(key)
        if known is None:
            known = int(_holds(identity, message, signature))
            self._results.put(key, known)
        return known == 1

    def remember(self, identity_id: str, message: bytes, signature: bytes) -> None:
        """This node made the signature itself, so it holds."""
        self._results.put((identity_id, hashlib.sha256(message).digest(), signature), 1)

    def prime(self, results: Iterable[SignatureResult]) -> None:
        """Remember results that were found elsewhere in this process."""
        for result in results:
            key = (result.identity_id, result.message_digest, result.signature)
            self._results.put(key, int(result.holds))

    def verify_many(self, checks: Sequence[SignatureCheck], pool: Pool | None = None) -> None:
        """Find and remember the results of all checks, on the pool's threads if there is one.

        Returns when all are done. Only the pure check runs on the pool.
        """
        open_checks = {}
        for check in checks:
            key = (check.identity.id, hashlib.sha256(check.message).digest(), check.signature)
            if self._results.find(key) is None:
                open_checks[key] = check
        todo = list(open_checks.items())
        if pool is None or len(todo) <= CHECKS_PER_CALL:
            for key, check in todo:
                self._results.put(key, int(_holds(*check)))
            return
        portions = [todo[at : at + CHECKS_PER_CALL] for at in range(0, len(todo), CHECKS_PER_CALL)]
        answers = pool.map(_check_portion, [[check for _, check in part] for part in portions])
        for portion, holds in zip(portions, answers, strict=True):
            for (key, _), one in zip(portion, holds, strict=True):
                self._results.put(key, int(one))


def find_signers(
    signed: Sequence[SignedBy], msps: MspManager, verifier: SignatureVerifier
) -> list[Identity]:
    """The distinct identities whose signatures hold, in the order of the signatures.

    Identities that cannot be read and signatures that do not hold are skipped; so is what lies
    beyond SIGNATURES_PER_SET_MAX. An identity need not be valid here: that is asked when a
    principal is tested (fabric common/policies/policy.go, SignatureSetToValidIdentities).
    """
    signers: dict[str, Identity] = {}
    for one in signed[:SIGNATURES_PER_SET_MAX]:
        try:
            identity = msps.deserialize(one.identity)
        except UnknownIdentity:
            continue
        if identity.id not in signers and verifier.verify(identity, one.data, one.signature):
            signers[identity.id] = identity
    return list(signers.values())


def evaluate_signatures(
    policy: Policy, signed: Sequence[SignedBy], msps: MspManager, verifier: SignatureVerifier
) -> PolicyVerdict:
    """Whether the signatures meet the policy."""
    return policy.evaluate(find_signers(signed, msps, verifier))


def _holds(identity: Identity, message: bytes, signature: bytes) -> bool:
    try:
        identity.verify(message, signature)
    except InvalidSignature:
        return False
    return True


def _check_portion(checks: list[SignatureCheck]) -> list[bool]:
    return [_holds(*check) for check in checks]
