"""The worker that runs a department's deferred reactions, once each, however often it is killed.

What waits lies on the ledger, in the namespaces of the contracts that emitted the events; that a
reaction has happened lies there too, in the reacting contract's. So the worker keeps nothing that
it could lose. It looks through what waits when it starts and from time to time, and in between
learns of new ones by the contracts' events; its checkpoint only saves reading these again.

Every reaction is one transaction, in which it happens, is marked as done, and stops to wait. If the
emitting department's peers cannot endorse the last of these, it is left for later.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from tongban.contracts.errors import ContractError
from tongban.contracts.reactions import PendingPage
from tongban.contracts.rules import (
    RULES_CHAINCODE,
    SYSTEM_CONTRACT,
    DoneReaction,
    Outcome,
    PendingReaction,
    parse_report,
)
from tongban.contracts.rules_contract.rules_contract import RuleRecord
from tongban.contracts.values import from_json
from tongban.sdk import (
    ChaincodeEvent,
    EndorseError,
    EvaluateError,
    EventsError,
    FileCheckpointer,
    TransactionError,
)
from tongban.sdk.blocking import Network
from tongban.sdk.blocking.events import EventStream
from tongban.sdk.core.deferring import is_unavailable, may_be_unavailable

PAGE_SIZE = 100
RETRIES = 5
"""Of a transaction that lost a race for a key."""

SCAN_SECONDS = 5.0
"""Between two looks through all that waits: what failed is tried again then."""

REOPEN_SECONDS = 1.0
"""Before a stream of events that was refused is asked for again."""

CHECKPOINT_EVENTS = 256
"""Events of no interest after which the position is kept all the same."""

Transient = Callable[[PendingReaction], Mapping[str, object]]
"""What goes along with a reaction, such as the department's key; never on the ledger."""


class Result(StrEnum):
    """What came of one attempt."""

    DONE = "done"
    REFUSED = "refused"
    """By the contract; recorded as done, since asking again would not change it."""
    CLOSED = "closed"
    """It had happened before; it does not wait any more."""
    FAILED = "failed"
    """To be tried again."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One reaction that the worker has dealt with."""

    id: str
    rule: str
    source: str
    target: str
    origin_tx_id: str
    result: Result
    tx_id: str = ""
    text: str = ""
    """Why it failed or was refused."""


Tell = Callable[[Attempt], None]


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker works."""

    department: str
    """MSP id; its contracts' reactions are run."""
    checkpoints: Path
    """Folder for the positions in the event streams."""
    transient: Transient = field(default=lambda pending: {})
    scan_seconds: float = SCAN_SECONDS
    endorsing_organizations: tuple[str, ...] = ()
    """Who endorses when the emitting department's peers cannot be reached; the department alone if
    empty."""


