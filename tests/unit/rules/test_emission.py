"""What follows from an event, in one transaction."""

import json
from typing import Any

import pytest

from tests.unit.rules.departments import Archive, Electricity, Property
from tongban.contracts import Context, Contract, ContractError, emits, on, submit
from tongban.contracts.rules import DEPTH_MAX, REFUSAL, RefusedReaction
from tongban.contracts.testing import DeployedContract, Ledger
from tongban.contracts.testing_rules import adopt_rules, approve_rule, declared, deploy_rules
from tongban.contracts.values import from_json


def departments() -> tuple[Ledger, DeployedContract]:
    ledger = Ledger()
    deployed = ledger.deploy(Property, name="property")
    ledger.deploy(Electricity, name="electricity")
    ledger.deploy(Archive, name="archive")
    adopt_rules(ledger, "property", "electricity", "archive")
    return ledger, deployed.using(ledger.identity("RegistryMSP", "registrar"))


def everything(ledger: Ledger) -> dict[str, dict[str, bytes]]:
    return {name: ledger.values(name) for name in ("property", "electricity", "archive", "rules")}


def report_of(ledger: Ledger) -> Any:
    return json.loads(ledger.events[-1].payload)


def test_reactions_happen_in_the_emitting_transaction_in_their_order() -> None:
    ledger, registry = departments()
    height = ledger.height
    assert registry.book("c1", "a1") == ["electricity done a1", "archive done "]
    assert ledger.height == height + 1
    assert ledger.value("electricity", "a1") == b"c1"
    assert ledger.value("archive", "a1") == b"noted"
    assert ledger.value("archive", "booking c1") == b"noted"
    written = [name for name, _ in ledger.last_writes]
    assert written.index("archive") < len(written) - 1 - written[::-1].index("archive")


def test_the_one_event_lists_all_events_and_no_payload() -> None:
    ledger, registry = departments()
    before = len(ledger.events)
    registry.book("case-one", "account-one")
    assert len(ledger.events) == before + 1
    event = ledger.events[-1]
    assert (event.chaincode_name, event.name) == ("property", "property.booked")
    report = report_of(ledger)
    assert [(one["source"], one["name"]) for one in report["events"]] == [
        ("property", "property.booked"),
        ("electricity", "electricity.transferred"),
    ]
    assert [(one["target"], one["outcome"]) for one in report["reactions"]] == [
        ("archive", "done"),
        ("electricity", "done"),
        ("archive", "done"),
    ]
    assert b"account-one" not in event.payload and b"case-one" not in event.payload


def test_a_refusal_with_abort_refuses_everything_with_the_reactions_text() -> None:
    ledger, registry = departments()
    before = everything(ledger)
    with pytest.raises(ContractError) as caught:
        registry.touch("bad")
    assert (caught.value.code, caught.value.text) == ("NO_TOUCH", "not that one")
    assert everything(ledger) == before


def test_catching_a_refusal_does_not_save_the_transaction() -> None:
    ledger, registry = departments()
    before = everything(ledger)
    with pytest.raises(ContractError, match="NO_TOUCH"):
        registry.swallow("bad")
    assert everything(ledger) == before


def test_a_refusal_with_record_is_kept_and_the_transaction_goes_on() -> None:
    ledger, registry = departments()
    assert registry.book("c1", "arrears") == ["electricity refused ARREARS", "archive done "]
    assert ledger.value("property", "c1") == b"booked"
    assert ledger.values("electricity") == {}
    kept = [value for key, value in ledger.values("property").items() if REFUSAL in key]
    refusal = from_json(RefusedReaction, kept[0])
    assert (len(kept), refusal.code, refusal.text, refusal.target) == (
        1,
        "ARREARS",
        "欠费",
        "electricity",
    )
    assert report_of(ledger)["reactions"][0]["code"] == "ARREARS"


def test_a_refusal_after_other_contracts_were_called_ends_the_transaction() -> None:
    # The archive refuses what electricity emitted; electricity has written by then, and what it
    # wrote cannot be taken back from the transaction alone.
    ledger, registry = departments()
    before = everything(ledger)
    with pytest.raises(ContractError, match="NO_NOTE"):
        registry.book("c1", "secret")
    assert everything(ledger) == before


