"""The policy language: ``AND('Org1MSP.peer', OR('Org2MSP.admin', 'Org3MSP.member'))``.

Gates are AND, OR and OutOf (also lower case, and And, Or). Leaves are quoted ``MSPID.role``.
Principals are numbered as Fabric's evaluator meets them: the gates inside a gate first, in order,
then the gate's own leaves. Equal principals are not merged. The numbers are in the bytes that
organizations approve, so this order matters (fabric common/policydsl/policyparser.go).
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from tongban.node.core.errors import InvalidPolicy
from tongban.node.core.identity.principals import (
    ROLE_NAMES,
    RolePrincipal,
    parse_principal,
    role_principal,
)
from tongban.protos.limits import POLICY_DEPTH_MAX
from tongban.protos.msp_principal_pb2 import MSPPrincipal, MSPRole
from tongban.protos.policies_pb2 import (
    ImplicitMetaPolicy,
    SignaturePolicy,
    SignaturePolicyEnvelope,
)

POLICY_TEXT_CHARS_MAX = 64 * 1024
"""Characters of a policy in words; a thousand organizations fit."""

_AND = frozenset({"AND", "And", "and"})
_OR = frozenset({"OR", "Or", "or"})
_OUT_OF = frozenset({"OUTOF", "OutOf", "outof"})
_GATES = _AND | _OR | _OUT_OF

_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z]+)|(?P<number>-?\d+)|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\""
    r"|(?P<mark>[(),]))"
)

_LEAF = re.compile(r"([A-Za-z0-9.-]+)\.(admin|member|client|peer|orderer)")

_ROLES: dict[str, "MSPRole.MSPRoleType.ValueType"] = {
    "member": MSPRole.MEMBER,
    "admin": MSPRole.ADMIN,
    "client": MSPRole.CLIENT,
    "peer": MSPRole.PEER,
    "orderer": MSPRole.ORDERER,
}


def parse_policy(text: str) -> SignaturePolicyEnvelope:
    """The wire form of a policy in words.

    Raises:
        InvalidPolicy: it is not in the language; the text says where.
    """
    if len(text) > POLICY_TEXT_CHARS_MAX:
        raise InvalidPolicy(f"expected at most {POLICY_TEXT_CHARS_MAX} characters of policy")
    parser = _Parser(text)
    rule = parser.gate(0)
    parser.end()
    return SignaturePolicyEnvelope(version=0, rule=rule, identities=parser.principals)


def parse_implicit_meta(text: str) -> ImplicitMetaPolicy:
    """The wire form of ``ANY Readers``, ``ALL Writers`` or ``MAJORITY Admins``.

    Raises:
        InvalidPolicy: it is none of these.
    """
    words = text.split(" ")
    if len(words) != 2:
        raise InvalidPolicy(f"expected two space separated tokens, but got {len(words)}")
    rules: dict[str, ImplicitMetaPolicy.Rule.ValueType] = {
        "ANY": ImplicitMetaPolicy.ANY,
        "ALL": ImplicitMetaPolicy.ALL,
        "MAJORITY": ImplicitMetaPolicy.MAJORITY,
    }
    if words[0] not in rules:
        raise InvalidPolicy(f"unknown rule type '{words[0]}', expected ALL, ANY, or MAJORITY")
    return ImplicitMetaPolicy(sub_policy=words[1], rule=rules[words[0]])


def format_policy(envelope: SignaturePolicyEnvelope) -> str:
    """A policy in words. What :func:`parse_policy` made comes back as something that it reads the
    same way; a principal that the language has no words for is described in angle brackets."""
    return _format(envelope.rule, envelope.identities, 0)


class _Token(NamedTuple):
    kind: str
    text: str
    place: int


class _Parser:
    """One pass over the text; principals pile up in their order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokenize(text)
        self._next = 0
        self.principals: list[MSPPrincipal] = []

    def gate(self, depth: int) -> SignaturePolicy:
        if depth >= POLICY_DEPTH_MAX:
            raise InvalidPolicy(f"gates nest more deeply than {POLICY_DEPTH_MAX}")
        name = self._peek()
        if name is None or name.text not in _GATES or name.kind != "name":
            raise self._error(name, "a gate: AND, OR or OutOf")
        self._next += 1
        self._take("(")
        wanted = self._count() if name.text in _OUT_OF else None
        arguments = self._arguments(depth)
        # Leaves are numbered after every gate among the arguments, so they wait until now.
        rules = [one if isinstance(one, SignaturePolicy) else self._leaf(one) for one in arguments]
        if wanted is None:
            wanted = len(rules) if name.text in _AND else 1
        if not 0 <= wanted <= len(rules) + 1:
            raise InvalidPolicy(f"invalid t-out-of-n predicate, t {wanted}, n {len(rules)}")
        return SignaturePolicy(n_out_of=SignaturePolicy.NOutOf(n=wanted, rules=rules))

    def end(self) -> None:
        if self._next < len(self._tokens):
            raise self._error(self._tokens[self._next], "the end")

    def _count(self) -> int:
        token = self._peek()
        text = token.text if token is not None and token.kind in ("number", "leaf") else ""
        if not re.fullmatch(r"-?\d{1,9}", text):
            raise self._error(token, "a number")
        self._next += 1
        self._take(",")
        return int(text)

    def _arguments(self, depth: int) -> list[SignaturePolicy | _Token]:
        arguments: list[SignaturePolicy | _Token] = []
        while True:
            token = self._peek()
            if token is not None and token.kind == "leaf":
                self._next += 1
                arguments.append(token)
            else:
                arguments.append(self.gate(depth + 1))
            if self._take(",", ")") == ")":
                return arguments

    def _leaf(self, token: _Token) -> SignaturePolicy:
        match = _LEAF.fullmatch(token.text)
        if match is None:
            raise self._error(
                token, "'MSPID.role', role one of admin, member, client, peer, orderer"
            )
        self.principals.append(role_principal(match[1], _ROLES[match[2]]))
        return SignaturePolicy(signed_by=len(self.principals) - 1)

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, *marks: str) -> str:
        token = self._peek()
        if token is None or token.kind != "mark" or token.text not in marks:
            raise self._error(token, " or ".join(f"'{mark}'" for mark in marks))
        self._next += 1
        return token.text

    def _error(self, token: _Token | None, expected: str) -> InvalidPolicy:
        if token is None:
            return InvalidPolicy(f"expected {expected}, found the end of the policy")
        return InvalidPolicy(f"expected {expected} at {token.place}, found {token.text!r}")


