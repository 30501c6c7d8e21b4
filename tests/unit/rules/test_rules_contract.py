"""Agreeing on rules: who may, what becomes active when, and in which order."""

from dataclasses import replace

import pytest

from tests.unit.rules.departments import Archive, Electricity, Property
from tongban.contracts import Context, Contract, ContractDefinitionError, ContractError, on, submit
from tongban.contracts.declarations import emits
from tongban.contracts.rule_graph import find_circle
from tongban.contracts.rules import Rule, content_hash
from tongban.contracts.testing import DeployedContract, Ledger
from tongban.contracts.testing_rules import adopt_rules, approve_rule, declared, deploy_rules

FOLLOW = "property.property.booked.electricity.Electricity:follow"


def proposing() -> tuple[Ledger, DeployedContract, Rule]:
    ledger = Ledger()
    ledger.deploy(Property, name="property")
    ledger.deploy(Electricity, name="electricity")
    ledger.deploy(Archive, name="archive")
    rules = deploy_rules(ledger)
    found = {rule.id: rule for rule in declared(ledger, "property", "electricity")}
    return ledger, rules, found[FOLLOW]


def admin(ledger: Ledger, rules: DeployedContract, mspid: str) -> DeployedContract:
    return rules.using(ledger.identity(mspid, "Admin", roles=("admin",)))


def test_a_rule_is_active_when_both_departments_have_approved_the_same_content() -> None:
    ledger, rules, rule = proposing()
    content = admin(ledger, rules, "BureauMSP").Propose(rule)
    assert content == content_hash(rule)
    assert rules.ForEvent("property", "property.booked") == []
    assert admin(ledger, rules, "RegistryMSP").Approve(rule.id, content) is False
    assert rules.ForEvent("property", "property.booked") == []
    assert admin(ledger, rules, "PowerMSP").Approve(rule.id, content) is True
    assert rules.ForEvent("property", "property.booked") == [rule]
    record = rules.Get(rule.id)
    assert record.approvals == {"RegistryMSP": content, "PowerMSP": content}
    assert (record.active, record.proposed) == (rule, None)


def test_only_those_with_authority_in_the_departments_concerned_approve() -> None:
    ledger, rules, rule = proposing()
    clerk = rules.using(ledger.identity("PowerMSP", "clerk"))
    with pytest.raises(ContractError, match="ACCESS_DENIED"):
        clerk.Propose(rule)
    content = admin(ledger, rules, "PowerMSP").Propose(rule)
    before = ledger.values("rules")
    with pytest.raises(ContractError, match="ACCESS_DENIED"):
        clerk.Approve(rule.id, content)
    with pytest.raises(ContractError, match="ACCESS_DENIED"):
        admin(ledger, rules, "BankMSP").Approve(rule.id, content)
    with pytest.raises(ContractError, match="OTHER_CONTENT"):
        admin(ledger, rules, "PowerMSP").Approve(rule.id, "0" * 64)
    with pytest.raises(ContractError, match="NOT_FOUND"):
        admin(ledger, rules, "PowerMSP").Approve("other", content)
    assert ledger.values("rules") == before
    officer = ledger.identity("PowerMSP", "officer", attributes={"duty": "rules"})
    assert rules.using(officer).Approve(rule.id, content) is False


def test_a_rule_says_just_what_its_contracts_declare() -> None:
    ledger, rules, rule = proposing()
    other = admin(ledger, rules, "PowerMSP")
    for changed in (
        replace(rule, id="another"),
        replace(rule, refused="abort"),
        replace(rule, order=11),
        replace(rule, emits=()),
        replace(rule, target_department="BankMSP"),
        replace(rule, source_department="BankMSP"),
        replace(rule, function="Electricity:account"),
    ):
        with pytest.raises(ContractError, match="NOT_DECLARED"):
            other.Propose(changed)
    with pytest.raises(ContractError):
        other.Propose(replace(rule, source="nowhere"))
    assert ledger.values("rules") == {}


