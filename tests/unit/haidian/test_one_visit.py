"""The whole visit: a property changes hands and the electricity account follows."""

import pytest

from tests.support.district import (
    ACCOUNT,
    BUYER,
    CASE,
    SEAL,
    SELLER,
    UNIT,
    District,
)
from tongban.contracts.haidian.consent.consent_tokens import State as ConsentState
from tongban.contracts.haidian.electricity.supply.records import State
from tongban.contracts.haidian.property.registration.records import CaseState


@pytest.fixture
def district() -> District:
    return District.found()


def test_the_account_follows_in_the_transaction_of_the_register(district: District) -> None:
    buyer_token, seller_token = district.reach_check()
    assert district.transfer().state is State.REGISTRATION_OPEN
    assert district.consent.read(seller_token).state is ConsentState.USED
    assert district.consent.read(buyer_token).state is ConsentState.GRANTED

    height = district.ledger.height
    assert district.book().state is CaseState.BOOKED
    assert district.ledger.height == height + 1
    written = {chaincode for chaincode, _ in district.ledger.last_writes}
    assert written == {"property", "electricity", "consent"}
    assert district.transfer().state is State.AWAITING_SIGNATURE
    assert district.consent.read(buyer_token).state is ConsentState.USED

    assert district.sign().state is State.TRANSFERRED
    account = district.accounts.read_account(SEAL.reference("account", ACCOUNT))
    assert (account.holder, account.version) == (SEAL.seal(BUYER).ref, 2)
    unit = district.register.read_unit(UNIT)
    assert (unit.version, unit.holders) == (2, (SEAL.seal(BUYER),))
    clerk = district.registration.using(district.registry("accept"))
    assert clerk.complete(CASE).state is CaseState.COMPLETED


def test_nothing_on_the_ledger_or_in_events_names_a_person(district: District) -> None:
    district.reach_check()
    district.book()
    district.sign()
    kept = b"".join(
        key.encode() + value
        for name in ("auth", "consent", "property", "electricity", "rules")
        for key, value in district.ledger.values(name).items()
    )
    kept += b"".join(event.payload for event in district.ledger.events)
    for person in (SELLER, BUYER):
        for value in (person.name, str(person.number), person.phone):
            assert value.encode() not in kept
    assert ACCOUNT.encode() not in kept
    assert "李**".encode() in kept  # the masked form is what screens show


def test_without_a_wish_no_supplier_hears_of_it(district: District) -> None:
    district.reach_decision(utilities=())
    district.book()
    assert {chaincode for chaincode, _ in district.ledger.last_writes} == {"property"}
