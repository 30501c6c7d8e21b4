"""Load in the unary calls that every Fabric client makes: three a transaction, one a query.

The answer of each call moves its caller on to the next: endorse, sign and submit, ask for the
verdict with a signature, next transaction.
"""

from enum import Enum, auto

from tests.bench.callers import LIMITS, Caller, Run
from tests.bench.hpack import OK
from tests.bench.http2 import Connection
from tongban.protos.gateway_pb2 import CommitStatusResponse, EndorseResponse, EvaluateResponse
from tongban.sdk.core.unary import COMMIT_STATUS, ENDORSE, EVALUATE, SUBMIT

CALLS_A_FLUSH = 16
"""So that the gateway has work while the rest is being signed."""


class Step(Enum):
    """What a caller has asked."""

    ENDORSE = auto()
    SUBMIT = auto()
    STATUS = auto()
    EVALUATE = auto()


class UnaryLoad:
    """All callers on one connection."""

    def __init__(self, connection: Connection, run: Run) -> None:
        self._connection = connection
        self._headers = {
            Step.ENDORSE: connection.headers(ENDORSE, LIMITS.endorse_s),
            Step.SUBMIT: connection.headers(SUBMIT, LIMITS.submit_s),
            Step.STATUS: connection.headers(COMMIT_STATUS, LIMITS.commit_status_s),
            Step.EVALUATE: connection.headers(EVALUATE, LIMITS.evaluate_s),
        }
        self._first = Step.EVALUATE if run.is_query else Step.ENDORSE
        self._run = run
        self._open: dict[int, tuple[Caller, Step]] = {}
        self._messages: dict[int, bytes] = {}
        self._unsent_count = 0
        self.tally = run.tally

    def work(self) -> None:
        """Return when every caller's time is up and its last call has been answered.

        Raises:
            OSError: the connection ended.
        """
        self._run.start()
        for caller in self._run.callers:
            self._begin(caller)
        while self._open:
            self._connection.flush()
            for received in self._connection.receive():
                if received.status is None:
                    self._messages[received.call] = received.message
                    continue
                caller, step = self._open.pop(received.call)
                message = self._messages.pop(received.call, b"")
                if received.status.code == OK:
                    self._answered(caller, step, message)
                else:
                    self._run.tally.fail(f"{step.name}: {received.status.message}")
                    self._begin(caller)

    def _begin(self, caller: Caller) -> None:
        request = self._run.begin(caller)
        if request is not None:
            self._ask(caller, self._first, request)

    def _ask(self, caller: Caller, step: Step, request: bytes) -> None:
        connection = self._connection
        call = connection.open(self._headers[step])
        connection.send(call, request, is_last=True)
        self._open[call] = caller, step
        self._unsent_count += 1
        if self._unsent_count == CALLS_A_FLUSH:
            self._unsent_count = 0
            connection.flush()

    def _answered(self, caller: Caller, step: Step, message: bytes) -> None:
        run = self._run
        proposer, proposed = run.proposer, caller.proposed
        if step is Step.ENDORSE:
            payload = EndorseResponse.FromString(message).prepared_transaction.payload
            self._ask(caller, Step.SUBMIT, proposer.submission(proposed, payload))
            return
        if step is Step.SUBMIT:
            self._ask(caller, Step.STATUS, proposer.status_request(proposed))
            return
        if step is Step.STATUS:
            run.end_by_verdict(caller, CommitStatusResponse.FromString(message).result)
        else:
            result = EvaluateResponse.FromString(message).result
            run.end_by_result(caller, result.status, result.message)
        self._begin(caller)