def test_a_reaction_does_not_see_what_the_emitting_transaction_writes() -> None:
    class Source(Contract):
        department = "AMSP"

        @submit
        def write(self, ctx: Context) -> list[str]:
            ctx.stub.put_state("key", b"new")
            return [one.result for one in ctx.emit("written", {})]

        @submit
        def read(self, ctx: Context) -> str:
            return ctx.stub.get_state("key").decode()

    class Target(Contract):
        department = "BMSP"

        @on("written", source="source")
        @submit
        def look(self, ctx: Context, payload: dict[str, str]) -> str:
            return ctx.stub.call("source", "read").decode() or "nothing"

    ledger = Ledger()
    source = ledger.deploy(Source, name="source")
    ledger.deploy(Target, name="target")
    adopt_rules(ledger, "source", "target")
    assert source.write() == ["nothing"]
    assert source.write() == ["new"]


def test_a_keyed_event_has_its_reactions_once() -> None:
    ledger, registry = departments()
    registry.book("c1", "a1")
    before = everything(ledger)
    assert registry.book("c1", "a1") == ["electricity repeated ", "archive repeated "]
    assert everything(ledger) == before
    assert registry.book("c2", "a1") == ["electricity done a1", "archive done "]


def test_what_was_refused_may_be_emitted_again_under_its_key() -> None:
    _, registry = departments()
    registry.book("c1", "arrears")
    assert registry.book("c1", "arrears") == ["electricity refused ARREARS", "archive repeated "]


def test_the_same_key_twice_in_one_transaction_has_one_reaction() -> None:
    class Source(Contract):
        department = "AMSP"

        @submit
        def twice(self, ctx: Context) -> list[str]:
            found = [ctx.emit("written", {}, key="k"), ctx.emit("written", {}, key="k")]
            return [one.outcome.value for outcomes in found for one in outcomes]

    ledger = Ledger()
    source = ledger.deploy(Source, name="source")
    ledger.deploy(_target("written", "source"), name="target")
    adopt_rules(ledger, "source", "target")
    assert source.twice() == ["done", "repeated"]


def _target(event: str, source: str) -> type[Contract]:
    class Target(Contract):
        department = "BMSP"

        @on(event, source=source)
        @submit
        def react(self, ctx: Context, payload: dict[str, str]) -> None:
            ctx.stub.put_state("reacted", b"1")

    return Target


def _link(number: int) -> type[Contract]:
    class Link(Contract):
        department = f"D{number}MSP"

        @emits(f"e{number}")
        @submit
        def start(self, ctx: Context) -> None:
            ctx.stub.put_state("started", b"1")
            ctx.emit(f"e{number}", {})

        @on(f"e{number - 1}", source=f"c{number - 1}")
        @emits(f"e{number}")
        @submit
        def go(self, ctx: Context, payload: dict[str, str]) -> None:
            ctx.stub.put_state("went", b"1")
            ctx.emit(f"e{number}", {})

    return Link


def test_events_follow_from_each_other_to_a_bounded_depth() -> None:
    ledger = Ledger()
    names = [f"c{number}" for number in range(DEPTH_MAX + 1)]
    links = [ledger.deploy(_link(number), name=name) for number, name in enumerate(names)]
    adopt_rules(ledger, *names)
    with pytest.raises(ContractError, match="RULES_TOO_DEEP") as caught:
        links[0].start()
    assert "e0 → e1" in str(caught.value)
    assert all(ledger.values(name) == {} for name in names)
    links[1].start()
    assert ledger.value(names[-1], "went") == b"1"


def test_a_reaction_says_what_it_emits() -> None:
    class Sloppy(Contract):
        department = "BMSP"

        @on("e0", source="c0")
        @submit
        def go(self, ctx: Context, payload: dict[str, str]) -> None:
            ctx.emit("surprise", {})

    ledger = Ledger()
    first = ledger.deploy(_link(0), name="c0")
    ledger.deploy(Sloppy, name="sloppy")
    adopt_rules(ledger, "c0", "sloppy")
    with pytest.raises(ContractError, match="UNDECLARED_EVENT"):
        first.start()
    assert ledger.values("c0") == {} and ledger.values("sloppy") == {}


