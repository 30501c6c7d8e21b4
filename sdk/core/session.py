"""The client's end of a streaming gateway, over as many streams as it takes.

Put in: requests, received frames, the beginnings and ends of streams, the time. Taken out: frames
to send (``next_frame``), answers (``take_answers``), and when to call ``expire`` (``wake_at``).

Rules. One hello in the first frame of each side; no request before the gateway's. No more requests
open than its window. Ids are never used twice. When a stream ends, then on the next one

- proposals and evaluations are sent again, once;
- submitted transactions are asked for by transaction id, since they may have been accepted, and
  one that nobody accepted is submitted again if no verdict comes, since an id commits at most once;
- what was never sent waits, and fails when no stream can be opened.

Times are seconds of one clock that only moves forward, told from outside.
"""

import math
from collections import deque
from collections.abc import Iterator

from tongban.protos.gateway_pb2 import CommitStatusResponse
from tongban.protos.stream_pb2 import GatewayMessage
from tongban.protos.transaction_pb2 import TxValidationCode

from ..errors import StatusCode
from .commands import (
    Accepted,
    Answer,
    AwaitVerdict,
    Endorse,
    Evaluate,
    Failure,
    StreamUnsupported,
    Submit,
    Ticket,
)
from .frames import (
    checked_window,
    encode_cancel,
    encode_hello,
    encode_message,
    encode_refusal,
    parse_frame,
    to_failure,
)
from .handles import BODIES, NEVER, Answered, Handle, Request, is_local, late

FRAME_MESSAGES_MAX = 256
FRAME_BYTES_ENOUGH = 1024 * 1024
"""A frame is closed when it has either; a larger single message still travels, alone."""

RESUBMIT_AFTER_S = 2.0
"""On a new stream, without a verdict on a transaction that nobody is known to have accepted: as
long as a batch may take to be cut."""

ASK_AGAIN_AFTER_S = 0.5
"""When a gateway cannot say yet, for example while it starts."""

_NOT_YET = frozenset(
    {
        StatusCode.UNAVAILABLE,
        StatusCode.RESOURCE_EXHAUSTED,
        StatusCode.CANCELLED,
        StatusCode.DEADLINE_EXCEEDED,
    }
)
"""Codes after which submitting again, or asking for the verdict again, makes sense. ABORTED too, of
a commit status (fabric internal/pkg/gateway/commitstatus.go); of a submission it means refused."""

_REQUEST_BODIES = frozenset({"propose", "submit", "evaluate", "commit_status"})


