"""The departments' contracts on a test ledger, with one family of cases to drive through them."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from tongban.contracts.haidian.auth.authentication import Authentication, Check, Method, Result
from tongban.contracts.haidian.consent.consent_tokens import Consent, Place, Terms
from tongban.contracts.haidian.electricity.supply.accounts import Accounts
from tongban.contracts.haidian.electricity.supply.consents import (
    CHECK_ITEMS,
    CHECK_PURPOSE,
    TRANSFER_ITEMS,
    TRANSFER_PURPOSE,
)
from tongban.contracts.haidian.electricity.supply.records import NewAccount
from tongban.contracts.haidian.electricity.supply.transfers import Transfers
from tongban.contracts.haidian.property.registration.authorities import Authorities
from tongban.contracts.haidian.property.registration.cases import Registration
from tongban.contracts.haidian.property.registration.records import NewUnit
from tongban.contracts.haidian.property.registration.register import Register
from tongban.contracts.personal import KEY_ENTRY, Person, SubjectKey, commitment
from tongban.contracts.testing import DeployedContract, Ledger
from tongban.contracts.testing_client import LedgerClient
from tongban.contracts.testing_rules import adopt_rules
from tongban.contracts.types import (
    CaseNumber,
    RealEstateCertificateNumber,
    RealEstateUnitCode,
    ResidentId,
    UnifiedSocialCreditCode,
)
from tongban.contracts.values import to_json

KEY = hashlib.sha256(b"departments").digest()
SEAL = SubjectKey(KEY)

SELLER = Person("王小明", ResidentId("110108190001010019"), "13800000001")
BUYER = Person("李小红", ResidentId("110108190001010027"), "13800000002")
STRANGER = Person("赵小刚", ResidentId("110108190402290031"), "13800000003")

UNIT = RealEstateUnitCode("110108001002GB00015F00010203")
CASE = CaseNumber("11110108HDT00004764000120042000202009010001")
NEW_CERTIFICATE = RealEstateCertificateNumber("京(2026)海不动产权第0000002号")
ADDRESS = "海淀区测试路1号"
ACCOUNT = "0123456789"
COURT = UnifiedSocialCreditCode("11110108HDT00008XE")
EVIDENCE = "ab" * 32


@dataclass
class District:
    """All four contracts with their rules, and everybody who works with them."""

    ledger: Ledger
    auth: DeployedContract
    consent: DeployedContract
    registration: DeployedContract
    electricity: DeployedContract

    @staticmethod
    def found() -> "District":
        """A district of its own; what all begin with is made once."""
        return District.on(_founded().ledger.fork())

    @staticmethod
    def on(ledger: Ledger) -> "District":
        """The contracts that are on this ledger."""
        auth, consent = ledger.deployed("auth"), ledger.deployed("consent")
        registration, electricity = ledger.deployed("property"), ledger.deployed("electricity")
        return District(ledger, auth, consent, registration, electricity)

    @staticmethod
    def begin() -> "District":
        """The contracts, their rules and the commitment to the key, made from nothing."""
        ledger = Ledger()
        ledger.deploy(Authentication, name="auth")
        ledger.deploy(Consent, name="consent")
        ledger.deploy(Registration, Register, Authorities, name="property")
        ledger.deploy(Transfers, Accounts, name="electricity")
        adopt_rules(ledger, "consent", "property", "electricity")
        district = District.on(ledger)
        admin = ledger.identity("BureauMSP", "Admin", roles=("admin",))
        for contract in (district.auth, district.consent, district.register, district.accounts):
            contract.using(admin).commit_subject_key(commitment(KEY))
        return district

    @property
    def register(self) -> DeployedContract:
        return self.registration.contract("Register")

    @property
    def authorities(self) -> DeployedContract:
        return self.registration.contract("Authorities")

    @property
    def accounts(self) -> DeployedContract:
        return self.electricity.contract("Accounts")

    def who(self, mspid: str, duty: str) -> LedgerClient:
        return self.ledger.identity(mspid, duty, attributes={"duty": duty})

    @property
    def agent(self) -> LedgerClient:
        return self.who("BureauMSP", "citizen-agent")

    @property
    def clerk(self) -> LedgerClient:
        return self.who("PowerMSP", "accounts")

    def registry(self, duty: str) -> LedgerClient:
        return self.who("RegistryMSP", duty)

    @property
    def judge(self) -> LedgerClient:
        return self.who("CourtMSP", "seizure")

    @property
    def lender(self) -> LedgerClient:
        return self.who("BankMSP", "mortgage")

    # The older registers

    def enter_unit(self, *owners: Person) -> None:
        transient = keyed(
            owners={str(UNIT): list(owners or (SELLER,))}, addresses={str(UNIT): ADDRESS}
        )
        certificate = RealEstateCertificateNumber("京(2019)海不动产权第0000001号")
        self.register.using(self.registry("book"), transient=transient).take_over(
            [NewUnit(UNIT, certificate, "住宅")]
        )

    def enter_account(
        self,
        number: str = ACCOUNT,
        holder: Person = SELLER,
        address: str = ADDRESS,
        **more: Any,  # the other fields of NewAccount
    ) -> str:
        """Enter an account; returns its reference."""
        new = NewAccount("a", "居民", 8_000, **more)
        transient = keyed(numbers={"a": number}, addresses={"a": address}, holders={"a": holder})
        self.accounts.using(self.clerk, transient=transient).take_over([new])
        return SEAL.reference("account", number)

    # Steps

    def prove(self, person: Person, result: Result = Result.PASSED, level: int = 3) -> str:
        verifier = self.who("PoliceMSP", "verify")
        check = Check(Method.FACE, level, "hall-1", result, EVIDENCE)
        proof = self.auth.using(verifier, transient=keyed(person=person)).record(check)
        return str(proof.id)

    def agree(self, person: Person, purpose: str = TRANSFER_PURPOSE, seconds: int = 86_400) -> str:
        items = TRANSFER_ITEMS if purpose == TRANSFER_PURPOSE else CHECK_ITEMS
        terms = Terms(CASE, purpose, "PowerMSP", items, "text-1", Place.WINDOW, seconds)
        agreed = self.consent.using(self.agent, transient=keyed(person=person))
        return str(agreed.grant(terms, self.prove(person)).id)

    def revoke(self, token: str, person: Person = BUYER) -> Any:
        taken = self.consent.using(self.agent, transient=keyed(person=person))
        return taken.revoke(token, self.prove(person))

    def draft(self, *, utilities: tuple[str, ...] = ("electricity",), **parties: Any) -> Any:
        sellers = parties.get("sellers", [SELLER])
        buyers = parties.get("buyers", [BUYER])
        by_agent = self.registration.using(
            self.agent, transient=keyed(sellers=sellers, buyers=buyers)
        )
        return by_agent.draft(CASE, UNIT, "HT-1", list(utilities))

    def hand_in(self) -> Any:
        return self.registration.using(self.agent).hand_in(CASE, self.proofs())

    def withdraw(self) -> Any:
        return self.registration.using(self.agent).withdraw(CASE, self.proofs())

    def proofs(self) -> dict[str, str]:
        """Both parties' identity checks."""
        return {SEAL.seal(one).ref: self.prove(one) for one in (SELLER, BUYER)}

    def accept(self) -> Any:
        return self.registration.using(self.registry("accept")).accept(CASE)

    def settle_tax(self) -> Any:
        return self.authorities.using(self.who("TaxMSP", "tax")).settle_tax(CASE, "TX-1")

    def decide(self) -> Any:
        reviewer = self.registration.using(self.registry("review"))
        reviewer.review(CASE)
        return reviewer.decide(CASE)

    def book(self, certificate: RealEstateCertificateNumber = NEW_CERTIFICATE) -> Any:
        return self.registration.using(self.registry("book")).book(CASE, certificate)

    def open_tokens(self, seconds: int = 86_400) -> tuple[str, str]:
        """Consent of the buyer and of the seller."""
        return self.agree(BUYER, seconds=seconds), self.agree(SELLER, CHECK_PURPOSE)

    def open_transfer(self, seconds: int = 86_400) -> tuple[str, str]:
        """Both consents, and the transfer applied for; returns the tokens."""
        buyer, seller = self.open_tokens(seconds)
        self.electricity.using(self.agent).open(CASE, buyer, seller)
        return buyer, seller

    def check(self, number: str = ACCOUNT, **wanted: Any) -> Any:
        transient = keyed(account=number) if number else keyed()
        by_agent = self.electricity.using(self.agent, transient=transient)
        return by_agent.check(CASE, *wanted.values())

    def sign(self, person: Person = BUYER) -> Any:
        by_agent = self.electricity.using(self.agent, transient=keyed(person=person))
        return by_agent.sign(CASE, self.prove(person))

    # Ways that many tests begin with

    def reach_decision(self, utilities: tuple[str, ...] = ("electricity",)) -> None:
        """A case that only lacks 登簿; no transfer was applied for."""
        self.enter_unit()
        self.draft(utilities=utilities)
        self.hand_in()
        self.accept()
        self.settle_tax()
        self.decide()

    def reach_check(self) -> tuple[str, str]:
        """The same, with a checked transfer that waits for the register."""
        self.enter_account()
        self.reach_decision()
        tokens = self.open_transfer()
        self.check()
        return tokens

    def transfer(self) -> Any:
        return self.electricity.read(CASE)

    def later(self, **passed: float) -> None:
        self.ledger.timestamp += timedelta(**passed)


@cache
def _founded() -> District:
    return District.begin()


def keyed(**entries: object) -> dict[str, bytes]:
    """Transient data with the departments' key."""
    found = {KEY_ENTRY: KEY}
    for name, value in entries.items():
        if isinstance(value, str):
            found[name] = value.encode()
        elif isinstance(value, list):
            found[name] = to_json(value, list[Person])
        elif isinstance(value, dict) and value and isinstance(next(iter(value.values())), list):
            found[name] = to_json(value, dict[str, list[Person]])
        elif isinstance(value, dict) and value and isinstance(next(iter(value.values())), Person):
            found[name] = to_json(value, dict[str, Person])
        else:
            found[name] = to_json(value)
    return found
