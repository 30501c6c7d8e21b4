"""What came of evaluating a policy: a value that can explain itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tongban.node.core.identity import Identity
from tongban.protos.policies_pb2 import SignaturePolicyEnvelope


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """Whether a set of identities meets a policy, and what is missing."""

    satisfied: bool
    reason: str
    """Fabric's text if it is not satisfied, else empty."""
    organizations_signed: tuple[str, ...]
    """MSP ids of identities that the policy has a use for, sorted."""
    organizations_missing: tuple[str, ...]
    """MSP ids that the policy names and that have not signed in the role it asks for, sorted;
    empty if it is satisfied. For an OR, any one of them may do."""
    rule: str = ""
    """The policy in words."""

    def explain(self) -> str:
        """One sentence for people."""
        signed = ", ".join(self.organizations_signed) or "nobody"
        if self.satisfied:
            return f"policy {self.rule} is satisfied; signed by {signed}"
        missing = ", ".join(self.organizations_missing)
        tail = f"; not signed in the role asked for by {missing}" if missing else ""
        return f"{self.reason}: the policy is {self.rule}; signed by {signed}{tail}"


class Policy(Protocol):
    """A question to ask of identities whose signatures hold."""

    def evaluate(self, identities: Sequence[Identity]) -> PolicyVerdict:
        """The identities are distinct and in the order of their signatures."""
        ...

    def to_signature_policy(self) -> SignaturePolicyEnvelope:
        """The same question as one signature policy.

        Raises:
            InvalidPolicy: a part of it names a policy that does not exist.
        """
        ...
