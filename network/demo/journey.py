"""One case from the door to the end, desk by desk.

A journey has three legs: up to the decision, the booking, and what comes after it. Cases that lose
the supplier's peer take the second leg while it is away.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tongban.contracts.haidian.electricity.supply.consents import (
    CHECK_ITEMS,
    CHECK_PURPOSE,
    TRANSFER_ITEMS,
    TRANSFER_PURPOSE,
)
from tongban.contracts.types import CaseNumber
from tongban.network.demo.cases import DemoCase, Happening, Human
from tongban.network.demo.offices import (
    ACCEPTOR,
    AGENT,
    CLERK,
    JUDGE,
    LENDER,
    OFFICER,
    REGISTRAR,
    REVIEWER,
    VERIFIER,
    Action,
    Desk,
    Done,
    Offices,
    Refused,
)
from tongban.network.demo.outcome import Outcome, Record, judge
from tongban.network.demo.past import to_person

SUPPLIER: Final = "PowerMSP"
COURT: Final = "11110108HDT00008XE"
UNTIL: Final = "2099-01-01T00:00:00Z"
SHORT_SECONDS: Final = 10
"""Life of a consent that is to expire: enough to apply with it, and soon over."""

CAPACITY_VA: Final = 8_000

H = Happening


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened in a case, for whoever reads its story."""

    english: str
    chinese: str
    desk: Desk
    milliseconds: float
    transaction_id: str = ""
    block_number: int = -1
    refusal: str = ""
    was_deferred: bool = False


class Unexpected(Exception):
    """A case could not go on as it should have."""


