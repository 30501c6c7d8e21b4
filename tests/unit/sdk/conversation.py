"""The session as a machine for the playbook: events in, frames and answers out, bodies by name."""

from collections.abc import Iterator
from dataclasses import dataclass

from tongban.protos.gateway_pb2 import (
    CommitStatusResponse,
    EndorseResponse,
    EvaluateResponse,
    SubmitResponse,
)
from tongban.protos.stream_pb2 import Failed, GatewayFrame, GatewayMessage, Hello
from tongban.protos.transaction_pb2 import TxValidationCode
from tongban.sdk.core.commands import (
    Accepted,
    AskStatus,
    AwaitVerdict,
    Endorse,
    Evaluate,
    Failure,
    StreamUnsupported,
    Submit,
    Ticket,
)
from tongban.sdk.core.handles import Handle, Request
from tongban.sdk.core.session import Session
from tongban.sdk.errors import StatusCode

BROKEN = Failure(StatusCode.UNAVAILABLE, "broken")


@dataclass(frozen=True)
class Ask:
    """The application asks something; ``name`` stands for whoever waits."""

    name: str
    command: Request


@dataclass(frozen=True)
class Withdraw:
    name: str


@dataclass(frozen=True)
class Started:
    """A stream stands."""


@dataclass(frozen=True)
class Got:
    """A frame arrives."""

    body: str
    id: int = 0
    code: int = 0


@dataclass(frozen=True)
class Broke:
    """The stream ended."""


@dataclass(frozen=True)
class NotConnected:
    """No stream could be opened."""


@dataclass(frozen=True)
class NotSpoken:
    """The other side does not know our stream."""


@dataclass(frozen=True)
class At:
    """Time passes until then."""

    now: float


@dataclass(frozen=True)
class Sent:
    body: str
    id: int = 0


@dataclass(frozen=True)
class Told:
    """Somebody who waited was told this."""

    name: str
    what: str


class Conversation:
    """A session, its clock, and who waits."""

    def __init__(self, window: int = 10) -> None:
        self.session = Session("tests")
        self.window = window
        self.now = 0.0
        self.handles: dict[str, Handle] = {}
        self.tickets: dict[str, Ticket] = {}
        self.deadlines_ms: dict[int, int] = {}

    def __call__(self, event: object) -> Iterator[object]:
        self._apply(event)
        while frame := self.session.next_frame(self.now):
            yield from self._read(frame)
        for answered in self.session.take_answers():
            name = str(answered.waiter)
            if isinstance(answered.answer, Accepted) and answered.answer.ticket is not None:
                self.tickets[name] = answered.answer.ticket
            yield Told(name, _describe(answered.answer))

    def _apply(self, event: object) -> None:
        session = self.session
        match event:
            case Ask():
                self.handles[event.name] = session.open(event.command, event.name, self.now)
            case Withdraw():
                session.cancel(self.handles[event.name])
            case Started():
                session.stream_started()
            case Got():
                session.receive(self._frame(event), self.now)
            case Broke():
                session.stream_ended(BROKEN, self.now)
            case NotConnected():
                session.connect_failed(BROKEN)
            case NotSpoken():
                session.give_up("not spoken")
            case At():
                self.now = event.now
                if session.wake_at <= self.now:
                    session.expire(self.now)
            case _:
                raise AssertionError(event)

    def _frame(self, got: Got) -> bytes:
        message = GatewayMessage(id=got.id)
        match got.body:
            case "hello":
                return GatewayFrame(hello=Hello(version=1, window=self.window)).SerializeToString()
            case "prepared":
                message.prepared.CopyFrom(EndorseResponse())
            case "evaluated":
                message.evaluated.CopyFrom(EvaluateResponse())
            case "accepted":
                message.accepted.CopyFrom(SubmitResponse())
            case "committed":
                code = TxValidationCode.ValueType(got.code)
                message.committed.CopyFrom(CommitStatusResponse(result=code, block_number=7))
            case "failed":
                message.failed.CopyFrom(Failed(code=got.code, message="no"))
            case "propose":
                message.propose.SetInParent()
            case "unknown":
                pass
        return GatewayFrame(messages=[message]).SerializeToString()

    def _read(self, data: bytes) -> Iterator[Sent]:
        frame = GatewayFrame.FromString(data)
        if frame.HasField("hello"):
            yield Sent("hello")
        for message in frame.messages:
            self.deadlines_ms[message.id] = message.deadline_ms
            yield Sent(message.WhichOneof("body") or "?", message.id)


def _describe(answer: object) -> str:
    match answer:
        case EndorseResponse():
            return "prepared"
        case EvaluateResponse():
            return "evaluated"
        case CommitStatusResponse():
            return f"committed {TxValidationCode.Name(answer.result)}"
        case Accepted():
            return "accepted"
        case Failure():
            accepted = ", perhaps accepted" if answer.was_accepted else ""
            return f"{answer.code.name}{accepted}"
        case StreamUnsupported():
            return "ask in unary calls" + (" for the verdict" if answer.was_accepted else "")
    raise AssertionError(answer)


def endorse(timeout_s: float = 15) -> Endorse:
    return Endorse(b"", timeout_s)


def evaluate(timeout_s: float = 5) -> Evaluate:
    return Evaluate(b"", timeout_s)


def ask_status(timeout_s: float = 60) -> AskStatus:
    return AskStatus(b"", timeout_s)


def submit(*, signer: bool = True, waits: bool = True) -> Submit:
    return Submit(b"", 5, 60, (lambda: b"") if signer else None, waits)


def await_verdict(ticket: Ticket, timeout_s: float = 60) -> AwaitVerdict:
    return AwaitVerdict(ticket, timeout_s)
