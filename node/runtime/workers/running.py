"""One transaction in a worker, as the node sees it: its requests, its answer, its deadline."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tongban.node.runtime.contract_host import (
    ContractCall,
    ContractEvent,
    ContractResult,
    HistoryPage,
    Response,
    SimulationLost,
    StateCallRefused,
    StateCalls,
    StatePage,
    StateWrite,
    WriteKind,
)
from tongban.protos.errors import MalformedMessage, TongbanError
from tongban.protos.worker_frames import FromWorker, Message, ToWorker

LOG_LINES_MAX: Final = 1_000
"""Lines of one transaction that reach the node's log; a well-behaved worker stops earlier."""

_STATUS_MAX: Final = 2**31 - 1
_FAULT_STATUS: Final = 500

_WRITE_KINDS: Final = {int(kind): kind for kind in WriteKind}


class WorkerLost(Exception):
    """The worker was lost through no fault of this transaction; it may be simulated again."""


class Running:
    """One simulation of one transaction. ``future`` ends with a ContractResult, or with
    ContractFault, WorkerLost, or a fault of the node."""

    __slots__ = (
        "_inner",
        "_send",
        "call",
        "deadline",
        "future",
        "is_asking",
        "log_lines",
        "number",
        "state",
    )

    def __init__(
        self,
        number: int,
        call: ContractCall,
        state: StateCalls,
        deadline: float,
        send: Callable[[Sequence[object]], None],
    ) -> None:
        self.number = number
        self.call = call
        self.state = state
        self.deadline = deadline
        self.future: asyncio.Future[ContractResult] = asyncio.get_running_loop().create_future()
        self.is_asking = False
        """It waits for another chaincode's answer."""

        self.log_lines = 0
        self._send = send
        self._inner: asyncio.Task[None] | None = None

    def to_start(self) -> tuple[object, ...]:
        """The message that starts it."""
        call = self.call
        return (
            ToWorker.START,
            self.number,
            call.chaincode_name,
            call.channel_id,
            call.tx_id,
            call.args,
            call.is_init,
            dict(call.transient),
            call.creator,
            call.timestamp.seconds,
            call.timestamp.nanos,
            dict(call.decorations),
        )

    def handle(self, message: Message) -> None:
        """Serve one request, or take the outcome.

        Raises:
            MalformedMessage: no worker of ours would send this now.
        """
        if self.is_asking:
            raise MalformedMessage("message of a worker", "a request before the last one's answer")
        kind = message[0]
        try:
            if kind == FromWorker.DONE:
                self._conclude(message)
            elif kind == FromWorker.INVOKE:
                self._invoke(message)
            elif kind == FromWorker.CLOSE_QUERY:
                self.state.close_query(message[2])
            else:
                self._send((ToWorker.ANSWER, self.number, _REQUESTS[kind](self, message)))
        except MalformedMessage:
            raise
        except TongbanError as refusal:
            self._send((ToWorker.REFUSED, self.number, str(refusal)))
        except BaseException as fault:  # carried to the caller, whose supervisor decides
            self.fail(fault)

    def fail(self, error: BaseException) -> None:
        """It ends with this error; an inner call is given up."""
        if not self.future.done():
            self.future.set_exception(error)
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.cancel()

    def _conclude(self, message: Message) -> None:
        _, _, status, text, payload, writes, event = message
        if not 0 <= status <= _STATUS_MAX:
            raise MalformedMessage("message of a worker", f"a response with status {status}")
        try:
            self.state.apply_writes(to_writes(writes))
        except StateCallRefused as refusal:
            result = ContractResult(Response(_FAULT_STATUS, str(refusal)))
        else:
            told = ContractEvent(event[0], event[1]) if event else None
            result = ContractResult(Response(status, text, payload), told)
        if not self.future.done():
            self.future.set_result(result)

    def _invoke(self, message: Message) -> None:
        _, _, name, channel, args, writes = message
        self.state.apply_writes(to_writes(writes))
        self.is_asking = True
        self._inner = asyncio.get_running_loop().create_task(self._call(name, channel, args))

    async def _call(self, name: str, channel: str, args: Sequence[bytes]) -> None:
        try:
            response = await self.state.invoke_chaincode(name, channel, args)
        except TongbanError as refusal:
            answer: tuple[object, ...] = (ToWorker.REFUSED, self.number, str(refusal))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # a fault is carried to the caller's supervisor
            self._inner = None
            self.fail(WorkerLost() if isinstance(error, SimulationLost) else error)
            return
        else:
            answer = (ToWorker.ANSWER, self.number, response)
        self._inner = None
        self.is_asking = False
        if not self.future.done():
            self._send(answer)


