"""The failures E1 to E13 of the process, and some beside them, on the departments' contracts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.district import (
    ACCOUNT,
    BUYER,
    CASE,
    COURT,
    EVIDENCE,
    NEW_CERTIFICATE,
    SEAL,
    SELLER,
    STRANGER,
    UNIT,
    District,
)
from tongban.contracts import ContractError
from tongban.contracts.haidian.auth.authentication import Result
from tongban.contracts.haidian.consent.consent_tokens import State as ConsentState
from tongban.contracts.haidian.electricity.supply.records import State
from tongban.contracts.haidian.property.registration.records import CaseState
from tongban.contracts.personal import Person
from tongban.contracts.rules import DEFER_HINT, REFUSAL, SYSTEM_CONTRACT, PendingReaction
from tongban.contracts.types import ResidentId
from tongban.contracts.values import from_json

UNTIL = "2099-01-01T00:00:00Z"


@pytest.fixture
def district() -> District:
    return District.found()


@contextmanager
def refused(district: District, code: str) -> Iterator[None]:
    """The block is refused with this code and changes nothing."""
    names = ("consent", "property", "electricity")
    before = [district.ledger.values(name) for name in names]
    with pytest.raises(ContractError) as caught:
        yield
    assert caught.value.code == code
    assert [district.ledger.values(name) for name in names] == before


def seize(district: District, order: str = "CF-1") -> None:
    by_judge = district.authorities.using(district.judge)
    by_judge.submit("Authorities:seize", str(UNIT), order, str(COURT), UNTIL)


def reaction_outcomes(district: District) -> list[tuple[str, str]]:
    report = json.loads(district.ledger.events[-1].payload)
    return [(one["outcome"], one["code"]) for one in report["reactions"]]


def test_e1_arrears_hold_the_account_and_not_the_property(district: District) -> None:
    account = district.enter_account(has_arrears=True)
    district.reach_decision()
    district.open_transfer()
    assert district.check().state is State.ARREARS
    assert district.book().state is CaseState.BOOKED
    assert district.transfer().state is State.ARREARS
    with refused(district, "WRONG_STATE"):
        district.sign()
    followed = district.accounts.using(district.clerk).clear_arrears(account)
    assert followed.state is State.AWAITING_SIGNATURE
    assert district.sign().state is State.TRANSFERRED


def test_e1_arrears_that_stay_end_the_transfer_after_thirty_days(district: District) -> None:
    district.enter_account(has_arrears=True)
    district.reach_decision()
    district.open_transfer()
    district.check()
    by_clerk = district.electricity.using(district.clerk)
    with refused(district, "NOT_OVERDUE"):
        by_clerk.cancel_overdue(CASE)
    district.later(days=30)
    ended = district.electricity.using(district.clerk).cancel_overdue(CASE)
    assert (ended.state, ended.steps[-1].reason) == (State.CANCELLED, "OVERDUE")


def test_e1_arrears_that_come_before_the_signature_hold_it_back(district: District) -> None:
    district.reach_check()
    district.book()
    district.accounts.using(district.clerk).mark_arrears(SEAL.reference("account", ACCOUNT))
    with refused(district, "ARREARS"):
        district.sign()


def test_e2_another_holder_is_for_a_clerk_to_look_at(district: District) -> None:
    district.enter_account(holder=STRANGER)
    district.reach_decision()
    district.open_transfer()
    checked = district.check()
    assert checked.state is State.HOLDER_DIFFERS
    assert [doubt.value for doubt in checked.flags.doubts] == ["NAME"]
    district.book()
    assert district.transfer().state is State.HOLDER_DIFFERS
    with refused(district, "ACCESS_DENIED"):
        district.electricity.using(district.agent).confirm(CASE, EVIDENCE)
    confirmed = district.electricity.using(district.clerk).confirm(CASE, EVIDENCE)
    assert confirmed.state is State.AWAITING_SIGNATURE


@pytest.mark.parametrize(
    ("holder", "has_identity"),
    [
        (Person(SELLER.name, ResidentId("110108190402290031")), True),
        (SELLER, False),
    ],
    ids=["a namesake", "no identity on file"],
)
def test_e3_a_name_alone_never_passes(
    district: District, holder: Person, has_identity: bool
) -> None:
    district.enter_account(holder=holder, has_identity=has_identity)
    district.reach_decision()
    district.open_transfer()
    checked = district.check()
    assert checked.state is State.HOLDER_DIFFERS
    assert [doubt.value for doubt in checked.flags.doubts] == ["IDENTITY"]


def test_e4_of_several_meters_the_buyer_chooses(district: District) -> None:
    district.enter_account()
    district.enter_account("0123456780")
    district.reach_decision()
    district.open_transfer()
    assert district.check("").state is State.METER_OPEN
    shown = district.electricity.using(district.agent).meters(CASE)
    assert [meter.number for meter in shown] == ["******6789", "******6780"]
    assert district.check("0123456780").state is State.REGISTRATION_OPEN
    assert district.transfer().account == SEAL.reference("account", "0123456780")


def test_e4_a_shared_meter_is_for_a_clerk_to_look_at(district: District) -> None:
    district.enter_account(is_shared=True)
    district.reach_decision()
    district.open_transfer()
    assert district.check().state is State.METER_OPEN
    confirmed = district.electricity.using(district.clerk).confirm(CASE, EVIDENCE)
    assert confirmed.state is State.REGISTRATION_OPEN


def test_e5_another_capacity_is_another_item(district: District) -> None:
    district.enter_account()
    district.reach_decision()
    district.open_transfer()
    ended = district.check(category="居民", capacity=16_000)
    assert (ended.state, ended.steps[-1].reason) == (State.CANCELLED, "CHANGE_OF_SUPPLY")
    assert district.book().state is CaseState.BOOKED
    assert reaction_outcomes(district) == [("refused", "TRANSFER_CANCELLED")]


def test_e6_a_court_order_after_acceptance_stops_the_register(district: District) -> None:
    district.reach_check()
    seize(district)
    with refused(district, "SEIZED"):
        district.book()
    refusal = district.registration.using(district.registry("book")).refuse(CASE, "SEIZED")
    assert refusal.state is CaseState.REFUSED
    assert district.transfer().state is State.CANCELLED
    assert district.register.read_unit(UNIT).version == 1


def test_e6_a_waiting_order_takes_the_place_of_one_that_was_lifted(district: District) -> None:
    district.reach_check()
    seize(district, "CF-1")
    seize(district, "CF-2")
    by_judge = district.authorities.using(district.judge)
    left = by_judge.lift(UNIT, "CF-1")
    assert [order.order_no for order in left.seizures] == ["CF-2"]
    with refused(district, "SEIZED"):
        district.book()
    by_judge.lift(UNIT, "CF-2")
    assert district.book().state is CaseState.BOOKED


def test_e6_a_suspended_case_is_reviewed_again(district: District) -> None:
    district.reach_check()
    seize(district)
    suspended = district.registration.using(district.registry("book")).suspend(CASE, "SEIZED")
    assert suspended.state is CaseState.SUSPENDED
    district.authorities.using(district.judge).lift(UNIT, "CF-1")
    with refused(district, "WRONG_STATE"):
        district.book()
    district.accept()
    district.decide()
    assert district.book().state is CaseState.BOOKED


def test_e7_a_mortgage_needs_the_mortgagee(district: District) -> None:
    district.enter_unit()
    district.authorities.using(district.lender).mortgage(UNIT, "DY-1")
    district.draft()
    district.hand_in()
    with refused(district, "MORTGAGED"):
        district.accept()
    other = district.authorities.using(district.who("OtherBankMSP", "mortgage"))
    with refused(district, "NOT_MORTGAGEE"):
        other.carry(UNIT, CASE)
    district.authorities.using(district.lender).carry(UNIT, CASE)
    assert district.accept().state is CaseState.ACCEPTED


def test_e8_consent_taken_back_before_the_register_ends_only_the_transfer(
    district: District,
) -> None:
    buyer, _ = district.reach_check()
    district.revoke(buyer)
    assert district.transfer().state is State.CANCELLED
    assert district.book().state is CaseState.BOOKED
    assert reaction_outcomes(district) == [("refused", "TRANSFER_CANCELLED")]
    assert district.transfer().handover is None


def test_consent_that_has_expired_is_none(district: District) -> None:
    district.enter_account()
    district.reach_decision()
    buyer, _ = district.open_transfer(seconds=3_600)
    district.check()
    district.later(hours=2)
    assert district.book().state is CaseState.BOOKED
    assert reaction_outcomes(district) == [("refused", "CONSENT_EXPIRED")]
    assert district.transfer().state is State.REGISTRATION_OPEN
    assert district.consent.read(buyer).state is ConsentState.GRANTED
    kept = [key for key in district.ledger.values("property") if REFUSAL in key]
    assert len(kept) == 1, "the refusal is on record beside the registration"


def test_e9_consent_taken_back_before_the_signature_stops_and_purges(district: District) -> None:
    buyer, _ = district.reach_check()
    district.book()
    assert district.transfer().handover is not None
    district.revoke(buyer)
    ended = district.transfer()
    assert ended.state is State.CANCELLED
    assert (ended.handover, ended.account, ended.flags) == (None, "", None)
    token = district.consent.read(buyer)
    assert token.state is ConsentState.REVOKED and token.receipt is not None
    with refused(district, "WRONG_STATE"):
        district.sign()


def test_consent_taken_back_after_the_signature_changes_nothing_done(district: District) -> None:
    buyer, _ = district.reach_check()
    district.book()
    district.sign()
    district.revoke(buyer)
    assert district.transfer().state is State.TRANSFERRED


def test_e10_a_withdrawn_case_ends_what_hangs_on_it(district: District) -> None:
    district.reach_check()
    seller_alone = {SEAL.seal(SELLER).ref: district.prove(SELLER)}
    with refused(district, "PROOF_UNKNOWN"):
        district.registration.using(district.agent).withdraw(CASE, seller_alone)
    withdrawn = district.withdraw()
    assert withdrawn.state is CaseState.WITHDRAWN
    assert district.transfer().state is State.CANCELLED
    with refused(district, "WRONG_STATE"):
        district.book()


def test_e11_a_correction_is_compensated_and_not_undone(district: District) -> None:
    district.reach_check()
    district.book()
    district.sign()
    corrected = district.registration.using(district.registry("book")).correct(CASE, "WRONG_UNIT")
    assert corrected.state is CaseState.CORRECTED
    unit = district.register.read_unit(UNIT)
    assert (unit.version, unit.holders) == (3, (SEAL.seal(SELLER),))
    assert district.transfer().state is State.TO_REVERSE
    account = SEAL.reference("account", ACCOUNT)
    assert district.accounts.read_account(account).holder == SEAL.seal(BUYER).ref
    by_clerk = district.electricity.using(district.clerk)
    assert by_clerk.reverse(CASE).state is State.TRANSFERRED
    back = district.accounts.read_account(account)
    assert (back.holder, back.version) == (SEAL.seal(SELLER).ref, 3)
    assert district.transfer().state is State.TO_REVERSE, "the first transfer stays on record"
    with refused(district, "WRONG_STATE"):
        by_clerk.reverse(CASE)


def test_e11_a_correction_before_the_signature_ends_the_transfer(district: District) -> None:
    district.reach_check()
    district.book()
    district.registration.using(district.registry("book")).correct(CASE, "WRONG_UNIT")
    assert district.transfer().state is State.CANCELLED


def test_e12_while_the_supplier_is_away_the_register_goes_on(district: District) -> None:
    district.reach_check()
    hinted = district.registration.using(
        district.registry("book"), transient={DEFER_HINT: b'["electricity"]'}
    )
    assert hinted.book(CASE, NEW_CERTIFICATE).state is CaseState.BOOKED
    assert {name for name, _ in district.ledger.last_writes} == {"property"}
    assert district.transfer().state is State.REGISTRATION_OPEN
    pending = pending_reaction(district)
    worker = district.electricity.using(district.who("PowerMSP", "reactions"))
    run = (f"{SYSTEM_CONTRACT}:RunDeferred", "property", pending.id, "true")
    worker.submit(*run)
    assert district.transfer().state is State.AWAITING_SIGNATURE
    with refused(district, "ALREADY_DONE"):
        worker.submit(*run)
    assert district.sign().state is State.TRANSFERRED


def pending_reaction(district: District) -> PendingReaction:
    found = [
        value for key, value in district.ledger.values("property").items() if "~pending" in key
    ]
    assert len(found) == 1
    return from_json(PendingReaction, found[0])


def test_e13_a_rule_that_fires_twice_acts_once(district: District) -> None:
    district.reach_check()
    district.book()
    steps = district.transfer().steps
    assert district.book().state is CaseState.BOOKED, "the same booking is the one there is"
    assert district.transfer().steps == steps
    other = type(NEW_CERTIFICATE)("京(2026)海不动产权第0000003号")
    with refused(district, "WRONG_STATE"):
        district.book(other)


def test_e13_nobody_can_play_the_register(district: District) -> None:
    district.reach_check()
    for organization, duty in (("PowerMSP", "reactions"), ("RegistryMSP", "book")):
        forger = district.electricity.using(district.who(organization, duty))
        with pytest.raises(ContractError):
            forger.submit("follow_booking", "{}")
    assert district.transfer().state is State.REGISTRATION_OPEN


def test_e17_a_neighbours_number_and_none_look_alike(district: District) -> None:
    district.enter_account()
    district.enter_account("9876543210", holder=STRANGER, address="海淀区测试路2号")
    district.reach_decision()
    district.open_transfer()
    neighbours = district.check("9876543210")
    flags, state = neighbours.flags, neighbours.state
    assert state is State.ADDRESS_DIFFERS
    nobodys = district.check("1111111111")
    assert (nobodys.flags, nobodys.state) == (flags, state)
    assert district.check().state is State.REGISTRATION_OPEN, "a slip can be put right"


def test_a_failed_identity_check_hands_nothing_in(district: District) -> None:
    district.enter_unit()
    district.draft()
    proofs = {
        SEAL.seal(SELLER).ref: district.prove(SELLER),
        SEAL.seal(BUYER).ref: district.prove(BUYER, Result.FAILED),
    }
    with refused(district, "PROOF_FAILED"):
        district.registration.using(district.agent).hand_in(CASE, proofs)


def test_all_co_owners_have_to_sell(district: District) -> None:
    district.enter_unit(SELLER, STRANGER)
    district.draft()
    district.hand_in()
    with refused(district, "HOLDERS_DIFFER"):
        district.accept()
    rejected = district.registration.using(district.registry("accept")).reject(
        CASE, "HOLDERS_DIFFER"
    )
    assert rejected.state is CaseState.NOT_ACCEPTED


def test_a_draft_sent_twice_is_one_case(district: District) -> None:
    district.enter_unit()
    first = district.draft()
    assert district.draft() == first
    with refused(district, "CASE_EXISTS"):
        district.draft(buyers=[STRANGER])


def test_without_tax_there_is_no_decision(district: District) -> None:
    district.enter_unit()
    district.draft()
    district.hand_in()
    district.accept()
    reviewer = district.registration.using(district.registry("review"))
    reviewer.review(CASE)
    with refused(district, "TAX_OPEN"):
        reviewer.decide(CASE)


def test_somebody_else_cannot_sign(district: District) -> None:
    district.reach_check()
    district.book()
    with pytest.raises(ContractError, match="NOT_THE_HOLDER"):
        district.sign(STRANGER)
    assert district.transfer().state is State.AWAITING_SIGNATURE
