"""Signature policies: n of several rules over principals.

The rules, from fabric common/cauthdsl/cauthdsl.go. A gate asks each of its rules in order, from
left to right, and counts those that hold; all are asked, even when enough have held. A leaf takes
the first identity that is still free and satisfies its principal. What a rule took stays taken if
the rule held, and is free again if it did not. Nothing is tried twice: a choice that looks wrong
later is not taken back. So one identity counts for one leaf, and the order of rules matters.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tongban.node.core.errors import InvalidPolicy
from tongban.node.core.identity import Identity
from tongban.node.core.identity.principals import Principal, organization_of, parse_principal
from tongban.node.core.lru import LruCache
from tongban.node.core.policy.language import format_policy
from tongban.node.core.policy.verdict import PolicyVerdict
from tongban.protos import codec
from tongban.protos.errors import MalformedMessage
from tongban.protos.limits import POLICY_DEPTH_MAX
from tongban.protos.policies_pb2 import SignaturePolicy as SignaturePolicyRule
from tongban.protos.policies_pb2 import SignaturePolicyEnvelope

NOT_SATISFIED = "signature set did not satisfy policy"
"""Fabric's words (common/cauthdsl/policy.go)."""

VERDICTS_MAX = 256
"""Verdicts a policy remembers. The same few endorsers sign nearly everything."""


class Satisfies(Protocol):
    """Who knows whether an identity is whom a principal names."""

    def satisfies(self, identity: Identity, principal: Principal, /) -> bool: ...


class _Gate(NamedTuple):
    wanted: int
    rules: "tuple[_Rule, ...]"


_Rule = _Gate | int
"""A gate, or a leaf: the number of a principal."""


class SignaturePolicy:
    """A signature policy that can be asked."""

    def __init__(self, envelope: SignaturePolicyEnvelope, msps: Satisfies) -> None:
        """Raises:
        InvalidPolicy: a rule is empty, names a principal that is not there, or gates nest more
            deeply than POLICY_DEPTH_MAX.
        """
        self._envelope = envelope
        self._msps = msps
        self._principals = tuple(parse_principal(one) for one in envelope.identities)
        self._rule = _compile(envelope.rule, len(self._principals), 0)
        self._verdicts: LruCache[tuple[Identity, ...], PolicyVerdict] = LruCache(VERDICTS_MAX)

    @classmethod
    def parse(cls, envelope: SignaturePolicyEnvelope | bytes, msps: Satisfies) -> "SignaturePolicy":
        """A policy from its wire form.

        Bytes come from a channel configuration, where only version 0 is understood; a message comes
        out of an application policy, where Fabric does not look at the version
        (common/cauthdsl/policy.go has one provider for each).

        Raises:
            InvalidPolicy: it cannot be read.
        """
        if isinstance(envelope, bytes):
            try:
                envelope = codec.parse(SignaturePolicyEnvelope, envelope)
            except MalformedMessage as error:
                raise InvalidPolicy(str(error)) from None
            if envelope.version != 0:
                raise InvalidPolicy(f"expected policy version 0, found {envelope.version}")
        return cls(envelope, msps)

    def __str__(self) -> str:
        return format_policy(self._envelope)

    def to_signature_policy(self) -> SignaturePolicyEnvelope:
        return self._envelope

    def evaluate(self, identities: Sequence[Identity]) -> PolicyVerdict:
        """Whether the identities, distinct and in the order they signed, meet the policy."""
        key = tuple(identities)
        verdict = self._verdicts.find(key)
        if verdict is None:
            verdict = self._evaluate(key)
            self._verdicts.put(key, verdict)
        return verdict

    def _evaluate(self, identities: tuple[Identity, ...]) -> PolicyVerdict:
        satisfied = self._holds(self._rule, identities, [False] * len(identities))
        signed = set()
        missing = set()
        for principal in self._principals:
            found = {one.mspid for one in identities if self._msps.satisfies(one, principal)}
            signed |= found
            organization = organization_of(principal)
            if organization is not None and not found:
                missing.add(organization)
        return PolicyVerdict(
            satisfied=satisfied,
            reason="" if satisfied else NOT_SATISFIED,
            organizations_signed=tuple(sorted(signed)),
            organizations_missing=() if satisfied else tuple(sorted(missing)),
            rule=str(self),
        )

    def _holds(self, rule: _Rule, identities: tuple[Identity, ...], used: list[bool]) -> bool:
        if isinstance(rule, int):
            return self._take(self._principals[rule], identities, used)
        held = 0
        for inner in rule.rules:
            trial = used.copy()
            if self._holds(inner, identities, trial):
                held += 1
                used[:] = trial
        return held >= rule.wanted

    def _take(
        self, principal: Principal, identities: tuple[Identity, ...], used: list[bool]
    ) -> bool:
        for number, identity in enumerate(identities):
            if not used[number] and self._msps.satisfies(identity, principal):
                used[number] = True
                return True
        return False


def _compile(rule: SignaturePolicyRule, principal_count: int, depth: int) -> _Rule:
    if depth > POLICY_DEPTH_MAX:
        raise InvalidPolicy(f"gates nest more deeply than {POLICY_DEPTH_MAX}")
    kind = rule.WhichOneof("Type")
    if kind == "signed_by":
        if not 0 <= rule.signed_by < principal_count:
            raise InvalidPolicy(
                f"identity index out of range, requested {rule.signed_by}, "
                f"but identities length is {principal_count}"
            )
        return rule.signed_by
    if kind == "n_out_of":
        gate = rule.n_out_of
        return _Gate(
            gate.n, tuple(_compile(inner, principal_count, depth + 1) for inner in gate.rules)
        )
    raise InvalidPolicy("an element of the policy is empty")