def _tokenize(text: str) -> list[_Token]:
    tokens = []
    place = 0
    end = len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            raise InvalidPolicy(
                f"cannot read the policy from {place}: {text[place : place + 20]!r}"
            )
        kind = match.lastgroup
        assert kind is not None
        word = match[kind]
        begin = match.start(kind)
        tokens.append(_Token("leaf" if kind in ("single", "double") else kind, word, begin))
        place = match.end()
    return tokens


def _format(rule: SignaturePolicy, identities: Sequence[MSPPrincipal], depth: int) -> str:
    if depth > POLICY_DEPTH_MAX:
        return "…"
    if rule.WhichOneof("Type") == "signed_by":
        if not 0 <= rule.signed_by < len(identities):
            return f"<principal {rule.signed_by}, not listed>"
        principal = parse_principal(identities[rule.signed_by])
        if isinstance(principal, RolePrincipal) and principal.role in ROLE_NAMES:
            return f"'{principal}'"
        return f"<{principal}>"
    gate = rule.n_out_of
    inner = ", ".join(_format(one, identities, depth + 1) for one in gate.rules)
    if not gate.rules or not 0 < gate.n <= len(gate.rules):
        return f"OutOf({gate.n}, {inner})" if inner else f"OutOf({gate.n})"
    if gate.n == 1:
        return f"OR({inner})"
    return f"AND({inner})" if gate.n == len(gate.rules) else f"OutOf({gate.n}, {inner})"