def test_emitting_needs_the_contract_rules_and_an_object() -> None:
    class Plain(Contract):
        @submit
        def go(self, ctx: Context, payload: list[int]) -> None:
            ctx.emit("gone", payload)

        @submit
        def both(self, ctx: Context) -> None:
            ctx.stub.set_event("own", b"")
            ctx.emit("gone", {})

        @submit
        def emit(self, ctx: Context, name: str) -> None:
            ctx.emit(name, {})

    ledger = Ledger()
    plain = ledger.deploy(Plain, name="plain")
    with pytest.raises(ContractError, match="RULES_UNAVAILABLE"):
        plain.emit("gone")
    deploy_rules(ledger)
    plain.emit("gone")
    assert report_of(ledger)["reactions"] == []
    with pytest.raises(ContractError, match="INVALID_EVENT"):
        plain.go([1])
    with pytest.raises(ContractError, match="INVALID_EVENT"):
        plain.emit("no such name")
    with pytest.raises(ContractError, match="TWO_EVENTS"):
        plain.both()


def test_clients_cannot_call_a_reaction() -> None:
    ledger, registry = departments()
    electricity = registry.using(ledger.identity("PowerMSP", "clerk"))
    before = everything(ledger)
    payload = json.dumps({"case": "c1", "account": "a1"})
    power = DeployedContract(ledger, "electricity", electricity._package, electricity._options)
    for function in ("follow", "Electricity:follow"):
        with pytest.raises(ContractError, match="ACCESS_DENIED"):
            power.submit(function, payload)
    rule = "property.property.booked.electricity.Electricity:follow"
    for path in ([["property", "property.booked", 0]], [["electricity", "property.booked", 0]]):
        envelope = {"id": "0" * 64, "rule": rule, "path": path, "is_keyed": False}
        with pytest.raises(ContractError, match="ACCESS_DENIED"):
            power.submit("org.tongban.rules:React", json.dumps(envelope), payload)
    assert everything(ledger) == before


def test_another_contract_cannot_pass_for_the_emitting_one() -> None:
    class Forger(Contract):
        @submit
        def forge(self, ctx: Context, source: str) -> str:
            envelope = {
                "id": "0" * 64,
                "rule": "property.property.booked.electricity.Electricity:follow",
                "path": [[source, "property.booked", 0]],
                "is_keyed": False,
            }
            payload = json.dumps({"case": "c", "account": "a"})
            args = ["org.tongban.rules:React", json.dumps(envelope), payload]
            return ctx.stub.call("electricity", *args).decode()

    ledger, _ = departments()
    forger = ledger.deploy(Forger, name="forger")
    with pytest.raises(ContractError, match="ACCESS_DENIED"):
        forger.forge("property")
    with pytest.raises(ContractError, match="RULE_NOT_ACTIVE"):
        forger.forge("forger")
    assert ledger.values("electricity") == {}


def test_an_upgrade_that_declares_otherwise_stops_the_rule_until_it_is_approved_again() -> None:
    class Upgraded(Contract):
        name = "Archive"
        department = "BureauMSP"

        @on("property.booked", source="property", order=20)
        @emits("archive.more")
        @submit
        def note_booking(self, ctx: Context, booked: dict[str, str]) -> None:
            ctx.emit("archive.more", {})

    ledger, registry = departments()
    ledger.deploy(Upgraded, name="archive")
    before = everything(ledger)
    with pytest.raises(ContractError, match="RULE_OUTDATED"):
        registry.book("c1", "arrears")
    assert everything(ledger) == before
    adopted = adopt_rules_again(ledger)
    assert adopted == ["property.property.booked.archive.Archive:note_booking"]
    assert registry.book("c1", "arrears")[1] == "archive done "


def adopt_rules_again(ledger: Ledger) -> list[str]:
    changed = [
        rule for rule in declared(ledger, "property", "electricity", "archive") if rule.emits
    ]
    archive = [rule for rule in changed if rule.target == "archive"]
    for rule in archive:
        approve_rule(ledger, rule)
    return [rule.id for rule in archive]
