"""The policy language, and the order in which it numbers principals."""

import pytest

from tongban.node.core.errors import InvalidPolicy
from tongban.node.core.identity import parse_principal
from tongban.node.core.policy import format_policy, parse_implicit_meta, parse_policy
from tongban.protos.limits import POLICY_DEPTH_MAX
from tongban.protos.msp_principal_pb2 import MSPPrincipal
from tongban.protos.policies_pb2 import ImplicitMetaPolicy, SignaturePolicy, SignaturePolicyEnvelope


def principals(text: str) -> list[str]:
    return [str(parse_principal(one)) for one in parse_policy(text).identities]


def test_inner_gates_are_numbered_before_the_leaves_beside_them() -> None:
    envelope = parse_policy("OR('A.member', AND('B.member', 'C.member'))")
    assert [str(parse_principal(one)) for one in envelope.identities] == [
        "B.member",
        "C.member",
        "A.member",
    ]
    rules = envelope.rule.n_out_of.rules
    assert rules[0].signed_by == 2
    assert [rule.signed_by for rule in rules[1].n_out_of.rules] == [0, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("AND('A.peer','B.peer')", ["A.peer", "B.peer"]),
        ("AND('A.peer','A.peer')", ["A.peer", "A.peer"]),
        (
            "OR(AND('A.peer','B.peer'),'C.peer',OR('D.peer'))",
            ["A.peer", "B.peer", "D.peer", "C.peer"],
        ),
        (
            "AND('A.peer', OR('B.peer', AND('C.peer', 'D.peer')), 'E.peer')",
            ["C.peer", "D.peer", "B.peer", "A.peer", "E.peer"],
        ),
        ("OutOf(1, 'Org-1.MSP.admin')", ["Org-1.MSP.admin"]),
    ],
)
def test_principals_are_numbered_as_fabric_meets_them(text: str, expected: list[str]) -> None:
    assert principals(text) == expected


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("AND('A.peer','B.peer')", 2),
        ("And('A.peer','B.peer')", 2),
        ("and('A.peer','B.peer')", 2),
        ("OR('A.peer','B.peer')", 1),
        ("Or('A.peer','B.peer')", 1),
        ("or('A.peer','B.peer')", 1),
        ("OutOf(2,'A.peer','B.peer')", 2),
        ("outof(0,'A.peer')", 0),
        ("OUTOF(3,'A.peer','B.peer')", 3),
        ("OutOf('2', 'A.peer','B.peer')", 2),
        ('  OR ( "A.peer" , "B.peer" )  ', 1),
    ],
)
def test_every_spelling_of_a_gate(text: str, count: int) -> None:
    gate = parse_policy(text).rule.n_out_of
    assert gate.n == count
    assert len(gate.rules) in (1, 2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "found the end"),
        ("'A.peer'", "expected a gate"),
        ("AND()", "expected a gate"),
        ("AND('A.peer'", r"expected ',' or '\)'"),
        ("AND('A.peer',)", "expected a gate"),
        ("XOR('A.peer')", "expected a gate: AND, OR or OutOf at 0, found 'XOR'"),
        ("a('A.peer')", "expected a gate"),
        ("AND('A_b.peer')", "role one of"),
        ("AND('A.Peer')", "role one of"),
        ("AND('peer')", "role one of"),
        ("AND('.peer')", "role one of"),
        ("OutOf('A.peer','B.peer')", "expected a number"),
        ("OutOf(-1,'A.peer')", "invalid t-out-of-n predicate, t -1, n 1"),
        ("OutOf(3,'A.peer')", "invalid t-out-of-n predicate, t 3, n 1"),
        ("OutOf(99999999999,'A.peer')", "expected a number"),
        ("AND('A.peer') 'B.peer'", "expected the end"),
        ("AND('A.peer' 'B.peer')", "expected ','"),
        ("AND('A.peer", "cannot read the policy"),
        ("AND(A.peer)", "cannot read the policy from 5"),
        ("OR(" * 60 + "'A.peer'" + ")" * 60, "nest more deeply"),
        ("OR('A.peer'" + " " * 70_000 + ")", "at most"),
    ],
)
def test_what_is_not_in_the_language_is_refused_with_the_place(text: str, reason: str) -> None:
    with pytest.raises(InvalidPolicy, match=reason):
        parse_policy(text)


@pytest.mark.parametrize(
    ("text", "rule", "name"),
    [
        ("ANY Readers", ImplicitMetaPolicy.ANY, "Readers"),
        ("ALL Writers", ImplicitMetaPolicy.ALL, "Writers"),
        ("MAJORITY Admins", ImplicitMetaPolicy.MAJORITY, "Admins"),
    ],
)
def test_implicit_meta_policies_in_words(
    text: str, rule: "ImplicitMetaPolicy.Rule.ValueType", name: str
) -> None:
    assert parse_implicit_meta(text) == ImplicitMetaPolicy(sub_policy=name, rule=rule)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ANY", "two space separated tokens, but got 1"),
        ("ANY Readers Writers", "but got 3"),
        ("SOME Readers", "unknown rule type 'SOME', expected ALL, ANY, or MAJORITY"),
        ("any Readers", "unknown rule type"),
    ],
)
def test_other_words_are_no_implicit_meta_policy(text: str, reason: str) -> None:
    with pytest.raises(InvalidPolicy, match=reason):
        parse_implicit_meta(text)


def test_a_principal_without_words_is_described() -> None:
    envelope = SignaturePolicyEnvelope(
        rule=SignaturePolicy(
            n_out_of=SignaturePolicy.NOutOf(
                n=1, rules=[SignaturePolicy(signed_by=0), SignaturePolicy(signed_by=7)]
            )
        ),
        identities=[MSPPrincipal(principal_classification=MSPPrincipal.ANONYMITY)],
    )
    assert format_policy(envelope) == "OR(<anyone>, <principal 7, not listed>)"


def test_a_policy_at_the_limit_of_depth_is_read() -> None:
    depth = POLICY_DEPTH_MAX
    text = "OR(" * depth + "'A.peer'" + ")" * depth
    assert format_policy(parse_policy(text)) == text
    with pytest.raises(InvalidPolicy, match="nest"):
        parse_policy(f"OR({text})")
