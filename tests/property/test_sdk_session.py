"""Whatever happens to its streams, a session answers every request exactly once."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.sdk.conversation import (
    Ask,
    At,
    Broke,
    Conversation,
    Got,
    NotConnected,
    NotSpoken,
    Sent,
    Started,
    Told,
    Withdraw,
    ask_status,
    await_verdict,
    endorse,
    evaluate,
    submit,
)
from tongban.protos.transaction_pb2 import TxValidationCode
from tongban.sdk.errors import StatusCode

REQUESTS = (
    endorse,
    evaluate,
    ask_status,
    submit,
    lambda: submit(waits=False),
    lambda: submit(signer=False),
)
ANSWERS = (
    ("prepared", 0),
    ("evaluated", 0),
    ("accepted", 0),
    ("committed", TxValidationCode.VALID),
    ("committed", TxValidationCode.DUPLICATE_TXID),
    ("failed", StatusCode.UNAVAILABLE),
    ("failed", StatusCode.ABORTED),
    ("unknown", 0),
)


class Life:
    """One session, and a gateway that answers at random but never twice to the same id."""

    def __init__(self, window: int) -> None:
        self.conversation = Conversation(window)
        self.asked: set[str] = set()
        self.told: Counter[str] = Counter()
        self.open_ids: dict[int, str] = {}
        self.used_ids: set[int] = set()
        self.is_started = self.is_greeted = False

    def do(self, event: object) -> None:
        for output in self.conversation(event):
            match output:
                case Told():
                    self.told[output.name] += 1
                case Sent(body="hello"):
                    assert not self.is_greeted
                case Sent(body="cancel"):
                    del self.open_ids[output.id]
                case Sent():
                    assert self.is_greeted
                    assert output.id not in self.used_ids
                    self.used_ids.add(output.id)
                    self.open_ids[output.id] = output.body
        assert len(self.open_ids) <= self.conversation.window

    def stop(self, event: object) -> None:
        self.open_ids.clear()
        self.is_started = self.is_greeted = False
        self.do(event)

    def step(self, choice: int, number: int) -> None:
        conversation = self.conversation
        match choice:
            case 0 | 1:
                name = f"request {len(self.asked)}"
                self.asked.add(name)
                self.do(Ask(name, REQUESTS[number % len(REQUESTS)]()))
            case 2 if not self.is_started:
                self.is_started = True
                self.do(Started())
            case 3 if self.is_started and not self.is_greeted:
                self.is_greeted = True
                self.do(Got("hello"))
            case 4 | 5 if self.open_ids:
                body, code = ANSWERS[number % len(ANSWERS)]
                message_id = sorted(self.open_ids)[number % len(self.open_ids)]
                if (body, self.open_ids[message_id]) != ("accepted", "submit"):
                    del self.open_ids[message_id]
                self.do(Got(body, message_id, code))
            case 6 if self.is_greeted:
                self.stop(Broke())
            case 7 if not self.is_greeted:
                self.stop(NotConnected())
            case 8:
                self.do(At(conversation.now + number / 10))
            case 9 if conversation.handles:
                name = sorted(conversation.handles)[number % len(conversation.handles)]
                if not conversation.handles[name].is_over:
                    self.told[name] += 0 if name in conversation.tickets else 1
                self.do(Withdraw(name))
                self.do(At(conversation.now))
            case 10 if conversation.tickets:
                name = f"request {len(self.asked)}"
                self.asked.add(name)
                tickets = sorted(conversation.tickets.items())
                self.do(Ask(name, await_verdict(tickets[number % len(tickets)][1])))
            case 11 if number == 0:
                self.stop(NotSpoken())


@given(
    window=st.integers(1, 4),
    steps=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 60)), max_size=80),
)
def test_every_request_is_answered_exactly_once(window: int, steps: list[tuple[int, int]]) -> None:
    life = Life(window)
    for choice, number in steps:
        life.step(choice, number)
    for _ in range(4):
        life.do(At(life.conversation.now + 200))
    assert life.conversation.session.is_idle
    assert {name: life.told[name] for name in life.asked} == dict.fromkeys(life.asked, 1)
