"""From signatures to distinct identities whose signatures hold, and from there to a verdict.

A signature that was checked once is not checked again: results are remembered by identity and
signature, with the digest of the message. What this node signed itself is remembered as holding,
with the message if it is short: to compare it costs less than to take a digest, twice.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from tongban.node.core.errors import UnknownIdentity
from tongban.node.core.identity import Identity, MspManager
from tongban.node.core.lru import LruCache
from tongban.node.core.policy.verdict import Policy, PolicyVerdict
from tongban.protos.digest import sha256
from tongban.protos.errors import InvalidSignature
from tongban.protos.limits import SIGNATURES_PER_SET_MAX

RESULTS_MAX = 32_768
"""Remembered results, about 300 bytes each: a few blocks' worth of signatures."""

MADE_HERE_MAX = 8_192
"""Remembered signatures that were made here: more than wait for their block at any time."""

MADE_HERE_BYTES_MAX = 2_048
"""Bytes of a message that is kept with them, so that all take 16 MiB at most; most have a little
over a thousand, the signer's certificate."""


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


class Verifier(Protocol):
    """Says whether signatures hold."""

    def verify(self, identity: Identity, message: bytes, signature: bytes) -> bool: ...


class SignatureVerifier:
    """Checks signatures, each at most once as long as it is remembered."""

    def __init__(self, results_max: int = RESULTS_MAX) -> None:
        self._results: LruCache[tuple[str, bytes], tuple[bytes, bool]] = LruCache(results_max)
        self._made_here: dict[str, LruCache[bytes, bytes]] = {}

    def verify(self, identity: Identity, message: bytes, signature: bytes) -> bool:
        """Whether the identity made the signature over the message. Any thread may ask."""
        made = self._made_here.get(identity.id)
        if made is not None and made.find(signature) == message:
            return True
        key = (identity.id, signature)
        digest = hashlib.sha256(message).digest()
        known = self._results.find(key)
        if known is not None and known[0] == digest:
            return known[1]
        holds = True
        try:
            identity.verify(message, signature, digest)
        except InvalidSignature:
            holds = False
        self._results.put(key, (digest, holds))
        return holds

    def verify_many(self, checks: Iterable[SignatureCheck]) -> list[bool]:
        """The results of all checks, in their order."""
        return [self.verify(*check) for check in checks]

    def remember(self, identity_id: str, message: bytes, signature: bytes) -> None:
        """This node made the signature itself, so it holds."""
        if len(message) > MADE_HERE_BYTES_MAX:
            self._results.put((identity_id, signature), (sha256(message), True))
            return
        made = self._made_here.get(identity_id)
        if made is None:
            made = self._made_here.setdefault(identity_id, LruCache(MADE_HERE_MAX))
        made.put(signature, message)

    def prime(self, results: Iterable[SignatureResult]) -> None:
        """Remember results that were found elsewhere in this process."""
        for result in results:
            key = (result.identity_id, result.signature)
            self._results.put(key, (result.message_digest, result.holds))


def find_signers(
    signed: Sequence[SignedBy], msps: MspManager, verifier: Verifier
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
    policy: Policy, signed: Sequence[SignedBy], msps: MspManager, verifier: Verifier
) -> PolicyVerdict:
    """Whether the signatures meet the policy."""
    return policy.evaluate(find_signers(signed, msps, verifier))
