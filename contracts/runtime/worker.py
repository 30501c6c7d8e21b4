"""The loop of a worker's process: many transactions of one package in one thread.

Each transaction is a greenlet. It runs until it asks the node for something, then the next one
with an answer runs; what they asked goes out in one write when nobody can go on. A function that
computes for long therefore holds up the others of its worker, which the node watches for: before a
transaction gets the CPU, its number is written into a page that the node can read.
"""

import contextvars
import importlib
import mmap
import os
import select
import sys
from collections.abc import Sequence
from typing import Any, Final

import greenlet

from tongban.contracts.dispatch import load_package
from tongban.contracts.packaging import API_VERSION
from tongban.contracts.runtime.bridge import (
    ContractSet,
    Invocation,
    Outcome,
    SimulationAborted,
    StateRefused,
)
from tongban.contracts.runtime.imports import ALLOWED, PackageFinder
from tongban.contracts.runtime.lines import redirect_output
from tongban.contracts.runtime.transaction import LOG_LINES_MAX, Transaction
from tongban.protos.errors import TongbanError
from tongban.protos.worker_frames import (
    PROTOCOL_VERSION,
    FrameReader,
    FromWorker,
    Message,
    ToWorker,
    pack,
    to_frame,
)

_READ_BYTES: Final = 256 * 1024
_FRAME_BYTES: Final = 1024 * 1024
"""Bytes after which the messages that wait are made a frame of their own."""

_FAULT_STATUS: Final = 500
"""Status of a transaction that ended with an exception (fabric-chaincode-go shim, Error)."""


def prepare() -> None:
    """Load what contracts may import while files can still be read freely."""
    for name in sorted(ALLOWED):
        importlib.import_module(name)


def serve(socket: int, board: int, fences: dict[str, str]) -> None:
    """Run transactions until the node closes the stream, which must not block."""
    Worker(socket, board).run(fences)


class LoadRefused(TongbanError):
    """This worker cannot honour what the package promises."""


class Worker:
    """The transactions of one process."""

    def __init__(self, socket: int, board: int) -> None:
        self._stream = _Stream(socket)
        self._board = memoryview(mmap.mmap(board, mmap.PAGESIZE)).cast("Q")
        """Number of switches, then the transaction on the CPU or 0."""

        self._hub = greenlet.getcurrent()
        self._waiting: dict[int, tuple[greenlet.greenlet, Transaction]] = {}
        self._idle: list[greenlet.greenlet] = []
        self._current: Transaction | None = None
        self._contracts: ContractSet | None = None

    def run(self, fences: dict[str, str]) -> None:
        redirect_output(self.log)
        python = sys.version_info[0] * 1000 + sys.version_info[1]
        self._stream.send((FromWorker.HELLO, 0, PROTOCOL_VERSION, str(python), fences))
        while True:
            self._stream.flush()
            for message in self._stream.receive():
                self._handle(message)

    def log(self, level: int, line: str) -> None:
        """One line for the node's log; the transaction on the CPU gets it."""
        current = self._current
        number = 0
        if current is not None:
            number = current.number
            current.log_lines += 1
            if current.log_lines > LOG_LINES_MAX:
                return
            if current.log_lines == LOG_LINES_MAX:
                line = f"more than {LOG_LINES_MAX} lines; the rest is dropped"
        self._stream.send((FromWorker.LOG, number, level, line))

    def _handle(self, message: Message) -> None:
        kind, number = message[0], message[1]
        if kind == ToWorker.START:
            self._start(message)
        elif kind == ToWorker.ANSWER:
            self._resume(number, message[2], None)
        elif kind == ToWorker.REFUSED:
            self._resume(number, None, StateRefused(message[2]))
        elif kind == ToWorker.ABORT:
            waiting = self._waiting.get(number)
            if waiting is not None:
                waiting[1].aborted = True
                self._resume(number, None, SimulationAborted())
        elif kind == ToWorker.LOAD:
            self._load(message)

    def _load(self, message: Message) -> None:
        _, _, version, api, (major, minor), label, modules, sources = message
        try:
            _check_promises(version, api, (major, minor))
            sys.meta_path.insert(0, PackageFinder(label, sources))
            self._contracts = load_package(modules)
        except BaseException as error:  # the package's own code runs here
            self._stream.send((FromWorker.LOAD_FAILED, 0, _to_text(error)))
        else:
            self._stream.send((FromWorker.LOADED, 0))

    def _start(self, message: Message) -> None:
        transaction = Transaction(message[1], self._ask, self._stream.send)
        # A greenlet's stack is a mapping of its own, so used ones are kept. The context is what a
        # transaction could leave behind in one, such as a precision of decimal.
        glet = self._idle.pop() if self._idle else greenlet.greenlet(self._execute_all)
        glet.gr_context = contextvars.Context()
        self._switch(transaction, glet, (transaction, _to_invocation(message)))

    def _resume(self, number: int, answer: object, error: BaseException | None) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is None:
            return  # aborted before the answer came
        self._switch(waiting[1], waiting[0], (answer,), error)

    def _switch(
        self,
        transaction: Transaction,
        glet: greenlet.greenlet,
        arguments: tuple[object, ...],
        error: BaseException | None = None,
    ) -> None:
        """The transaction runs until it waits or ends."""
        board = self._board
        board[0] += 1
        board[1] = transaction.number
        self._current = transaction
        if error is None:
            glet.switch(*arguments)
        else:
            glet.throw(error)
        self._current = None
        board[1] = 0

    def _ask(self, message: Sequence[object]) -> Any:
        """In a transaction's greenlet: send and wait for the answer."""
        transaction = self._current
        if transaction is None or transaction.number != message[1]:
            raise RuntimeError("the ledger can only be asked by the transaction that runs")
        self._stream.send(message)
        self._waiting[transaction.number] = greenlet.getcurrent(), transaction
        return self._hub.switch()

    def _execute_all(self, transaction: Transaction, call: Invocation) -> None:
        """A greenlet: one transaction after the other."""
        glet = greenlet.getcurrent()
        while True:
            self._execute(transaction, call)
            del transaction, call
            self._idle.append(glet)
            transaction, call = self._hub.switch()

    def _execute(self, transaction: Transaction, call: Invocation) -> None:
        """A transaction from its start to its end."""
        contracts = self._contracts
        if contracts is None:
            raise RuntimeError("a transaction before the package is loaded")
        try:
            outcome = contracts.invoke(call, transaction)
            packed = pack(_to_done(transaction.number, outcome))
        except SimulationAborted:
            return
        except BaseException as error:  # whatever a contract may raise ends its transaction only
            packed = pack(
                _to_done(transaction.number, Outcome(_FAULT_STATUS, _to_text(error), b""))
            )
        if not transaction.aborted:
            self._stream.send_packed(packed)
        transaction.aborted = True