def to_writes(writes: Sequence[list[Any]]) -> list[StateWrite]:
    """Writes in the form in which the simulation takes them. Shapes are checked already.

    Raises:
        MalformedMessage: a kind that does not exist.
    """
    try:
        return [
            StateWrite(_WRITE_KINDS[kind], key, value, collection, name)
            for kind, key, value, collection, name in writes
        ]
    except KeyError as error:
        raise MalformedMessage("message of a worker", f"unknown kind of write {error}") from None


def _get_state(running: Running, message: Message) -> bytes:
    return running.state.get_state(message[2], message[3]) or b""


def _get_states(running: Running, message: Message) -> list[bytes]:
    return [value or b"" for value in running.state.get_states(message[2], message[3])]


def _get_metadata(running: Running, message: Message) -> dict[str, bytes]:
    return dict(running.state.get_metadata(message[2], message[3]))


def _get_private_data_hash(running: Running, message: Message) -> bytes:
    return running.state.get_private_data_hash(message[2], message[3]) or b""


def _range(running: Running, message: Message) -> tuple[object, ...]:
    _, _, start, end, page_size, bookmark, collection = message
    page = running.state.range(start, end, _to_size(page_size), bookmark, collection)
    return _to_answer(page)


def _query(running: Running, message: Message) -> tuple[object, ...]:
    _, _, query, page_size, bookmark, collection = message
    return _to_answer(running.state.query(query, _to_size(page_size), bookmark, collection))


def _next_state_page(running: Running, message: Message) -> tuple[object, ...]:
    return _to_answer(running.state.next_state_page(message[2]))


def _history(running: Running, message: Message) -> tuple[object, ...]:
    return _to_history(running.state.history(message[2]))


def _next_history_page(running: Running, message: Message) -> tuple[object, ...]:
    return _to_history(running.state.next_history_page(message[2]))


def _get_proposal(running: Running, message: Message) -> bytes:
    del message
    return running.call.signed_proposal


_REQUESTS: Final[Mapping[int, Callable[[Running, Message], object]]] = {
    FromWorker.GET_STATE: _get_state,
    FromWorker.GET_STATES: _get_states,
    FromWorker.GET_METADATA: _get_metadata,
    FromWorker.GET_PRIVATE_DATA_HASH: _get_private_data_hash,
    FromWorker.RANGE: _range,
    FromWorker.QUERY: _query,
    FromWorker.NEXT_STATE_PAGE: _next_state_page,
    FromWorker.HISTORY: _history,
    FromWorker.NEXT_HISTORY_PAGE: _next_history_page,
    FromWorker.GET_PROPOSAL: _get_proposal,
}


def _to_size(page_size: int) -> int:
    """Fabric's page size is an int32; ours must not reach a limit that it cannot."""
    if not 0 <= page_size <= _STATUS_MAX:
        raise TongbanError(f"page size {page_size} is not between 0 and {_STATUS_MAX}")
    return page_size


def _to_answer(page: StatePage) -> tuple[object, ...]:
    rows = [(row.key, row.value) for row in page.rows]
    return rows, page.query_id, page.has_more, page.fetched_count, page.bookmark


def _to_history(page: HistoryPage) -> tuple[object, ...]:
    rows = [
        (row.tx_id, row.value, row.timestamp.seconds, row.timestamp.nanos, row.is_delete)
        for row in page.rows
    ]
    return rows, page.query_id, page.has_more