class ReactionWorker:
    """Runs what waits for one department on one channel."""

    def __init__(self, network: Network, options: WorkerOptions, tell: Tell) -> None:
        self._network = network
        self._options = options
        self._tell = tell
        self._told: queue.SimpleQueue[_Told] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._listeners: dict[str, _Listener] = {}

    def run_once(self) -> list[Attempt]:
        """Everything that waits now is dealt with, as far as it can be.

        Raises:
            EvaluateError: the peer cannot be asked.
        """
        found = []
        for source, target in self.ways():
            for pending in self.waiting(source, target):
                found.append(self._deal_with(pending))
        return found

    def run(self) -> None:
        """Until :meth:`stop`. While the department's peer is away, nothing is lost: what waits
        stays on the ledger."""
        told: list[_Told] = []
        try:
            while not self._stop.is_set():
                # The streams are opened first, so that nothing is emitted between look and stream.
                with contextlib.suppress(EvaluateError):
                    self._listen(self.ways())
                    self.run_once()
                    for one in told:
                        one.keep()
                told = self._wait()
        finally:
            for listener in self._listeners.values():
                listener.close()

    def stop(self) -> None:
        """The worker ends after what it is doing."""
        self._stop.set()
        self._told.put(_Told())

    def ways(self) -> list[tuple[str, str]]:
        """Emitting and reacting contract of each active rule that may leave something to do."""
        rules = self._network.get_contract(RULES_CHAINCODE)
        records = from_json(list[RuleRecord], rules.evaluate("List"))
        return sorted(
            {
                (record.active.source, record.active.target)
                for record in records
                if record.active is not None
                and record.active.unavailable == "defer"
                and record.active.target_department == self._options.department
            }
        )

    def waiting(self, source: str, target: str) -> list[PendingReaction]:
        """The reactions of ``target`` that wait in ``source``, in the order of the events' times.

        Raises:
            EvaluateError: the peer cannot be asked.
        """
        contract = self._network.get_contract(source)
        found: list[PendingReaction] = []
        bookmark = ""
        while True:
            args = (target, bookmark, PAGE_SIZE)
            page = from_json(PendingPage, contract.evaluate(f"{SYSTEM_CONTRACT}:Pending", *args))
            found += page.pending
            bookmark = page.bookmark
            if not bookmark:
                return sorted(found, key=lambda pending: (pending.at, pending.id))

    def _deal_with(self, pending: PendingReaction) -> Attempt:
        try:
            attempt = self._run(pending)
        except TransactionError as error:
            if _has_code(error, "ALREADY_DONE"):
                attempt = self._close(pending)
            elif _has_code(error, "NOT_PENDING"):
                attempt = _to_attempt(pending, Result.CLOSED)
            else:
                attempt = _to_attempt(pending, Result.FAILED, text=str(error))
        self._tell(attempt)
        return attempt

    def _run(self, pending: PendingReaction) -> Attempt:
        contract = self._network.get_contract(pending.target)
        transient = self._options.transient(pending)
        function, args = f"{SYSTEM_CONTRACT}:RunDeferred", (pending.source, pending.id)
        try:
            data = contract.submit(function, *args, "true", transient=transient, retries=RETRIES)
        except EndorseError as error:
            if not (is_unavailable(error) or may_be_unavailable(error)):
                raise
            alone = self._options.endorsing_organizations or (self._options.department,)
            data = contract.submit(
                function,
                *args,
                "false",
                transient=transient,
                endorsing_organizations=alone,
                retries=RETRIES,
            )
        done = from_json(DoneReaction, data)
        result = Result.REFUSED if done.outcome is Outcome.REFUSED else Result.DONE
        text = f"{done.code}: {done.text}" if done.code else done.text
        return _to_attempt(pending, result, done.tx_id, text)

    def _close(self, pending: PendingReaction) -> Attempt:
        """It has happened; only the note that it waits is left."""
        contract = self._network.get_contract(pending.source)
        function = f"{SYSTEM_CONTRACT}:ClosePending"
        try:
            contract.submit(function, pending.target, pending.id, retries=RETRIES)
        except TransactionError as error:
            if not _has_code(error, "NOT_PENDING"):
                return _to_attempt(pending, Result.FAILED, text=str(error))
        return _to_attempt(pending, Result.CLOSED)

    def _listen(self, ways: list[tuple[str, str]]) -> None:
        """Events of every emitting contract come in."""
        self._options.checkpoints.mkdir(parents=True, exist_ok=True)
        for source in sorted({source for source, _ in ways} - set(self._listeners)):
            checkpointer = FileCheckpointer(self._options.checkpoints / f"{source}.json")
            targets = frozenset(target for emitter, target in ways if emitter == source)
            listener = _Listener(self._network, _Wanted(source, targets), checkpointer, self._told)
            self._listeners[source] = listener
            listener.start()

    def _wait(self) -> list["_Told"]:
        """Until an event tells of something to do, or it is time to look all the same; returns
        what was told."""
        told = []
        with contextlib.suppress(queue.Empty):
            told.append(self._told.get(timeout=self._options.scan_seconds))
            while True:
                told.append(self._told.get_nowait())
        return told


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The events that one listener looks for."""

    source: str
    targets: frozenset[str]

    def is_in(self, event: ChaincodeEvent) -> bool:
        """Whether the transaction has left something to do."""
        try:
            report = parse_report(event.payload)
        except ContractError:
            return False  # an event that the contract set itself
        return any(
            one.outcome is Outcome.DEFERRED
            and one.source == self.source
            and one.target in self.targets
            for one in report.reactions
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """A position in a stream of events that is to be kept when what waits was dealt with."""

    event: ChaincodeEvent | None = None
    checkpointer: FileCheckpointer | None = None

    def keep(self) -> None:
        if self.event is not None and self.checkpointer is not None:
            self.checkpointer.checkpoint_chaincode_event(self.event)


class _Listener(threading.Thread):
    """Reads the events of one contract and tells of those that leave something to do."""

    def __init__(
        self,
        network: Network,
        wanted: _Wanted,
        checkpointer: FileCheckpointer,
        told: "queue.SimpleQueue[_Told]",
    ) -> None:
        super().__init__(name=f"events of {wanted.source}", daemon=True)
        self._network = network
        self._wanted = wanted
        self._checkpointer = checkpointer
        self._told = told
        self._closed = threading.Event()
        self._stream: EventStream[ChaincodeEvent] | None = None

    def run(self) -> None:
        while not self._closed.is_set():
            self._stream = self._network.chaincode_events(
                self._wanted.source, checkpoint=self._checkpointer
            )
            with contextlib.suppress(EventsError):
                self._read(self._stream)
            self._closed.wait(REOPEN_SECONDS)

    def close(self) -> None:
        self._closed.set()
        if self._stream is not None:
            self._stream.close()

    def _read(self, stream: EventStream[ChaincodeEvent]) -> None:
        passed = 0
        for event in stream:
            passed += 1
            if self._wanted.is_in(event) or passed >= CHECKPOINT_EVENTS:
                passed = 0
                self._told.put(_Told(event, self._checkpointer))


def _to_attempt(
    pending: PendingReaction, result: Result, tx_id: str = "", text: str = ""
) -> Attempt:
    return Attempt(
        pending.id,
        pending.rule,
        pending.source,
        pending.target,
        pending.tx_id,
        result,
        tx_id,
        text,
    )


def _has_code(error: TransactionError, code: str) -> bool:
    texts = [error.message, *(detail.message for detail in error.details)]
    return any(code in text for text in texts)