def test_a_contract_without_a_department_has_no_rules() -> None:
    class Nobody(Contract):
        @on("property.booked", source="property")
        @submit
        def go(self, ctx: Context, payload: dict[str, str]) -> None: ...

    ledger, rules, _ = proposing()
    ledger.deploy(Nobody, name="nobody")
    (rule,) = declared(ledger, "property", "nobody")
    with pytest.raises(ContractError, match="NO_DEPARTMENT"):
        admin(ledger, rules, "PowerMSP").Propose(rule)
    assert ledger.values("rules") == {}


def test_an_event_that_the_source_does_not_declare_is_refused() -> None:
    class Misspelt(Contract):
        department = "BankMSP"

        @on("property.boked", source="property")
        @submit
        def go(self, ctx: Context, payload: dict[str, str]) -> None: ...

    ledger, rules, _ = proposing()
    ledger.deploy(Misspelt, name="misspelt")
    (rule,) = declared(ledger, "property", "misspelt")
    with pytest.raises(ContractError, match=r"NOT_DECLARED.*property\.booked"):
        admin(ledger, rules, "BankMSP").Propose(rule)


def test_order_then_id_decide_who_reacts_first() -> None:
    ledger = Ledger()
    ledger.deploy(Property, name="property")
    names = []
    for name, order in (("z", 5), ("b", 50), ("a", 50), ("m", 7)):
        ledger.deploy(_reacting(order, f"{name.upper()}MSP"), name=name)
        names.append(name)
    adopt_rules(ledger, "property", *names)
    rules = deploy_rules(ledger)
    found = [rule.target for rule in rules.ForEvent("property", "property.touched")]
    assert found == ["z", "m", "a", "b"]


def _reacting(order: int, department: str) -> type[Contract]:
    class Reacting(Contract):
        @on("property.touched", source="property", order=order)
        @submit
        def go(self, ctx: Context, payload: dict[str, str]) -> None: ...

    Reacting.department = department
    return Reacting


def _following(source: str, event: str, own: str, department: str) -> type[Contract]:
    class Following(Contract):
        @on(event, source=source)
        @emits(own)
        @submit
        def go(self, ctx: Context, payload: dict[str, str]) -> None:
            ctx.emit(own, {})

    Following.department = department
    return Following


def test_a_circle_is_refused_when_its_last_rule_would_become_active() -> None:
    ledger = Ledger()
    ledger.deploy(_following("c", "ec", "ea", "AMSP"), name="a")
    ledger.deploy(_following("a", "ea", "eb", "BMSP"), name="b")
    ledger.deploy(_following("b", "eb", "ec", "CMSP"), name="c")
    rules = deploy_rules(ledger)
    first, second, third = declared(ledger, "a", "b", "c")
    approve_rule(ledger, first)
    approve_rule(ledger, second)
    content = admin(ledger, rules, "AMSP").Propose(third)
    concerned = sorted({third.source_department, third.target_department})
    admin(ledger, rules, concerned[0]).Approve(third.id, content)
    before = ledger.values("rules")
    with pytest.raises(ContractError, match="CIRCLE") as caught:
        admin(ledger, rules, concerned[1]).Approve(third.id, content)
    assert "a/ea → b/eb → c/ec → a/ea" in str(caught.value)
    assert ledger.values("rules") == before
    assert rules.ForEvent(third.source, third.event) == []


def test_a_contract_that_follows_its_own_event_is_a_circle_only_if_it_emits_it() -> None:
    base = Rule("r", "a", "e", "a", "A:f", "abort", "abort", 1, "M", "M")
    assert find_circle([base]) == []
    assert find_circle([replace(base, emits=("other",))]) == []
    assert [str(node) for node in find_circle([replace(base, emits=("e",))])] == ["a/e", "a/e"]


