"""Which events follow from which: the graph that a channel's rules make.

A node is an event of a contract. A rule leads from the event that it reacts to, to each event that
its function may emit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tongban.contracts.rules import Rule


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """An event of a contract."""

    chaincode: str
    event: str

    def __str__(self) -> str:
        return f"{self.chaincode}/{self.event}"


@dataclass(frozen=True, slots=True)
class Edge:
    """That one event may lead to another, by a rule. ``end`` is None where the rule's function
    emits nothing."""

    start: Node
    rule: str
    end: Node | None


def edges_of(rules: Iterable[Rule]) -> list[Edge]:
    """All edges, sorted by rule."""
    found = []
    for rule in sorted(rules, key=lambda one: one.id):
        start = Node(rule.source, rule.event)
        for event in rule.emits:
            found.append(Edge(start, rule.id, Node(rule.target, event)))
        if not rule.emits:
            found.append(Edge(start, rule.id, None))
    return found


def in_order(rules: Iterable[Rule]) -> list[Rule]:
    """Rules as they react: by order, equal ones by id. Ids differ, so the order is total."""
    return sorted(rules, key=lambda rule: (rule.order, rule.id))


def find_circle(rules: Sequence[Rule]) -> list[Node]:
    """Nodes of a circle, the first repeated at the end; empty if there is none."""
    following: dict[Node, list[Node]] = {}
    for edge in edges_of(rules):
        if edge.end is not None:
            following.setdefault(edge.start, []).append(edge.end)
    finished: set[Node] = set()
    for first in sorted(following):
        circle = _search(first, following, finished)
        if circle:
            return circle
    return []


def _search(first: Node, following: dict[Node, list[Node]], finished: set[Node]) -> list[Node]:
    way = [first]
    waiting = [iter(following.get(first, ()))]
    while way:
        found = next(waiting[-1], None)
        if found is None:
            finished.add(way.pop())
            waiting.pop()
        elif found in way:
            return [*way[way.index(found) :], found]
        elif found not in finished:
            way.append(found)
            waiting.append(iter(following.get(found, ())))
    return []
