"""Policies against a dumb oracle, and the policy language both ways."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from tongban.node.core.errors import InvalidPolicy
from tongban.node.core.identity import Identity, parse_principal, role_principal
from tongban.node.core.identity.principals import Principal, RolePrincipal
from tongban.node.core.policy import (
    SignaturePolicy,
    combine,
    endorsement_layouts,
    format_policy,
    parse_policy,
)
from tongban.protos.msp_principal_pb2 import MSPRole
from tongban.protos.policies_pb2 import SignaturePolicy as Rule
from tongban.protos.policies_pb2 import SignaturePolicyEnvelope

ORGS = ["A", "B", "C"]
ROLES = ["member", "admin", "client", "peer", "orderer"]


@dataclass(frozen=True)
class Somebody:
    """Stands for an identity: an organization and the one role it has beside member."""

    mspid: str
    role: str
    number: int


class Table:
    """Who satisfies whom, without certificates."""

    def satisfies(self, identity: Identity, principal: Principal, /) -> bool:
        somebody: Somebody = identity  # type: ignore[assignment]
        assert isinstance(principal, RolePrincipal)
        role = str(principal).rpartition(".")[2]
        return principal.mspid == somebody.mspid and role in ("member", somebody.role)


principals = st.tuples(st.sampled_from(ORGS), st.sampled_from(ROLES))

somebodies = st.builds(
    Somebody, st.sampled_from(ORGS), st.sampled_from(ROLES[1:]), st.integers(0, 2)
)


def rules(count: int) -> st.SearchStrategy[Rule]:
    leaf = st.builds(lambda number: Rule(signed_by=number), st.integers(0, count - 1))
    return st.recursive(
        leaf,
        lambda inner: st.builds(
            lambda n, of: Rule(n_out_of=Rule.NOutOf(n=n, rules=of)),
            st.integers(-1, 4),
            st.lists(inner, max_size=4),
        ),
        max_leaves=8,
    )


@st.composite
def envelopes(draw: st.DrawFn) -> SignaturePolicyEnvelope:
    named = draw(st.lists(principals, min_size=1, max_size=5))
    return SignaturePolicyEnvelope(
        rule=draw(rules(len(named))),
        identities=[
            role_principal(mspid, MSPRole.MSPRoleType.Value(role.upper())) for mspid, role in named
        ],
    )


def oracle(
    rule: Rule, envelope: SignaturePolicyEnvelope, free: frozenset[int], who: Sequence[Somebody]
) -> tuple[bool, frozenset[int]]:
    """Whether the rule holds with the identities that are still free, and which are free then.

    Written after the words of Fabric's documentation, in sets instead of flags.
    """
    if rule.WhichOneof("Type") == "signed_by":
        principal = parse_principal(envelope.identities[rule.signed_by])
        fitting = [one for one in sorted(free) if Table().satisfies(who[one], principal)]  # type: ignore[arg-type]
        return (True, free - {fitting[0]}) if fitting else (False, free)
    held = 0
    for inner in rule.n_out_of.rules:
        holds, left = oracle(inner, envelope, free, who)
        if holds:
            held += 1
            free = left
    return held >= rule.n_out_of.n, free


@given(envelopes(), st.lists(somebodies, max_size=6, unique=True))
@settings(max_examples=100, deadline=None)
def test_evaluation_agrees_with_a_dumb_oracle(
    envelope: SignaturePolicyEnvelope, who: list[Somebody]
) -> None:
    policy = SignaturePolicy.parse(envelope, Table())
    expected, _ = oracle(envelope.rule, envelope, frozenset(range(len(who))), who)
    verdict = policy.evaluate(who)  # type: ignore[arg-type]
    assert verdict.satisfied == expected
    assert bool(verdict.reason) != verdict.satisfied
    assert set(verdict.organizations_signed) <= {one.mspid for one in who}
    assert verdict.explain()


@given(envelopes())
@settings(max_examples=100, deadline=None)
def test_the_endorsers_of_a_layout_satisfy_the_policy(envelope: SignaturePolicyEnvelope) -> None:
    """Peers are interchangeable for every principal that a layout counts, so order is free."""
    policy = SignaturePolicy.parse(envelope, Table())
    found = endorsement_layouts(envelope)
    for layout in found:
        who = [
            Somebody(org, "peer", number)
            for org, count in layout.items()
            for number in range(count)
        ]
        assert policy.evaluate(who).satisfied  # type: ignore[arg-type]
        others = [other for other in found if other is not layout]
        assert not any(
            all(layout.get(org, 0) >= count for org, count in other.items()) for other in others
        )


layouts = st.lists(
    st.dictionaries(st.sampled_from(ORGS), st.integers(1, 3), max_size=3), max_size=4
)


@given(layouts, layouts)
def test_a_combined_layout_covers_one_of_each(
    one: list[dict[str, int]], other: list[dict[str, int]]
) -> None:
    def covers(big: dict[str, int], small: dict[str, int]) -> bool:
        return all(big.get(org, 0) >= count for org, count in small.items())

    both = combine(one, other)
    assert bool(both) == bool(one and other)
    for layout in both:
        assert any(covers(layout, part) for part in one)
        assert any(covers(layout, part) for part in other)


def texts() -> st.SearchStrategy[str]:
    leaf = st.builds(
        lambda mspid, role: f"'{mspid}.{role}'",
        st.from_regex(r"[A-Za-z0-9.-]{1,8}", fullmatch=True),
        st.sampled_from(ROLES),
    )

    def gate(inner: list[str], kind: str, n: int) -> str:
        listed = ", ".join(inner)
        return (
            f"OutOf({min(n, len(inner) + 1)}, {listed})" if kind == "OutOf" else f"{kind}({listed})"
        )

    def gates(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.builds(
            gate,
            st.lists(inner, min_size=1, max_size=4),
            st.sampled_from(["AND", "or", "OutOf"]),
            st.integers(0, 5),
        )

    return gates(st.recursive(leaf, gates, max_leaves=8))


@given(texts())
@settings(max_examples=80, deadline=None)
def test_a_policy_in_words_comes_back_as_itself(text: str) -> None:
    envelope = parse_policy(text)
    words = format_policy(envelope)
    assert parse_policy(words) == envelope
    assert format_policy(parse_policy(words)) == words


@given(st.text(alphabet="ANDORutof0123456789'\"().,- peraMS", max_size=60))
@settings(max_examples=150)
def test_any_text_is_a_policy_or_a_refusal(text: str) -> None:
    try:
        parse_policy(text)
    except InvalidPolicy as error:
        assert str(error)
