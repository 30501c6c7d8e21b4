"""Reactions that wait for their department, and happen once."""

import json

import pytest

from tests.unit.rules.departments import Archive, Electricity, Property
from tongban.contracts import ContractError
from tongban.contracts.reactions import PendingPage
from tongban.contracts.rules import DEFER_HINT, DONE, PENDING, DoneReaction, PendingReaction
from tongban.contracts.testing import DeployedContract, Ledger
from tongban.contracts.testing_rules import adopt_rules, deploy_rules
from tongban.contracts.values import from_json

SYSTEM = "org.tongban.rules"
HINT = {DEFER_HINT: json.dumps(["electricity", "archive"]).encode()}


class District:
    """The departments of these tests on one ledger."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        clerk = self.ledger.identity("PowerMSP", "clerk")
        registrar = self.ledger.identity("RegistryMSP", "registrar")
        archivist = self.ledger.identity("BureauMSP", "archivist")
        self.property = self.ledger.deploy(Property, name="property").using(registrar)
        self.power = self.ledger.deploy(Electricity, name="electricity").using(clerk)
        self.archive = self.ledger.deploy(Archive, name="archive").using(archivist)
        adopt_rules(self.ledger, "property", "electricity", "archive")

    def waiting(self, target: str = "electricity") -> list[PendingReaction]:
        page = self.property.evaluate(f"{SYSTEM}:Pending", target, "", "10")
        return list(from_json(PendingPage, page).pending)

    def run(self, identifier: str, close: bool = True) -> DoneReaction:
        args = ("property", identifier, json.dumps(close))
        return from_json(DoneReaction, self.power.submit(f"{SYSTEM}:RunDeferred", *args))

    def defer(self, case: str, account: str) -> list[str]:
        found: list[str] = self.property.using(transient=HINT).book(case, account)
        return found

    def everything(self) -> dict[str, dict[str, bytes]]:
        names = ("property", "electricity", "archive")
        return {name: self.ledger.values(name) for name in names}


def test_the_hint_defers_what_its_rule_allows_and_nothing_else() -> None:
    district = District()
    assert district.defer("c1", "a1") == ["electricity deferred ", "archive done "]
    assert district.ledger.values("electricity") == {}
    (waiting,) = district.waiting()
    assert (waiting.payload, waiting.source) == ({"case": "c1", "account": "a1"}, "property")
    assert district.property.using(transient=HINT).touch("c1") == ["electricity done"]


def test_a_deferred_reaction_happens_later_and_stops_to_wait() -> None:
    district = District()
    district.defer("c1", "a1")
    (waiting,) = district.waiting()
    done = district.run(waiting.id)
    assert (done.outcome, done.origin_tx_id) == ("done", waiting.tx_id)
    assert district.ledger.value("electricity", "a1") == b"c1"
    assert district.ledger.value("archive", "a1") == b"noted"
    assert district.waiting() == []
    report = json.loads(district.ledger.events[-1].payload)
    assert [one["name"] for one in report["events"]] == ["electricity.transferred"]
    assert [one["id"] for one in report["reactions"]][-1] == waiting.id


@pytest.mark.parametrize("close", [True, False])
def test_a_second_run_is_refused_as_already_done(close: bool) -> None:
    district = District()
    district.defer("c1", "a1")
    (waiting,) = district.waiting()
    district.run(waiting.id, close)
    before = district.everything()
    for again in (True, False):
        with pytest.raises(ContractError, match="ALREADY_DONE"):
            district.run(waiting.id, again)
    assert district.everything() == before


def test_what_happened_without_the_source_is_closed_later() -> None:
    district = District()
    district.defer("c1", "a1")
    (waiting,) = district.waiting()
    with pytest.raises(ContractError, match="NOT_DONE"):
        district.property.submit(f"{SYSTEM}:ClosePending", "electricity", waiting.id)
    district.run(waiting.id, close=False)
    written = {name for name, _ in district.ledger.last_writes}
    assert "property" not in written and district.waiting() == [waiting]
    district.property.submit(f"{SYSTEM}:ClosePending", "electricity", waiting.id)
    assert district.waiting() == []
    with pytest.raises(ContractError, match="NOT_PENDING"):
        district.property.submit(f"{SYSTEM}:ClosePending", "electricity", waiting.id)


def test_a_refused_deferred_reaction_is_settled_without_its_writes() -> None:
    district = District()
    district.defer("c1", "arrears")
    (waiting,) = district.waiting()
    done = district.run(waiting.id)
    assert (done.outcome, done.code, done.text) == ("refused", "ARREARS", "欠费")
    assert list(district.ledger.values("electricity")) == [f"\0{DONE}\0{waiting.id}\0"]
    assert district.waiting() == []
    with pytest.raises(ContractError, match="ALREADY_DONE"):
        district.run(waiting.id)


def test_a_deferred_reaction_whose_own_event_is_refused_stays_waiting() -> None:
    district = District()
    district.defer("c1", "secret")
    (waiting,) = district.waiting()
    before = district.everything()
    with pytest.raises(ContractError, match="NO_NOTE"):
        district.run(waiting.id)
    assert district.everything() == before and district.waiting() == [waiting]


def test_a_key_holds_over_now_and_later() -> None:
    district = District()
    district.defer("c1", "a1")
    assert district.defer("c1", "a1")[0] == "electricity repeated "
    assert len(district.waiting()) == 1
    # The power company is back before its worker is: the event is emitted again and reacted to.
    assert district.property.book("c1", "a1")[0] == "electricity done a1"
    (waiting,) = district.waiting()
    with pytest.raises(ContractError, match="ALREADY_DONE"):
        district.run(waiting.id)
    district.property.submit(f"{SYSTEM}:ClosePending", "electricity", waiting.id)
    assert district.waiting() == []


def test_a_reaction_may_defer_in_turn() -> None:
    district = District()
    assert district.property.using(transient={DEFER_HINT: b'["archive"]'}).book("c1", "a1") == [
        "electricity done a1",
        "archive done ",
    ]
    waiting = [key for key in district.ledger.values("electricity") if PENDING in key]
    assert len(waiting) == 1
    identifier = waiting[0].split("\0")[3]
    district.archive.submit(f"{SYSTEM}:RunDeferred", "electricity", identifier, "true")
    assert district.ledger.value("archive", "a1") == b"noted"


def test_only_the_reacting_department_runs_and_takes_what_waits() -> None:
    district = District()
    district.defer("c1", "a1")
    (waiting,) = district.waiting()
    before = district.everything()
    stranger = district.power.using(district.ledger.identity("BankMSP", "lender"))
    with pytest.raises(ContractError, match="ACCESS_DENIED"):
        stranger.submit(f"{SYSTEM}:RunDeferred", "property", waiting.id, "true")
    with pytest.raises(ContractError, match="ACCESS_DENIED"):
        district.property.submit(f"{SYSTEM}:TakePending", "electricity", waiting.id)
    with pytest.raises(ContractError, match="NOT_PENDING"):
        district.run("0" * 64)
    assert district.everything() == before


def test_a_withdrawn_rule_keeps_what_waits_from_happening() -> None:
    district = District()
    district.defer("c1", "a1")
    (waiting,) = district.waiting()
    rules = deploy_rules(district.ledger)
    admin = district.ledger.identity("PowerMSP", "Admin", roles=("admin",))
    rules.using(admin).Withdraw(waiting.rule)
    with pytest.raises(ContractError, match="RULE_NOT_ACTIVE"):
        district.run(waiting.id)
    assert district.waiting() == [waiting]


def test_a_hint_of_another_form_is_refused() -> None:
    district = District()
    before = district.everything()
    bad: DeployedContract = district.property.using(transient={DEFER_HINT: b"{}"})
    with pytest.raises(ContractError, match="INVALID_VALUE"):
        bad.book("c1", "a1")
    assert district.everything() == before


def test_pages_of_what_waits_go_on_where_they_stopped() -> None:
    district = District()
    for number in range(5):
        district.defer(f"c{number}", f"a{number}")
    found, bookmark = [], ""
    for _ in range(5):
        args = ("electricity", bookmark, "2")
        page = from_json(PendingPage, district.property.evaluate(f"{SYSTEM}:Pending", *args))
        found += [one.payload["case"] for one in page.pending]
        bookmark = page.bookmark
        if not bookmark:
            break
    assert sorted(found) == ["c0", "c1", "c2", "c3", "c4"]