class Session:
    """All open requests of one application with one gateway."""

    def __init__(self, software: str) -> None:
        self._software = software
        self._window = 0
        self._is_connected = False
        self._hello_due = False
        self._next_id = 1
        self._open: dict[int, Handle] = {}
        self._sent: dict[int, tuple[Handle, str]] = {}
        self._queue: deque[tuple[Handle, str]] = deque()
        self._control: list[bytes] = []
        self._answers: list[Answered] = []
        self.wake_at = NEVER
        """When ``expire`` must be called next; infinity while nothing is open."""

    @property
    def is_established(self) -> bool:
        """Whether the gateway has said hello on the present stream."""
        return self._window > 0

    @property
    def is_idle(self) -> bool:
        return not self._open

    @property
    def open_count(self) -> int:
        return len(self._open)

    def take_answers(self) -> list[Answered]:
        answers, self._answers = self._answers, []
        return answers

    # Requests

    def open(self, command: Request, waiter: object, now: float) -> Handle:
        """Take on a request; ``waiter`` comes back with its answer."""
        handle = Handle(command, waiter, now + command.timeout_s)
        if isinstance(command, AwaitVerdict):
            if command.ticket.answer is not None:
                self._answers.append(Answered(waiter, command.ticket.answer))
                handle.is_over = True
                return handle
            command.ticket.listener = handle
        else:
            if isinstance(command, Submit):
                handle.accept_by = handle.deadline
                handle.deadline += command.commit_timeout_s
            self._queue.append((handle, BODIES[type(command)]))
        self._open[id(handle)] = handle
        self.wake_at = min(self.wake_at, handle.deadline, handle.accept_by)
        return handle

    def cancel(self, handle: Handle) -> None:
        """Nobody waits any more. A transaction that was submitted may commit all the same."""
        if not handle.is_over:
            self._close(handle)

    # Streams

    def stream_started(self) -> None:
        """A stream stands; the next frame says hello."""
        assert not self._is_connected
        self._is_connected = True
        self._hello_due = True

    def receive(self, data: bytes, now: float) -> None:
        """Take in one frame.

        Raises:
            MalformedMessage, LimitExceeded: the gateway broke the protocol. End the stream.
        """
        frame = parse_frame(data)
        if not self._window:
            self._window = checked_window(frame)
        for message in frame.messages:
            self._receive_message(message, now)

    def stream_ended(self, failure: Failure, now: float) -> None:
        """The stream broke after the gateway had said hello, or was ended by us."""
        self._forget_stream()
        resent: list[tuple[Handle, str]] = []
        for handle in self._live():
            if handle.wire_ids:
                handle.wire_ids.clear()
                handle.drops += 1
                self._recover(handle, failure, now, resent)
        self._queue.extendleft(reversed(resent))

    def connect_failed(self, failure: Failure) -> None:
        """No stream could be opened. What has never been sent fails; the rest waits for the next
        attempt, as long as its time lasts."""
        self._forget_stream()
        for handle in self._live():
            was_never_sent = not (handle.is_accepted or handle.drops or is_local(handle))
            if was_never_sent or isinstance(handle.command, Endorse | Evaluate):
                self._settle(handle, failure)
        self._forget_queued()

    def give_up(self, message: str) -> None:
        """The other side does not speak this protocol: everything open is handed back."""
        self._forget_stream()
        for handle in self._live():
            if handle.ticket is not None or is_local(handle):
                self._settle(handle, Failure(StatusCode.UNAVAILABLE, message, (), True))
            else:
                self._settle(handle, StreamUnsupported(message, handle.is_accepted))
        self._queue.clear()

    def abort(self, failure: Failure) -> None:
        """The application ends the connection: everything open fails."""
        self._forget_stream()
        for handle in self._live():
            self._settle(handle, failure)
        self._queue.clear()

    def next_frame(self, now: float) -> bytes | None:
        """What to send next, if anything may be sent now."""
        if not self._is_connected:
            return None
        parts: list[bytes] = []
        if self._hello_due:
            self._hello_due = False
            parts.append(encode_hello(self._software))
        if self._window:
            parts += self._control
            self._control.clear()
            self._fill(parts, now)
        return b"".join(parts) or None

    def expire(self, now: float) -> None:
        """End what has run out of time, and do what was put off until now."""
        for handle in self._live():
            if handle.deadline <= now or handle.accept_by <= now:
                self._settle(handle, late(handle))
                continue
            if handle.ask_at <= now:
                handle.ask_at = NEVER
                self._queue.append((handle, "commit_status"))
            if handle.submit_at <= now:
                handle.submit_at = NEVER
                self._queue.append((handle, "submit"))
        self._forget_queued()
        self.wake_at = min(
            (min(h.deadline, h.accept_by, h.ask_at, h.submit_at) for h in self._open.values()),
            default=NEVER,
        )

    def _live(self) -> Iterator[Handle]:
        """The open requests; ending one may end another, which is then left out."""
        return (handle for handle in list(self._open.values()) if not handle.is_over)

    def _forget_queued(self) -> None:
        """Drop what is over from the queue, which nobody may read for a long time."""
        self._queue = deque(item for item in self._queue if not item[0].is_over)

    # Sending

    def _fill(self, parts: list[bytes], now: float) -> None:
        size = 0
        while self._queue and len(self._sent) < self._window:
            if len(parts) >= FRAME_MESSAGES_MAX or size >= FRAME_BYTES_ENOUGH:
                return
            handle, body = self._queue.popleft()
            if handle.is_over:
                continue
            part = self._encode(handle, body, now)
            size += len(part)
            parts.append(part)

    def _encode(self, handle: Handle, body: str, now: float) -> bytes:
        command = handle.command
        assert not isinstance(command, AwaitVerdict)
        content = command.request
        if body == "commit_status" and isinstance(command, Submit):
            assert command.status_request is not None
            content = command.status_request()
        message_id = self._next_id
        self._next_id += 1
        handle.wire_ids.append(message_id)
        self._sent[message_id] = (handle, body)
        left_ms = max(1, math.ceil((handle.deadline - now) * 1000))
        return encode_message(message_id, left_ms, body, content)

    # Receiving

    def _receive_message(self, message: GatewayMessage, now: float) -> None:
        kind = message.WhichOneof("body")
        found = self._sent.get(message.id)
        if found is None:
            if kind is None or kind in _REQUEST_BODIES:
                self._control.append(encode_refusal(message.id))
            return  # otherwise the answer to a withdrawn request
        handle, body = found
        if kind == "accepted" and body == "submit":
            self._on_accepted(handle, now)
            return
        self._end_wire_id(message.id)
        if kind == "committed" and body in ("submit", "commit_status"):
            self._on_committed(handle, body, message.committed, now)
        elif kind == "prepared" and body == "propose":
            self._settle(handle, message.prepared)
        elif kind == "evaluated" and body == "evaluate":
            self._settle(handle, message.evaluated)
        elif kind == "failed":
            failure = to_failure(message.failed, was_accepted=handle.may_be_accepted)
            self._on_failed(handle, body, failure, now)
        else:
            text = f"the gateway answered {body} with {kind or 'a message of an unknown kind'}"
            self._settle(
                handle, Failure(StatusCode.UNIMPLEMENTED, text, (), handle.may_be_accepted)
            )

    def _on_accepted(self, handle: Handle, now: float) -> None:
        command = handle.command
        assert isinstance(command, Submit)
        if handle.is_accepted:
            return
        handle.is_accepted = True
        handle.accept_by = handle.submit_at = NEVER
        handle.deadline = now + command.commit_timeout_s
        if not command.waits_for_commit:
            handle.ticket = Ticket()
            self._answers.append(Answered(handle.waiter, Accepted(handle.ticket)))

    def _on_committed(
        self, handle: Handle, body: str, committed: CommitStatusResponse, now: float
    ) -> None:
        is_second_copy = (
            body == "submit"
            and handle.drops > 0
            and committed.result == TxValidationCode.DUPLICATE_TXID
        )
        if not is_second_copy:
            self._settle(handle, committed)
        elif not handle.asks:
            text = (
                "it was ordered before the connection broke; ask for its commit status with a"
                " signed request"
            )
            self._settle(handle, Failure(StatusCode.UNAVAILABLE, text, (), True))

    def _on_failed(self, handle: Handle, body: str, failure: Failure, now: float) -> None:
        command = handle.command
        is_passing = failure.code in _NOT_YET or (
            failure.code == StatusCode.ABORTED and body == "commit_status"
        )
        if isinstance(command, Submit) and handle.may_be_accepted and is_passing:
            if body == "submit" and not handle.is_accepted:
                self._submit_later(handle, now + ASK_AGAIN_AFTER_S)
                return
            if command.status_request is not None:
                handle.asks = True
                handle.ask_at = now + ASK_AGAIN_AFTER_S
                self.wake_at = min(self.wake_at, handle.ask_at)
                return
        self._settle(handle, failure)

    # Endings

    def _recover(
        self, handle: Handle, failure: Failure, now: float, resent: list[tuple[Handle, str]]
    ) -> None:
        command = handle.command
        if isinstance(command, Endorse | Evaluate) and handle.drops > 1:
            text = f"the stream broke twice: {failure.message}"
            self._settle(handle, Failure(StatusCode.UNAVAILABLE, text))
        elif not isinstance(command, Submit):
            resent.append((handle, BODIES[type(command)]))
        elif command.status_request is not None:
            handle.asks = True
            handle.accept_by = NEVER
            handle.deadline = max(handle.deadline, now + command.commit_timeout_s)
            resent.append((handle, "commit_status"))
            if not handle.is_accepted:
                self._submit_later(handle, now + RESUBMIT_AFTER_S)
        elif handle.is_accepted:
            text = f"{failure.message}; ask for the commit status with a signed request"
            self._settle(handle, Failure(StatusCode.UNAVAILABLE, text, (), True))
        else:
            resent.append((handle, "submit"))

    def _submit_later(self, handle: Handle, when: float) -> None:
        handle.submit_at = when
        self.wake_at = min(self.wake_at, when)

    def _forget_stream(self) -> None:
        self._is_connected = self._hello_due = False
        self._window = 0
        self._sent.clear()
        self._control.clear()

    def _end_wire_id(self, message_id: int) -> None:
        handle, _ = self._sent.pop(message_id)
        handle.wire_ids.remove(message_id)

    def _settle(self, handle: Handle, answer: Answer) -> None:
        self._close(handle)
        if handle.ticket is None:
            self._answers.append(Answered(handle.waiter, _as_asked(handle, answer)))
            return
        assert isinstance(answer, CommitStatusResponse | Failure)
        if isinstance(answer, Failure) and answer.code == StatusCode.DEADLINE_EXCEEDED:
            answer = Failure(
                StatusCode.UNAVAILABLE, "the verdict is no longer waited for", (), True
            )
        handle.ticket.answer = answer
        listener = handle.ticket.listener
        if isinstance(listener, Handle) and not listener.is_over:
            self._settle(listener, answer)

    def _close(self, handle: Handle) -> None:
        handle.is_over = True
        del self._open[id(handle)]
        for message_id in handle.wire_ids:
            if self._sent.pop(message_id, None) is not None:
                self._control.append(encode_cancel(message_id))
        handle.wire_ids.clear()


def _as_asked(handle: Handle, answer: Answer) -> Answer:
    """A verdict that was asked for on a new stream tells whoever only waits for acceptance that
    the transaction was accepted; the verdict lies under the ticket."""
    command = handle.command
    is_early = isinstance(command, Submit) and not command.waits_for_commit
    if is_early and isinstance(answer, CommitStatusResponse):
        ticket = Ticket()
        ticket.answer = answer
        return Accepted(ticket)
    return answer
