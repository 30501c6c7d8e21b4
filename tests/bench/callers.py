"""Who calls what, one after the other each, and what came of it."""

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from tests.bench.proposals import Proposed, Proposer
from tongban.protos.transaction_pb2 import TxValidationCode
from tongban.sdk.core.commands import Timeouts
from tongban.sdk.errors import validation_code_name

Operation = Literal["create", "transfer", "query"]
Way = Literal["stream", "unary", "sdk"]

OWNERS = ("Li Na", "Tomoko")
VALID = TxValidationCode.VALID
RESULT_OK = 200
"""Status of an evaluation that gave a result."""

LIMITS = Timeouts()
"""What the SDK and the official clients allow each step; the gateway is told, and keeps to it."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a load generator is to do."""

    directory: str
    """Of the network."""
    operation: Operation
    way: Way
    callers: int
    seconds: float


@dataclass(slots=True)
class Tally:
    """What happened."""

    latencies: list[float] = field(default_factory=list)
    """Seconds of each call that succeeded."""
    failures: Counter[str] = field(default_factory=Counter)

    def fail(self, text: str) -> None:
        self.failures[_alike(text)] += 1


def _alike(text: str) -> str:
    """The text without what is different each time: transaction ids and numbers of blocks."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "…", text)
    return re.sub(r"(?i)(\bblock(?: number)?:? )\d+", r"\1…", text)[:200]


class Calls:
    """Function and arguments of every call."""

    def __init__(self, operation: Operation) -> None:
        self._operation = operation
        self._tag = f"{time.time_ns():x}"

    def preparation(self, caller: int) -> list[str]:
        """Creates the asset that a caller transfers or queries."""
        return self._creation(f"{self._tag}-{caller}")

    def next(self, caller: int, number: int) -> list[str]:
        """The call of a caller after so many others."""
        asset = f"{self._tag}-{caller}"
        if self._operation == "create":
            return self._creation(f"{asset}-{number}")
        if self._operation == "transfer":
            return ["TransferAsset", asset, OWNERS[number % 2]]
        return ["ReadAsset", asset]

    @staticmethod
    def _creation(asset: str) -> list[str]:
        return ["CreateAsset", asset, "blue", "5", "Li Na", "300"]


class Caller:
    """One caller, who has one call open at a time."""

    __slots__ = ("began", "index", "number", "proposed")

    proposed: Proposed

    def __init__(self, index: int) -> None:
        self.index = index
        self.number = 0
        """Calls that it has begun."""
        self.began = 0.0


class Run:
    """The callers of one run and what they have seen."""

    def __init__(self, proposer: Proposer, order: Order, calls: Calls) -> None:
        self.proposer = proposer
        self.is_query = order.operation == "query"
        self._seconds = order.seconds
        self.callers = [Caller(index) for index in range(order.callers)]
        self.tally = Tally()
        self._until = 0.0
        self._calls = calls

    def start(self) -> None:
        """Calls begin from now on, for as long as was ordered."""
        self._until = time.monotonic() + self._seconds

    def begin(self, caller: Caller) -> bytes | None:
        """The request of a caller's next call; None when time is up. Its time runs from here."""
        began = time.monotonic()
        if began >= self._until:
            return None
        caller.began = began
        args = self._calls.next(caller.index, caller.number)
        caller.number += 1
        caller.proposed = self.proposer.propose(*map(str.encode, args))
        return caller.proposed.request

    def end_by_verdict(self, caller: Caller, code: int) -> None:
        """The peer has committed the block; only VALID is a success."""
        if code == VALID:
            self.tally.latencies.append(time.monotonic() - caller.began)
        else:
            self.tally.fail(f"the transaction was found invalid: {validation_code_name(code)}")

    def end_by_result(self, caller: Caller, status: int, message: str) -> None:
        """An evaluation was answered."""
        if status == RESULT_OK:
            self.tally.latencies.append(time.monotonic() - caller.began)
        else:
            self.tally.fail(f"status {status}: {message}")
