"""Whether signatures meet a policy, and which endorsers would."""

from tongban.node.core.policy.implicit_meta import ImplicitMetaPolicy, RejectingPolicy
from tongban.node.core.policy.language import format_policy, parse_implicit_meta, parse_policy
from tongban.node.core.policy.layouts import Layout, combine, endorsement_layouts
from tongban.node.core.policy.policies import PolicyManager
from tongban.node.core.policy.signature_policy import SignaturePolicy
from tongban.node.core.policy.signatures import (
    SignatureCheck,
    SignatureResult,
    SignatureVerifier,
    SignedBy,
    Verifier,
    evaluate_signatures,
    find_signers,
)
from tongban.node.core.policy.verdict import Policy, PolicyVerdict

__all__ = [
    "ImplicitMetaPolicy",
    "Layout",
    "Policy",
    "PolicyManager",
    "PolicyVerdict",
    "RejectingPolicy",
    "SignatureCheck",
    "SignaturePolicy",
    "SignatureResult",
    "SignatureVerifier",
    "SignedBy",
    "Verifier",
    "combine",
    "endorsement_layouts",
    "evaluate_signatures",
    "find_signers",
    "format_policy",
    "parse_implicit_meta",
    "parse_policy",
]