def test_ways_that_meet_again_are_no_circle() -> None:
    def rule(name: str, source: str, target: str) -> Rule:
        return Rule(name, source, "e", target, "T:f", "abort", "abort", 1, "M", "M", emits=("e",))

    diamond = [rule("1", "a", "b"), rule("2", "a", "c"), rule("3", "b", "d"), rule("4", "c", "d")]
    assert find_circle(diamond) == []
    assert find_circle([*diamond, rule("5", "d", "c")]) != []


def test_a_new_content_holds_when_both_have_approved_it_and_the_old_until_then() -> None:
    class Later(Contract):
        name = "Electricity"
        department = "PowerMSP"

        @on("property.booked", source="property", refused="abort", order=99)
        @submit
        def follow(self, ctx: Context, payload: dict[str, str]) -> None: ...

    ledger, rules, rule = proposing()
    approve_rule(ledger, rule)
    ledger.deploy(Later, name="electricity")
    (changed,) = declared(ledger, "property", "electricity")
    assert (changed.id, changed.order) == (rule.id, 99)
    content = admin(ledger, rules, "PowerMSP").Propose(changed)
    with pytest.raises(ContractError, match="ALREADY_PROPOSED"):
        admin(ledger, rules, "PowerMSP").Propose(changed)
    admin(ledger, rules, "PowerMSP").Approve(rule.id, content)
    assert rules.ForEvent("property", "property.booked") == [rule]
    assert admin(ledger, rules, "RegistryMSP").Approve(rule.id, content) is True
    assert rules.ForEvent("property", "property.booked") == [changed]
    with pytest.raises(ContractError, match="ALREADY_ACTIVE"):
        admin(ledger, rules, "PowerMSP").Propose(changed)


def test_either_department_withdraws_a_rule_and_others_cannot() -> None:
    ledger, rules, rule = proposing()
    approve_rule(ledger, rule)
    before = ledger.values("rules")
    with pytest.raises(ContractError, match="ACCESS_DENIED"):
        admin(ledger, rules, "BankMSP").Withdraw(rule.id)
    assert ledger.values("rules") == before
    admin(ledger, rules, "RegistryMSP").Withdraw(rule.id)
    assert ledger.values("rules") == {}


def test_the_graph_shows_what_leads_where() -> None:
    ledger, rules, _ = proposing()
    adopt_rules(ledger, "property", "electricity", "archive")
    edges = rules.Graph()
    shown = [(str(edge.start), str(edge.end) if edge.end else "") for edge in edges]
    assert ("property/property.booked", "electricity/electricity.transferred") in shown
    assert ("electricity/electricity.transferred", "") in shown
    assert len(rules.List()) == 4


def test_metadata_shows_reactions_events_and_the_department() -> None:
    metadata = Ledger().deploy(Electricity).metadata["contracts"]["Electricity"]
    assert metadata["department"] == "PowerMSP"
    follow = next(one for one in metadata["transactions"] if one["name"] == "follow")
    assert follow["reactions"] == [
        {
            "event": "property.booked",
            "order": 10,
            "refused": "record",
            "source": "property",
            "unavailable": "defer",
        }
    ]
    assert follow["emits"] == ["electricity.transferred"]


def test_a_reaction_that_cannot_be_honoured_is_found_when_the_package_is_loaded() -> None:
    class Two(Contract):
        @on("e", source="c")
        @submit
        def go(self, ctx: Context, one: str, two: str) -> None: ...

    class Departments(Contract):
        department = "AMSP"

        @submit
        def go(self, ctx: Context) -> None: ...

    class Other(Departments):
        department = "BMSP"

    with pytest.raises(ContractDefinitionError, match="one parameter"):
        Ledger().deploy(Two)
    with pytest.raises(ContractDefinitionError, match="AMSP and BMSP"):
        Ledger().deploy(Departments, Other)
    with pytest.raises(ContractDefinitionError, match="unavailable"):
        on("e", source="c", unavailable="later")  # type: ignore[arg-type]
    with pytest.raises(ContractDefinitionError, match=r"like property\.booked"):
        on("no name", source="c")
    with pytest.raises(ContractDefinitionError, match="no chaincode"):
        on("e", source="")
