"""Implicit meta policies: any, all or most of the child groups' policies of one name.

From fabric common/policies/implicitmeta.go and convert.go. Without child groups everything
satisfies; a child that has no policy of the name is one that is never satisfied.
"""

from collections.abc import Mapping, Sequence

from tongban.node.core.errors import InvalidPolicy
from tongban.node.core.identity import Identity
from tongban.node.core.lru import LruCache
from tongban.node.core.policy.signature_policy import VERDICTS_MAX
from tongban.node.core.policy.verdict import Policy, PolicyVerdict
from tongban.protos import policies_pb2
from tongban.protos.policies_pb2 import SignaturePolicy, SignaturePolicyEnvelope

_RULE_NAMES = {0: "ANY", 1: "ALL", 2: "MAJORITY"}


class RejectingPolicy:
    """Stands where a policy was named that does not exist; nothing satisfies it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __str__(self) -> str:
        return f"<no policy {self._path}>"

    def evaluate(self, identities: Sequence[Identity]) -> PolicyVerdict:
        return PolicyVerdict(False, f"no such policy: '{self._path}'", (), (), str(self))

    def to_signature_policy(self) -> SignaturePolicyEnvelope:
        raise InvalidPolicy(f"no such policy: '{self._path}'")


class ImplicitMetaPolicy:
    """An implicit meta policy over the policies it found."""

    def __init__(
        self, definition: policies_pb2.ImplicitMetaPolicy, children: Mapping[str, Policy]
    ) -> None:
        """``children`` has one policy, perhaps a rejecting one, for each child group."""
        self._name = definition.sub_policy
        self._rule = _RULE_NAMES.get(definition.rule, str(definition.rule))
        self._children = [children[group] for group in sorted(children)]
        self.threshold = _threshold(definition.rule, len(children))
        self._verdicts: LruCache[tuple[Identity, ...], PolicyVerdict] = LruCache(VERDICTS_MAX)

    def __str__(self) -> str:
        return f"{self._rule} {self._name}"

    def evaluate(self, identities: Sequence[Identity]) -> PolicyVerdict:
        key = tuple(identities)
        verdict = self._verdicts.find(key)
        if verdict is None:
            verdict = self._evaluate(key)
            self._verdicts.put(key, verdict)
        return verdict

    def _evaluate(self, identities: tuple[Identity, ...]) -> PolicyVerdict:
        verdicts = [child.evaluate(identities) for child in self._children]
        held = sum(verdict.satisfied for verdict in verdicts)
        satisfied = held >= self.threshold
        signed = {one for verdict in verdicts for one in verdict.organizations_signed}
        missing = {
            one
            for verdict in verdicts
            if not verdict.satisfied
            for one in verdict.organizations_missing
        }
        return PolicyVerdict(
            satisfied=satisfied,
            reason="" if satisfied else self._refusal(held),
            organizations_signed=tuple(sorted(signed)),
            organizations_missing=() if satisfied else tuple(sorted(missing)),
            rule=str(self),
        )

    def to_signature_policy(self) -> SignaturePolicyEnvelope:
        """The threshold over the children's policies; equal principals become one."""
        numbers: dict[tuple[int, bytes], int] = {}
        merged = SignaturePolicyEnvelope()
        rules = []
        for child in self._children:
            envelope = child.to_signature_policy()
            renumbered = []
            for principal in envelope.identities:
                key = (int(principal.principal_classification), principal.principal)
                if key not in numbers:
                    numbers[key] = len(numbers)
                    merged.identities.append(principal)
                renumbered.append(numbers[key])
            rules.append(_renumber(envelope.rule, renumbered))
        gate = SignaturePolicy.NOutOf(n=self.threshold, rules=rules)
        merged.rule.CopyFrom(SignaturePolicy(n_out_of=gate))
        return merged

    def _refusal(self, held: int) -> str:
        return (
            f"implicit policy evaluation failed - {held} sub-policies were satisfied, but this "
            f"policy requires {self.threshold} of the '{self._name}' sub-policies to be satisfied"
        )


def _threshold(rule: int, children: int) -> int:
    """An unknown rule asks for nothing, as in Fabric."""
    if children == 0 or rule not in _RULE_NAMES:
        return 0
    return {0: 1, 1: children, 2: children // 2 + 1}[rule]


def _renumber(rule: SignaturePolicy, numbers: list[int]) -> SignaturePolicy:
    if rule.WhichOneof("Type") == "signed_by":
        return SignaturePolicy(signed_by=numbers[rule.signed_by])
    inner = [_renumber(one, numbers) for one in rule.n_out_of.rules]
    return SignaturePolicy(n_out_of=SignaturePolicy.NOutOf(n=rule.n_out_of.n, rules=inner))