class Journey:
    """Drives one case."""

    def __init__(self, offices: Offices, case: DemoCase, case_no: CaseNumber, serial: int) -> None:
        self.case = case
        self.case_no = str(case_no)
        self._offices = offices
        self._serial = serial
        self._proofs: dict[str, str] = {}
        """Identity checks by the person's reference on the ledger."""
        self._proof_of: dict[str, str] = {}
        """The same by the person's number."""
        self._tokens: dict[str, str] = {}
        self.steps: list[Step] = []
        self.outcome: Outcome | None = None
        self.booked: Done | None = None
        self._is_over = False
        self._consent_until = 0.0
        """When a consent that expires has done so, by the clock that makes proposals' times."""

    @property
    def milliseconds(self) -> float:
        """How long the citizens waited for the desks, all steps together."""
        return sum(step.milliseconds for step in self.steps)

    @property
    def window_milliseconds(self) -> float | None:
        """How long the new holder waited at the electricity window; None if never there."""
        found = [step.milliseconds for step in self.steps if step.english.startswith("sign")]
        return found[-1] if found else None

    def happens(self, *any_of: Happening) -> bool:
        return bool(self.case.happenings.intersection(any_of))

    # The three legs

    async def reach_decision(self) -> None:
        """Login, draft, consent, check, 受理, tax and 审查; where the case ends before, it ends."""
        await self._draft()
        if not await self._hand_in():
            return
        if self.case.wants_electricity:
            await self._apply_for_transfer()
        if self.happens(H.MORTGAGE_RELEASED):
            await self._release_mortgage()
        if self.happens(H.MORTGAGE_CARRIED):
            await self._carry_mortgage()
        if not await self._accept():
            return
        if self.happens(H.WITHDRAWN):
            await self._withdraw()
            return
        if self.happens(H.SEIZED_AFTER_ACCEPTANCE):
            await self._seize("CF-1")
            if self.happens(H.SEIZED_TWICE):
                await self._seize("CF-2")
        await self._settle_tax()
        await self._review()

    async def book(self) -> None:
        """登簿."""
        if self._is_over:
            return
        if self.happens(H.REVOKED_BEFORE_BOOKING):
            await self._revoke()
        if self.happens(H.CONSENT_EXPIRES):
            await asyncio.sleep(max(0.0, self._consent_until - time.monotonic()))
        if self.happens(H.SEIZED_WHILE_BOOKING):
            await self._book_against_court()
            return
        self.booked = await self._do(REGISTRAR, "register the transfer", "登簿", self._booking())
        if self.happens(H.BOOKED_TWICE):
            await self._do(
                REGISTRAR, "register it again: nothing changes", "重复登簿：无变化", self._booking()
            )

    async def finish(self) -> None:
        """办结 and the electricity window; then the ledger is asked how it ended."""
        if not self._is_over:
            if self.case.wants_electricity:
                await self._at_the_window()
            complete = Action("property", "complete", (self.case_no,))
            await self._do(ACCEPTOR, "hand over the certificate", "办结", complete)
            if self.happens(H.CORRECTED):
                await self._correct()
        self.outcome = await self._look_up()

    # Login and draft

    async def _draft(self) -> None:
        everybody = [*self.case.all_sellers, *self.case.buyers]
        fails = self.happens(H.IDENTITY_FAILS)
        for human in everybody:
            result = "failed" if fails and human == self.case.buyers[0] else "passed"
            await self._prove(human, result)
        wishes = ["electricity"] if self.case.wants_electricity else []
        draft = Action(
            "property",
            "draft",
            (self.case_no, self.case.unit, f"HT-{self._serial}", wishes),
            {
                "sellers": [to_person(one) for one in self.case.all_sellers],
                "buyers": [to_person(one) for one in self.case.buyers],
            },
            is_keyed=True,
        )
        times = 2 if self.happens(H.DRAFTED_TWICE) else 1
        for _ in range(times):
            await self._do(AGENT, "draft the application", "签约备案、填写申请", draft)

    async def _prove(self, human: Human, result: str) -> None:
        evidence = hashlib.sha256(f"{self.case_no} {len(self.steps)}".encode()).hexdigest()
        check = {
            "method": "face",
            "level": 3,
            "device": f"hall-{self._serial % 8 + 1}",
            "result": result,
            "evidence": evidence,
        }
        record = Action("auth", "record", (check,), {"person": to_person(human)}, is_keyed=True)
        done = await self._do(VERIFIER, "check the identity", "人证核验", record)
        proof = json.loads(done.result)
        self._proofs[proof["subject"]] = str(proof["id"])
        self._proof_of[human.number] = str(proof["id"])

    async def _hand_in(self) -> bool:
        hand_in = Action("property", "hand_in", (self.case_no, dict(self._proofs)))
        if not self.happens(H.IDENTITY_FAILS):
            await self._do(AGENT, "hand the application in", "提交", hand_in)
            return True
        await self._refused(
            "PROOF_FAILED", AGENT, "hand in without identity", "提交：核验未通过", hand_in
        )
        self._is_over = True
        return False

    # Consent and check

    async def _apply_for_transfer(self) -> None:
        if self.happens(H.NO_CONSENT):
            opened = Action("electricity", "open", (self.case_no,))
            await self._do(AGENT, "apply without consent", "申请用电过户（未授权）", opened)
            return
        buyer, seller = self.case.buyers[0], self.case.all_sellers[0]
        await self._agree("seller", seller, CHECK_PURPOSE, CHECK_ITEMS)
        await self._agree("buyer", buyer, TRANSFER_PURPOSE, TRANSFER_ITEMS)
        self._consent_until = time.monotonic() + SHORT_SECONDS
        tokens = (self._tokens["buyer"], self._tokens["seller"])
        opened = Action("electricity", "open", (self.case_no, *tokens))
        await self._do(AGENT, "apply for the electricity transfer", "申请用电过户", opened)
        await self._check_account(self.case.account)
        if self.happens(H.METER_CHOSEN, H.NUMBER_PUT_RIGHT):
            await self._check_account(self.case.meters[0].number)

    async def _agree(self, side: str, human: Human, purpose: str, items: tuple[str, ...]) -> None:
        expires = self.happens(H.CONSENT_EXPIRES) and side == "buyer"
        proof = self._proof_of[human.number]
        terms = {
            "case_no": self.case_no,
            "purpose": purpose,
            "grantee": SUPPLIER,
            "items": list(items),
            "wording": "2026-1",
            "place": "window",
            "valid_seconds": SHORT_SECONDS if expires else 86_400,
        }
        grant = Action(
            "consent", "grant", (terms, proof), {"person": to_person(human)}, is_keyed=True
        )
        names = {"buyer": ("buyer", "买方"), "seller": ("seller", "卖方")}[side]
        done = await self._do(AGENT, f"consent of the {names[0]}", f"{names[1]}授权", grant)
        self._tokens[side] = str(json.loads(done.result)["id"])

    async def _check_account(self, number: str | None) -> None:
        transient: Mapping[str, object] = {} if number is None else {"account": number}
        args: tuple[object, ...] = (self.case_no,)
        if self.happens(H.MORE_CAPACITY):
            args = (self.case_no, "", CAPACITY_VA * 2)
        check = Action("electricity", "check", args, transient, is_keyed=True)
        await self._do(AGENT, "check the electricity account", "核验用电户", check)

    async def _revoke(self) -> None:
        buyer = self.case.buyers[0]
        proof = self._proof_of[buyer.number]
        revoke = Action(
            "consent",
            "revoke",
            (self._tokens["buyer"], proof),
            {"person": to_person(buyer)},
            is_keyed=True,
        )
        await self._do(AGENT, "the buyer takes the consent back", "买方撤回授权", revoke)

    # The registry, and who else has a say

    async def _accept(self) -> bool:
        accept = Action("property", "accept", (self.case_no,))
        try:
            await self._do(ACCEPTOR, "accept the case", "受理", accept)
        except Refused as refused:
            self._note(ACCEPTOR, "accept the case", "受理", refused.code)
            reject = Action("property", "reject", (self.case_no, refused.code))
            await self._do(ACCEPTOR, "reject the case", "不予受理", reject)
            self._is_over = True
            return False
        return True

    async def _settle_tax(self) -> None:
        settle = Action("property:Authorities", "settle_tax", (self.case_no, f"WS-{self._serial}"))
        await self._do(OFFICER, "the tax is settled", "完税", settle)

    async def _seize(self, order: str) -> None:
        number = f"{order}-{self._serial}"
        seize = Action("property:Authorities", "seize", (self.case.unit, number, COURT, UNTIL))
        await self._do(JUDGE, "a court seizes the unit", "法院查封", seize)

    async def _release_mortgage(self) -> None:
        release = Action("property:Authorities", "release", (self.case.unit,))
        await self._do(LENDER, "the bank releases the mortgage", "解押", release)

    async def _carry_mortgage(self) -> None:
        carry = Action("property:Authorities", "carry", (self.case.unit, self.case_no))
        await self._do(LENDER, "the bank lets the mortgage be carried", "同意带押过户", carry)

    async def _review(self) -> None:
        review = Action("property", "review", (self.case_no,))
        try:
            await self._do(REVIEWER, "review the case", "审查", review)
        except Refused as refused:
            self._note(REVIEWER, "review the case", "审查", refused.code)
            await self._stop(refused.code)
            if self._is_over:
                return
            await self._do(REVIEWER, "review the case", "审查", review)
        decide = Action("property", "decide", (self.case_no,))
        await self._do(REVIEWER, "decide", "决定", decide)

    async def _stop(self, reason: str) -> None:
        """A court's order stands against it: wait for its end, or refuse."""
        if self.happens(H.SEIZURE_LIFTED, H.STAYS_SUSPENDED):
            suspend = Action("property", "suspend", (self.case_no, reason))
            await self._do(REVIEWER, "suspend the case", "中止", suspend)
            if self.happens(H.STAYS_SUSPENDED):
                self._is_over = True
                return
            order = f"CF-1-{self._serial}"
            lift = Action("property:Authorities", "lift", (self.case.unit, order))
            await self._do(JUDGE, "the court lifts the seizure", "法院解封", lift)
            accept = Action("property", "accept", (self.case_no,))
            await self._do(ACCEPTOR, "take the case up again", "恢复办理", accept)
            return
        await self._refuse(REVIEWER, reason)

    async def _refuse(self, desk: Desk, reason: str) -> None:
        refuse = Action("property", "refuse", (self.case_no, reason))
        await self._do(desk, "refuse the registration", "不予登记", refuse)
        self._is_over = True

    async def _withdraw(self) -> None:
        withdraw = Action("property", "withdraw", (self.case_no, dict(self._proofs)))
        await self._do(AGENT, "the citizens withdraw", "撤回申请", withdraw)
        self._is_over = True

    def _booking(self) -> Action:
        certificate = f"京(2026)海不动产权第{self._serial:07d}号"
        return Action("property", "book", (self.case_no, certificate))

    async def _book_against_court(self) -> None:
        """The booking is endorsed, then the court's order is committed, then it is ordered."""
        verdict = await self._offices.submit_after(
            REGISTRAR, self._booking(), lambda: self._seize("CF-1")
        )
        self._note(REGISTRAR, "register the transfer", "登簿", verdict)
        if verdict != "MVCC_READ_CONFLICT":
            raise Unexpected(f"the booking against the court's order was {verdict}")
        await self._refused("SEIZED", REGISTRAR, "register the transfer", "登簿", self._booking())
        await self._refuse(REGISTRAR, "SEIZED")

    async def _correct(self) -> None:
        correct = Action("property", "correct", (self.case_no, "REGISTERED_WRONGLY"))
        await self._do(REGISTRAR, "correct the register", "更正登记", correct)
        reverse = Action("electricity", "reverse", (self.case_no,))
        await self._do(CLERK, "reverse the electricity transfer", "冲正", reverse)

    # The electricity window

    async def _at_the_window(self) -> None:
        transfer = await self._read("electricity", AGENT)
        account = str(transfer["account"])
        if self.happens(H.HOLDER_CONFIRMED):
            evidence = hashlib.sha256(self.case_no.encode()).hexdigest()
            confirm = Action("electricity", "confirm", (self.case_no, evidence))
            await self._do(CLERK, "a clerk settles the doubts", "人工核实", confirm)
        if self.happens(H.ARREARS_SETTLED):
            clear = Action("electricity:Accounts", "clear_arrears", (account,))
            await self._do(CLERK, "the seller pays the arrears", "卖方结清欠费", clear)
        if self.happens(H.REVOKED_BEFORE_SIGNATURE):
            await self._revoke()
        transfer = await self._read("electricity", AGENT)
        if transfer["state"] != "待签字":
            return
        buyer = self.case.buyers[0]
        sign = Action(
            "electricity",
            "sign",
            (self.case_no, self._proof_of[buyer.number]),
            {"person": to_person(buyer)},
            is_keyed=True,
        )
        await self._do(AGENT, "sign once", "一签即成：新户主签字", sign)

    # Common

    async def _look_up(self) -> Outcome:
        case = await self._read("property", ACCEPTOR)
        try:
            transfer = await self._read("electricity", AGENT)
        except Refused:
            transfer = None
        return judge(case, transfer)

    async def _read(self, chaincode: str, desk: Desk) -> Record:
        answer = await self._offices.evaluate(desk, Action(chaincode, "read", (self.case_no,)))
        found: Any = json.loads(answer)
        return dict(found)

    async def _do(self, desk: Desk, english: str, chinese: str, action: Action) -> Done:
        done = await self._offices.submit(desk, action)
        self.steps.append(
            Step(
                english,
                chinese,
                desk,
                done.seconds * 1000,
                done.transaction_id,
                done.block_number,
                was_deferred=done.was_deferred,
            )
        )
        return done

    async def _refused(
        self, code: str, desk: Desk, english: str, chinese: str, action: Action
    ) -> None:
        """The action is refused with this code.

        Raises:
            Unexpected: it is not.
        """
        try:
            await self._offices.submit(desk, action)
        except Refused as refused:
            self._note(desk, english, chinese, refused.code)
            if refused.code == code:
                return
            raise Unexpected(f"{english}: expected {code}, found {refused.code}") from None
        raise Unexpected(f"{english}: expected {code}, but it was done")

    def _note(self, desk: Desk, english: str, chinese: str, refusal: str) -> None:
        self.steps.append(Step(english, chinese, desk, 0.0, refusal=refusal))
