"""Consent tokens, identity checks and the departments' key, each by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.district import (
    BUYER,
    CASE,
    EVIDENCE,
    SELLER,
    District,
    keyed,
)
from tongban.contracts import ContractError
from tongban.contracts.haidian.auth.authentication import Check, Method, Result
from tongban.contracts.haidian.consent.consent_tokens import Place, State, Terms, Use
from tongban.contracts.haidian.electricity.supply.consents import TRANSFER_ITEMS, TRANSFER_PURPOSE
from tongban.contracts.personal import KEY_ENTRY, commitment, mask_name, mask_phone
from tongban.contracts.types import CaseNumber

OTHER_CASE = CaseNumber("11110108HDT00004764000120042000202009010002")


@pytest.fixture
def district() -> District:
    return District.found()


@contextmanager
def refused(district: District, code: str) -> Iterator[None]:
    names = ("auth", "consent")
    before = [district.ledger.values(name) for name in names]
    with pytest.raises(ContractError) as caught:
        yield
    assert caught.value.code == code
    for person in (BUYER, SELLER):
        for value in (person.name, str(person.number), person.phone):
            assert value not in str(caught.value)
    assert [district.ledger.values(name) for name in names] == before


def use_of(token: str) -> Use:
    return Use(token, CASE, TRANSFER_PURPOSE, "PowerMSP", TRANSFER_ITEMS)


def test_a_token_is_used_once_and_leaves_a_receipt(district: District) -> None:
    token = district.agree(BUYER)
    by_grantee = district.consent.using(district.clerk)
    used = by_grantee.use(use_of(token))
    assert used.items == TRANSFER_ITEMS
    assert district.consent.read(token).state is State.USED
    with refused(district, "CONSENT_USED"):
        by_grantee.use(use_of(token))


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"case_no": OTHER_CASE}, "CONSENT_OTHER_CASE"),
        ({"purpose": "marketing"}, "CONSENT_OTHER_PURPOSE"),
        ({"grantee": "BureauMSP"}, "CONSENT_OTHER_PURPOSE"),
        ({"items": ("unit", "price")}, "CONSENT_TOO_NARROW"),
        ({"token": "0" * 64}, "CONSENT_UNKNOWN"),
    ],
)
def test_a_token_is_for_what_it_says(
    district: District, changed: dict[str, Any], code: str
) -> None:
    token = district.agree(BUYER)
    use = replace(use_of(token), **changed)
    client = district.who(use.grantee, "any")
    with refused(district, code):
        district.consent.using(client).use(use)


def test_nobody_but_the_grantee_uses_a_token_directly(district: District) -> None:
    token = district.agree(BUYER)
    for somebody in (district.agent, district.registry("book"), district.judge):
        with refused(district, "ACCESS_DENIED"):
            district.consent.using(somebody).use(use_of(token))


def test_a_token_lives_to_its_last_second(district: District) -> None:
    token = district.agree(BUYER, seconds=60)
    until = district.consent.read(token).not_after
    by_grantee = district.consent.using(district.clerk, timestamp=until + timedelta(seconds=1))
    with refused(district, "CONSENT_EXPIRED"):
        by_grantee.use(use_of(token))
    district.consent.using(district.clerk, timestamp=until).use(use_of(token))


@pytest.mark.parametrize("seconds", [0, 86_401])
def test_a_token_lives_a_day_at_most(district: District, seconds: int) -> None:
    proof = district.prove(BUYER)
    terms = Terms(CASE, "p", "PowerMSP", ("unit",), "t", Place.APP, seconds)
    agreed = district.consent.using(district.agent, transient=keyed(person=BUYER))
    with refused(district, "INVALID_TERMS"):
        agreed.grant(terms, proof)


def test_only_who_gave_it_takes_it_back(district: District) -> None:
    token = district.agree(BUYER)
    proof = district.prove(SELLER)
    by_seller = district.consent.using(district.agent, transient=keyed(person=SELLER))
    with refused(district, "CONSENT_OF_ANOTHER"):
        by_seller.revoke(token, proof)
    assert district.revoke(token).state is State.REVOKED
    with refused(district, "CONSENT_REVOKED"):
        district.consent.using(district.clerk).use(use_of(token))


def test_consent_needs_the_persons_own_identity_check(district: District) -> None:
    proofs = {
        "PROOF_OF_ANOTHER": district.prove(SELLER),
        "PROOF_FAILED": district.prove(BUYER, Result.FAILED),
        "PROOF_TOO_WEAK": district.prove(BUYER, level=2),
        "PROOF_UNKNOWN": "0" * 64,
    }
    terms = Terms(CASE, "p", "PowerMSP", ("unit",), "t", Place.APP)
    agreed = district.consent.using(district.agent, transient=keyed(person=BUYER))
    for code, proof in proofs.items():
        with refused(district, code):
            agreed.grant(terms, proof)


def test_an_identity_check_is_good_for_a_day(district: District) -> None:
    proof = district.prove(BUYER)
    terms = Terms(CASE, "p", "PowerMSP", ("unit",), "t", Place.APP)
    district.later(hours=25)
    late = district.consent.using(district.agent, transient=keyed(person=BUYER))
    with refused(district, "PROOF_EXPIRED"):
        late.grant(terms, proof)


@pytest.mark.parametrize(
    "changed",
    [{"level": 5}, {"device": "a name, perhaps"}, {"evidence": "data:image/jpeg;base64,AAAA"}],
)
def test_a_check_has_room_for_no_more_than_its_form(
    district: District, changed: dict[str, Any]
) -> None:
    check = replace(Check(Method.CARD, 3, "hall-1", Result.PASSED, EVIDENCE), **changed)
    verifier = district.who("PoliceMSP", "verify")
    with refused(district, "INVALID_CHECK"):
        district.auth.using(verifier, transient=keyed(person=BUYER)).record(check)


def test_only_the_verifier_records_checks(district: District) -> None:
    check = Check(Method.CARD, 3, "hall-1", Result.PASSED, EVIDENCE)
    for client in (district.agent, district.who("PoliceMSP", "other"), district.clerk):
        with refused(district, "ACCESS_DENIED"):
            district.auth.using(client, transient=keyed(person=BUYER)).record(check)


def test_the_key_is_needed_and_must_be_the_committed_one(district: District) -> None:
    check = Check(Method.CARD, 3, "hall-1", Result.PASSED, EVIDENCE)
    verifier = district.who("PoliceMSP", "verify")
    person = {"person": keyed(person=BUYER)["person"]}
    for code, key in (("KEY_NEEDED", b""), ("KEY_NEEDED", b"short"), ("WRONG_KEY", b"x" * 32)):
        with refused(district, code):
            transient = {**person, KEY_ENTRY: key}
            district.auth.using(verifier, transient=transient).record(check)


def test_the_commitment_is_made_once_by_the_bureaus_administrator(district: District) -> None:
    admin = district.ledger.identity("BureauMSP", "Admin", roles=("admin",))
    with refused(district, "KEY_IS_COMMITTED"):
        district.auth.using(admin).commit_subject_key(commitment(b"y" * 32))
    with refused(district, "INVALID_COMMITMENT"):
        district.auth.using(admin).commit_subject_key("y")
    with refused(district, "ACCESS_DENIED"):
        district.auth.using(district.agent).commit_subject_key(commitment(b"y" * 32))
    power = district.ledger.identity("PowerMSP", "Admin", roles=("admin",))
    with refused(district, "ACCESS_DENIED"):
        district.auth.using(power).commit_subject_key(commitment(b"y" * 32))


@pytest.mark.parametrize(
    ("name", "masked"), [("李红", "李*"), ("欧阳小红", "欧***"), ("李", "*"), (" 李 红 ", "李*")]
)
def test_names_are_masked_but_for_the_first_character(name: str, masked: str) -> None:
    assert mask_name(name) == masked


@pytest.mark.parametrize(
    ("phone", "masked"), [("13800000001", "138****0001"), ("", ""), ("12345", "*****")]
)
def test_phones_are_masked_in_the_middle(phone: str, masked: str) -> None:
    assert mask_phone(phone) == masked
