"""How many endorsers of which organizations satisfy a policy: the ways a gateway may choose from.

A principal counts as any peer of its organization; principals that no peer satisfies (admins,
clients, orderers) leave no way. Each leaf wants an endorser of its own, as evaluation does
(fabric common/policies/inquire, discovery/endorsement/endorsement.go). Evaluation is greedy, so
enough endorsers may still fail: an optional leaf can take the one that a later leaf needs. Such a
layout, which Fabric's discovery would offer, is enlarged until it passes, or left out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product

from tongban.node.core.identity.principals import (
    IdentityPrincipal,
    Principal,
    RolePrincipal,
    UnitPrincipal,
    parse_principal,
)
from tongban.node.core.policy.verdict import Policy
from tongban.protos.limits import POLICY_DEPTH_MAX
from tongban.protos.msp_principal_pb2 import MSPRole
from tongban.protos.policies_pb2 import SignaturePolicy, SignaturePolicyEnvelope

LAYOUTS_MAX = 128
"""Layouts kept at each step, smallest first. Half of twenty organizations can be chosen in 184,756
ways; nobody needs more than a hundred of them to find one that is alive."""

COMBINATIONS_MAX = 50_000
"""Combinations looked at for one policy, a few tenths of a second. Beyond, ways are left out."""

Layout = dict[str, int]
"""Endorsers wanted, by MSP id."""

_Counts = tuple[tuple[str, int], ...]


def peer_organization(principal: Principal) -> str | None:
    """The organization whose peers satisfy a principal, or None if no peer does."""
    if isinstance(principal, RolePrincipal):
        fits = principal.role in (MSPRole.MEMBER, MSPRole.PEER)
        return principal.mspid if fits else None
    if isinstance(principal, UnitPrincipal | IdentityPrincipal):
        return principal.mspid
    return None


def endorsement_layouts(
    policy: SignaturePolicyEnvelope | Policy,
    organization: Callable[[Principal], str | None] = peer_organization,
) -> list[Layout]:
    """The minimal layouts of a policy, fewest endorsers first; empty if no peers can satisfy it.

    An implicit meta policy is turned into its signature policy first.

    Raises:
        InvalidPolicy: it refers to a policy that does not exist.
    """
    envelope = (
        policy if isinstance(policy, SignaturePolicyEnvelope) else policy.to_signature_policy()
    )
    owners = [organization(parse_principal(one)) for one in envelope.identities]
    counted = _Expansion(owners).layouts(envelope.rule, 0)
    passing = [_enlarged(envelope.rule, owners, counts) for counts in counted]
    return [dict(counts) for counts in _minimal(one for one in passing if one is not None)]


def combine(one: Sequence[Layout], other: Sequence[Layout]) -> list[Layout]:
    """The minimal layouts that satisfy both policies. The policies look at the same signatures, so
    an endorser counts for each of them."""
    return [
        dict(counts)
        for counts in _minimal(
            tuple(sorted({org: max(a.get(org, 0), b.get(org, 0)) for org in a | b}.items()))
            for a, b in product(one, other)
        )
    ]


class _Expansion:
    """Expands one policy with a bound on the work."""

    def __init__(self, owners: Sequence[str | None]) -> None:
        self._owners = owners
        self._combinations_left = COMBINATIONS_MAX

    def layouts(self, rule: SignaturePolicy, depth: int) -> list[_Counts]:
        if depth > POLICY_DEPTH_MAX:
            return []
        if rule.WhichOneof("Type") != "n_out_of":
            owner = _owner(rule, self._owners)
            return [] if owner is None else [((owner, 1),)]
        wanted = max(0, rule.n_out_of.n)
        rules = rule.n_out_of.rules
        if wanted > len(rules):
            return []
        by_held: list[list[_Counts]] = [[] for _ in range(wanted + 1)]
        by_held[0].append(())
        for number, inner in enumerate(rules):
            choices = self.layouts(inner, depth + 1)
            needed = max(1, wanted - (len(rules) - number - 1))
            for held in range(wanted, needed - 1, -1):
                grown = self._grow(by_held[held - 1], choices)
                by_held[held] = _minimal([*by_held[held], *grown])
        return by_held[wanted]

    def _grow(self, chosen: list[_Counts], choices: list[_Counts]) -> Iterator[_Counts]:
        for one, other in product(chosen, choices):
            if self._combinations_left == 0:
                return
            self._combinations_left -= 1
            yield _sum(one, other)


def _enlarged(
    rule: SignaturePolicy, owners: Sequence[str | None], counts: _Counts
) -> _Counts | None:
    """The layout, or if evaluation would not pass it, the smallest reduction that does of one with
    an endorser for every leaf of the same organizations; None if even that does not pass."""
    wanted = dict(counts)
    if _passes(rule, owners, dict(wanted)):
        return counts
    for organization in wanted:
        wanted[organization] = _count_leaves(rule, owners, organization)
    if not _passes(rule, owners, dict(wanted)):
        return None
    for organization, count in list(wanted.items()):
        for fewer in range(count - 1, 0, -1):
            if not _passes(rule, owners, {**wanted, organization: fewer}):
                break
            wanted[organization] = fewer
    return tuple(sorted(wanted.items()))


def _passes(rule: SignaturePolicy, owners: Sequence[str | None], free: Layout) -> bool:
    """Whether evaluation holds with that many endorsers; takes those it uses out of ``free``."""
    if rule.WhichOneof("Type") != "n_out_of":
        owner = _owner(rule, owners)
        if owner is None or not free.get(owner):
            return False
        free[owner] -= 1
        return True
    held = 0
    for inner in rule.n_out_of.rules:
        trial = dict(free)
        if _passes(inner, owners, trial):
            held += 1
            free.update(trial)
    return held >= rule.n_out_of.n


def _count_leaves(rule: SignaturePolicy, owners: Sequence[str | None], owner: str) -> int:
    if rule.WhichOneof("Type") != "n_out_of":
        return int(_owner(rule, owners) == owner)
    return sum(_count_leaves(inner, owners, owner) for inner in rule.n_out_of.rules)


def _owner(rule: SignaturePolicy, owners: Sequence[str | None]) -> str | None:
    return owners[rule.signed_by] if 0 <= rule.signed_by < len(owners) else None


def _sum(one: _Counts, other: _Counts) -> _Counts:
    counts = dict(one)
    for organization, count in other:
        counts[organization] = counts.get(organization, 0) + count
    return tuple(sorted(counts.items()))


def _minimal(layouts: Iterable[_Counts]) -> list[_Counts]:
    """Without those that ask for all of another one and more; the smallest LAYOUTS_MAX."""
    by_total: dict[int, list[_Counts]] = {}
    for counts in set(layouts):
        by_total.setdefault(sum(count for _, count in counts), []).append(counts)
    kept: list[_Counts] = []
    for total in sorted(by_total):
        smaller = kept.copy()  # layouts of one total never contain each other
        for candidate in sorted(by_total[total]):
            wanted = dict(candidate)
            if not any(all(wanted.get(org, 0) >= n for org, n in one) for one in smaller):
                kept.append(candidate)
            if len(kept) == LAYOUTS_MAX:
                return kept
    return kept
