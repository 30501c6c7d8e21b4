"""Which step may follow which: both state machines, every action in every state."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from tests.support.district import (
    CASE,
    COURT,
    EVIDENCE,
    NEW_CERTIFICATE,
    STRANGER,
    UNIT,
    District,
)
from tongban.contracts import ContractError, KeyEndorsement
from tongban.contracts.haidian.electricity.supply.records import (
    HOLDS,
    Doubt,
    Flags,
    State,
    Transfer,
    state_after_check,
)
from tongban.contracts.haidian.electricity.supply.records import NEXT as NEXT_TRANSFER
from tongban.contracts.haidian.property.registration.records import NEXT, CaseState

S = CaseState
Action = Callable[[District], Any]


def by(duty: str, function: str, *args: str) -> Action:
    def act(district: District) -> Any:
        return getattr(district.registration.using(district.registry(duty)), function)(CASE, *args)

    return act


ACTIONS: dict[str, tuple[CaseState, Action]] = {
    "hand_in": (S.SUBMITTED, lambda district: district.hand_in()),
    "accept": (S.ACCEPTED, by("accept", "accept")),
    "reject": (S.NOT_ACCEPTED, by("accept", "reject", "INCOMPLETE")),
    "review": (S.IN_REVIEW, by("review", "review")),
    "decide": (S.DECIDED, by("review", "decide")),
    "suspend": (S.SUSPENDED, by("review", "suspend", "DISPUTE")),
    "refuse": (S.REFUSED, by("review", "refuse", "DISPUTE")),
    "withdraw": (S.WITHDRAWN, lambda district: district.withdraw()),
    "book": (S.BOOKED, lambda district: district.book()),
    "complete": (S.COMPLETED, by("accept", "complete")),
    "correct": (S.CORRECTED, by("book", "correct", "WRONG_UNIT")),
}

WAYS: dict[CaseState, tuple[str, ...]] = {
    S.DRAFT: (),
    S.SUBMITTED: ("hand_in",),
    S.NOT_ACCEPTED: ("hand_in", "reject"),
    S.ACCEPTED: ("hand_in", "accept"),
    S.IN_REVIEW: ("hand_in", "accept", "review"),
    S.SUSPENDED: ("hand_in", "accept", "suspend"),
    S.DECIDED: ("hand_in", "accept", "review", "decide"),
    S.BOOKED: ("hand_in", "accept", "review", "decide", "book"),
    S.COMPLETED: ("hand_in", "accept", "review", "decide", "book", "complete"),
    S.REFUSED: ("hand_in", "accept", "refuse"),
    S.WITHDRAWN: ("withdraw",),
    S.CORRECTED: ("hand_in", "accept", "review", "decide", "book", "correct"),
}


@cache
def reached(way: tuple[str, ...]) -> District:
    """A case that took this way; the tax is settled as soon as it can be."""
    if not way:
        district = District.found()
        district.enter_unit()
        district.draft(utilities=())
        return district
    district = District.on(reached(way[:-1]).ledger.fork())
    ACTIONS[way[-1]][1](district)
    if way[-1] == "accept":
        district.settle_tax()
    return district


@pytest.mark.parametrize("state", list(CaseState), ids=lambda state: state.name)
def test_a_case_takes_the_steps_of_the_table_and_no_other(state: CaseState) -> None:
    assert reached(WAYS[state]).registration.read(CASE).state is state
    for name, (following, act) in ACTIONS.items():
        district = District.on(reached(WAYS[state]).ledger.fork())
        before = district.ledger.values("property")
        if following in NEXT[state] or (state, name) == (S.BOOKED, "book"):
            assert act(district).state is following, name
            continue
        with pytest.raises(ContractError) as caught:
            act(district)
        assert caught.value.code == "WRONG_STATE", name
        assert district.ledger.values("property") == before


@pytest.mark.parametrize(
    ("act", "wrong"),
    [
        ("accept", ("RegistryMSP", "review")),
        ("review", ("RegistryMSP", "accept")),
        ("decide", ("PowerMSP", "review")),
        ("withdraw", ("RegistryMSP", "accept")),
        ("complete", ("BureauMSP", "citizen-agent")),
    ],
)
def test_a_step_is_for_its_duty_only(act: str, wrong: tuple[str, str]) -> None:
    district = District.on(reached(WAYS[S.DECIDED]).ledger.fork())
    before = district.ledger.values("property")
    somebody = district.registration.using(district.who(*wrong))
    args: tuple[object, ...] = ({},) if act == "withdraw" else ()
    with pytest.raises(ContractError, match="ACCESS_DENIED"):
        getattr(somebody, act)(CASE, *args)
    with pytest.raises(ContractError, match="ACCESS_DENIED"):
        somebody.book(CASE, NEW_CERTIFICATE)
    assert district.ledger.values("property") == before


def test_a_certificate_number_is_given_out_once() -> None:
    district = District.on(reached(WAYS[S.CORRECTED]).ledger.fork())
    kept = [key for key in district.ledger.values("property") if key.startswith("certificate:")]
    assert kept == [f"certificate:{NEW_CERTIFICATE}"]


def test_records_of_court_and_mortgagee_have_a_policy_of_their_own_from_the_first_day() -> None:
    district = District.on(reached(WAYS[S.ACCEPTED]).ledger.fork())
    for key in (f"court:{UNIT}", f"mortgage:{UNIT}", f"tax:{CASE}"):
        policy = KeyEndorsement(district.ledger.policy("property", key))
        assert policy.organizations == ("BureauMSP", "PoliceMSP", "RegistryMSP"), key
    assert district.ledger.policy("property", f"unit:{UNIT}") == b""


@pytest.mark.parametrize("who", ["registrar", "bank", "power"])
def test_only_the_court_seizes(who: str) -> None:
    district = District.on(reached(WAYS[S.ACCEPTED]).ledger.fork())
    client = {
        "registrar": district.registry("seizure"),
        "bank": district.lender,
        "power": district.clerk,
    }[who]
    before = district.ledger.values("property")
    with pytest.raises(ContractError, match="ACCESS_DENIED"):
        district.authorities.using(client).submit(
            "Authorities:seize", str(UNIT), "CF-1", str(COURT), "2099-01-01T00:00:00Z"
        )
    assert district.ledger.values("property") == before


def flags(**changed: Any) -> Flags:
    found: dict[str, Any] = {
        "exists": True,
        "same_address": True,
        "meters": 1,
        "doubts": (),
        "has_arrears": False,
    }
    return Flags(**{**found, **changed})


@pytest.mark.parametrize(
    ("account", "found", "confirmed", "state"),
    [
        ("a", None, "", State.AWAITING_CHECK),
        ("", flags(exists=False, same_address=False, meters=2), "", State.METER_OPEN),
        ("a", flags(exists=False, same_address=False), "", State.ADDRESS_DIFFERS),
        ("a", flags(same_address=False, has_arrears=True), "", State.ADDRESS_DIFFERS),
        ("a", flags(doubts=(Doubt.NAME,), has_arrears=True), "", State.HOLDER_DIFFERS),
        ("a", flags(doubts=(Doubt.IDENTITY, Doubt.SHARED)), "", State.HOLDER_DIFFERS),
        ("a", flags(doubts=(Doubt.SHARED,)), "", State.METER_OPEN),
        ("a", flags(doubts=(Doubt.NAME,), has_arrears=True), EVIDENCE, State.ARREARS),
        ("a", flags(has_arrears=True), "", State.ARREARS),
        ("a", flags(doubts=(Doubt.NAME,)), EVIDENCE, State.REGISTRATION_OPEN),
        ("a", flags(), "", State.REGISTRATION_OPEN),
    ],
)
def test_flags_lead_to_one_state(
    account: str, found: Flags | None, confirmed: str, state: State
) -> None:
    transfer = Transfer(
        CASE, State.AWAITING_CHECK, (), account=account, flags=found, confirmed=confirmed
    )
    assert state_after_check(transfer) is state


def test_only_ends_have_no_way_out() -> None:
    ends = {state for state in State if not NEXT_TRANSFER[state]}
    assert ends == {State.CANCELLED, State.TO_REVERSE}
    for state in set(State) - ends - {State.TRANSFERRED}:
        assert State.CANCELLED in NEXT_TRANSFER[state]
    assert State.TRANSFERRED not in {s for hold in HOLDS for s in NEXT_TRANSFER[hold]}


def test_a_transfer_without_consent_waits_for_it() -> None:
    district = District.found()
    district.enter_account()
    district.reach_decision()
    by_hall = district.electricity.using(district.agent)
    assert by_hall.open(CASE).state is State.AWAITING_CONSENT
    with pytest.raises(ContractError, match="WRONG_STATE"):
        district.check()
    assert district.book().state is S.BOOKED
    assert district.transfer().state is State.AWAITING_CONSENT
    assert district.transfer().handover is None


def test_a_transfer_needs_a_buyers_and_a_sellers_consent() -> None:
    district = District.found()
    district.enter_account()
    district.reach_decision()
    buyer, seller = district.open_tokens()
    stranger = district.agree(STRANGER)
    by_hall = district.electricity.using(district.agent)
    for first, second, code in (
        (stranger, seller, "CONSENT_OF_ANOTHER"),
        (seller, buyer, "CONSENT_OTHER_PURPOSE"),
        (buyer, "0" * 64, "CONSENT_UNKNOWN"),
    ):
        with pytest.raises(ContractError, match=code):
            by_hall.open(CASE, first, second)
    assert not district.ledger.value("electricity", f"transfer:{CASE}")
    assert by_hall.open(CASE, buyer, seller).state is State.AWAITING_CHECK