def _check_promises(version: int, api: int, python: tuple[int, int]) -> None:
    if version != PROTOCOL_VERSION:
        raise LoadRefused(
            f"the node speaks version {version} with its workers and the contract library "
            f"version {PROTOCOL_VERSION}: install the same release of both"
        )
    if api > API_VERSION:
        raise LoadRefused(
            f"the package needs contract API {api}, this peer offers {API_VERSION}: "
            "update the peer or package the contract for an older API"
        )
    if sys.version_info[:2] < python:
        found = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise LoadRefused(
            f"the package needs Python {python[0]}.{python[1]} or newer, this peer runs {found}"
        )


def _to_invocation(message: Message) -> Invocation:
    _, _, name, channel, tx_id, args, is_init, transient, creator, when, nanos, more = message
    return Invocation(
        name, channel, tx_id, tuple(args), is_init, transient, creator, when, nanos, more
    )


def _to_done(number: int, outcome: Outcome) -> tuple[object, ...]:
    event = outcome.event or ()
    status, message, payload = outcome.status, outcome.message, outcome.payload
    return (FromWorker.DONE, number, status, message, payload, outcome.writes, event)


def _to_text(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    if not isinstance(error, TongbanError | ImportError):
        text = f"{type(error).__name__}: {error}"
    return text.encode("utf-8", "backslashreplace").decode()


class _Stream:
    """Messages to and from the node. Never blocks on writing while the node has something to say,
    so that both may send much at once."""

    def __init__(self, socket: int) -> None:
        self._socket = socket
        self._reader = FrameReader(check=False)
        self._early: list[Message] = []
        self._poll = select.poll()
        self._poll.register(socket, select.POLLIN)
        self._packed: list[bytes] = []
        self._packed_bytes = 0
        self._frames: list[bytes] = []

    def send(self, message: Sequence[object]) -> None:
        """The message goes out with the next flush."""
        self.send_packed(pack(message))

    def send_packed(self, packed: bytes) -> None:
        self._packed.append(packed)
        self._packed_bytes += len(packed)
        if self._packed_bytes > _FRAME_BYTES:
            self._end_frame()

    def flush(self) -> None:
        """Everything sent so far is in the kernel's hands."""
        self._end_frame()
        if not self._frames:
            return
        data = memoryview(b"".join(self._frames))
        self._frames.clear()
        while data:
            try:
                data = data[os.write(self._socket, data) :]
            except BlockingIOError:
                self._wait(select.POLLIN | select.POLLOUT)
                self._read()

    def receive(self) -> list[Message]:
        """The node's next messages. The process ends when the node closes the stream."""
        while not self._early:
            self._wait(select.POLLIN)
            self._read()
        messages, self._early = self._early, []
        return messages

    def _end_frame(self) -> None:
        if self._packed:
            # One message may be as large as a frame, so each large one has a frame of its own.
            last = self._packed[-1]
            if len(last) > _FRAME_BYTES and len(self._packed) > 1:
                self._frames.append(to_frame(self._packed[:-1], len(self._packed) - 1))
                self._frames.append(to_frame((last,), 1))
            else:
                self._frames.append(to_frame(self._packed, len(self._packed)))
            self._packed = []
            self._packed_bytes = 0

    def _wait(self, events: int) -> None:
        self._poll.modify(self._socket, events)
        self._poll.poll()

    def _read(self) -> None:
        try:
            data = os.read(self._socket, _READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            os._exit(0)  # nothing to save, and exit handlers may be a contract's
        self._early += self._reader.feed(data)
