"""``tongban rules``: what follows from what on a channel, and agreeing on it."""

from dataclasses import asdict
from pathlib import Path

import click

from tongban.contracts.rule_graph import Edge, edges_of, in_order
from tongban.contracts.rules import Rule, content_hash
from tongban.contracts.rules_contract.rules_contract import RuleRecord
from tongban.network.cli.context import as_option, dir_option, json_option
from tongban.network.cli.output import refusals, say, say_json
from tongban.network.cli.reach import open_connections, parse_who
from tongban.network.cli.screen import steps, table
from tongban.network.errors import NetworkError
from tongban.network.language import text
from tongban.network.rules import ChannelRules


@click.group(name="rules")
def rules() -> None:
    """Rules between contracts: which events have which reactions."""


@rules.command(name="list")
@click.argument("channel")
@json_option
@dir_option
@refusals
def list_rules(channel: str, as_json: bool, directory: Path) -> None:
    """The rules of CHANNEL: active ones in their order, proposed ones, and those that contracts
    declare and nobody has proposed."""
    found = _open(directory, channel)
    records = found.records()
    lines = [line for record in records for line in _lines(record)]
    known = {record.id for record in records}
    lines += [("declared", rule, "") for rule in found.declared() if rule.id not in known]
    if as_json:
        say_json(
            [asdict(rule) | {"state": state, "waits_for": wait} for state, rule, wait in lines]
        )
        return
    columns = ("state", "order", "event", "reaction", "refused", "unavailable", "id", "waits for")
    places = {"active": 0, "proposed": 1, "declared": 2}
    lines.sort(
        key=lambda one: (places[one[0]], one[1].source, one[1].event, one[1].order, one[1].id)
    )
    table(
        columns,
        [
            (
                state,
                rule.order,
                f"{rule.source}/{rule.event}",
                f"{rule.target} {rule.function}",
                rule.refused,
                rule.unavailable,
                rule.id,
                wait,
            )
            for state, rule, wait in lines
        ],
    )


@rules.command()
@click.argument("channel")
@json_option
@dir_option
@refusals
def graph(channel: str, as_json: bool, directory: Path) -> None:
    """Which events lead to which by the active rules of CHANNEL."""
    records = _open(directory, channel).records()
    active = [record.active for record in records if record.active is not None]
    if as_json:
        say_json([asdict(edge) for edge in edges_of(active)])
        return
    for line in _draw(active):
        say(line)


@rules.command()
@click.argument("channel")
@click.argument("rule_id")
@as_option
@dir_option
@refusals
def propose(channel: str, rule_id: str, who: str | None, directory: Path) -> None:
    """Propose the rule RULE_ID as the contracts of CHANNEL declare it; prints the hash to
    approve."""
    connections = open_connections(directory)
    found = ChannelRules(connections, connections.find_channel(channel))
    declared = {rule.id: rule for rule in found.declared()}
    if rule_id not in declared:
        known = ", ".join(declared) or "none"
        raise NetworkError(f"no contract declares a rule {rule_id!r}", f"Declared are: {known}")
    say(found.propose(*parse_who(connections, who), declared[rule_id]))


@rules.command()
@click.argument("channel")
@click.argument("rule_id")
@click.argument("content")
@as_option
@dir_option
@refusals
def approve(channel: str, rule_id: str, content: str, who: str | None, directory: Path) -> None:
    """Approve the rule RULE_ID with the hash CONTENT for the department of --as."""
    connections = open_connections(directory)
    found = ChannelRules(connections, connections.find_channel(channel))
    if found.approve(*parse_who(connections, who), rule_id, content):
        say(text(f"{rule_id} is active", f"{rule_id} 已生效"))
    else:
        say(text(f"{rule_id} waits for the other department", f"{rule_id} 等待另一部门同意"))


@rules.command()
@click.argument("channel")
@click.argument("rule_id")
@as_option
@dir_option
@refusals
def withdraw(channel: str, rule_id: str, who: str | None, directory: Path) -> None:
    """The rule RULE_ID holds no more. Either department concerned can do this alone."""
    connections = open_connections(directory)
    found = ChannelRules(connections, connections.find_channel(channel))
    found.withdraw(*parse_who(connections, who), rule_id)
    say(text(f"{rule_id} is withdrawn", f"{rule_id} 已撤回"))


@rules.command()
@click.argument("channel")
@dir_option
@refusals
def adopt(channel: str, directory: Path) -> None:
    """Propose and approve all declared rules for all departments of a development network."""
    with steps() as tell:
        count = _open(directory, channel).adopt(tell)
    say(text(f"{count} rules adopted", f"{count} 条规则已生效"))


def _open(directory: Path, channel: str) -> ChannelRules:
    connections = open_connections(directory)
    return ChannelRules(connections, connections.find_channel(channel))


def _lines(record: RuleRecord) -> list[tuple[str, Rule, str]]:
    found: list[tuple[str, Rule, str]] = []
    if record.active is not None:
        found.append(("active", record.active, ""))
    rule = record.proposed
    if rule is not None:
        concerned = {rule.source_department, rule.target_department}
        wait = sorted(concerned - set(record.approvals))
        found.append(("proposed", rule, f"{', '.join(wait)} ({content_hash(rule)})"))
    return found


def _draw(active: list[Rule]) -> list[str]:
    """Each event with its reactions in order, and what they may emit."""
    lines = []
    for source, event in sorted({(rule.source, rule.event) for rule in active}):
        lines.append(f"{source}/{event}")
        for rule in in_order([r for r in active if (r.source, r.event) == (source, event)]):
            emitted = [str(edge.end) for edge in edges_of([rule]) if _leads_on(edge)]
            follows = f" → {', '.join(emitted)}" if emitted else ""
            lines.append(
                f"  {rule.order:>4}  {rule.target} {rule.function}"
                f"  (refused: {rule.refused}, unavailable: {rule.unavailable}){follows}"
            )
    return lines


def _leads_on(edge: Edge) -> bool:
    return edge.end is not None
