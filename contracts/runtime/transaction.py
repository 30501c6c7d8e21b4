"""One transaction in the worker: its greenlet waits here while the node answers."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from tongban.contracts.runtime.bridge import (
    Modification,
    Page,
    Response,
    Row,
    SimulationAborted,
    WriteBuffer,
)
from tongban.protos.worker_frames import FromWorker

LOG_LINES_MAX: Final = 500
"""Log lines of one transaction; the rest is dropped, and one line says so."""

Ask = Callable[[Sequence[object]], Any]
"""Sends a message and answers what the node answers, in the form that its kind has."""

Tell = Callable[[Sequence[object]], None]
"""Sends a message that has no answer."""


class Transaction:
    """The state bridge of one transaction (``tongban.contracts.runtime.bridge.StateBridge``)."""

    __slots__ = ("_ask", "_proposal", "_tell", "aborted", "log_lines", "number", "writes")

    def __init__(self, number: int, ask: Ask, tell: Tell) -> None:
        self.number = number
        self.writes = WriteBuffer()
        self.aborted = False
        self.log_lines = 0
        self._ask = ask
        self._tell = tell
        self._proposal: bytes | None = None

    def _request(self, kind: FromWorker, *fields: object) -> Any:
        if self.aborted:
            raise SimulationAborted
        return self._ask((kind, self.number, *fields))

    def get_state(self, key: str, collection: str = "") -> bytes:
        value: bytes = self._request(FromWorker.GET_STATE, key, collection)
        return value

    def get_state_multiple(self, keys: Sequence[str], collection: str = "") -> list[bytes]:
        values: list[bytes] = self._request(FromWorker.GET_STATES, list(keys), collection)
        return values

    def get_metadata(self, key: str, collection: str = "") -> dict[str, bytes]:
        entries: dict[str, bytes] = self._request(FromWorker.GET_METADATA, key, collection)
        return entries

    def get_private_data_hash(self, key: str, collection: str) -> bytes:
        value: bytes = self._request(FromWorker.GET_PRIVATE_DATA_HASH, key, collection)
        return value

    def scan(self, start: str, end: str, collection: str = "") -> Iterator[Row]:
        return self._rows(self._request(FromWorker.RANGE, start, end, 0, "", collection))

    def range(
        self, start: str, end: str, page_size: int, bookmark: str = "", collection: str = ""
    ) -> Page:
        answer = self._request(FromWorker.RANGE, start, end, page_size, bookmark, collection)
        return self._page(answer)

    def query(self, query: str, collection: str = "") -> Iterator[Row]:
        return self._rows(self._request(FromWorker.QUERY, query, 0, "", collection))

    def query_page(
        self, query: str, page_size: int, bookmark: str = "", collection: str = ""
    ) -> Page:
        return self._page(self._request(FromWorker.QUERY, query, page_size, bookmark, collection))

    def history(self, key: str) -> Iterator[Modification]:
        rows, query_id, more = self._request(FromWorker.HISTORY, key)
        return self._modifications(rows, query_id, more)

    def invoke_chaincode(self, name: str, args: Sequence[bytes], channel: str = "") -> Response:
        # What is sent now is out of reach of an exception that the contract raises later; such a
        # transaction answers with an error, and its writes with it are of no effect.
        writes = self.writes.take()
        answer = self._request(FromWorker.INVOKE, name, channel, list(args), writes)
        return Response(*answer)

    def get_signed_proposal(self) -> bytes:
        if self._proposal is None:
            self._proposal = self._request(FromWorker.GET_PROPOSAL)
        return self._proposal

    def _rows(self, answer: tuple[list[tuple[str, bytes]], str, bool, int, str]) -> Iterator[Row]:
        rows, query_id, more, _, _ = answer
        return self._more_rows(rows, query_id, more)

    def _more_rows(self, rows: list[tuple[str, bytes]], query_id: str, more: bool) -> Iterator[Row]:
        try:
            while True:
                for key, value in rows:
                    yield Row(key, value)
                if not more:
                    return
                more = False
                rows, query_id, more, _, _ = self._request(FromWorker.NEXT_STATE_PAGE, query_id)
        finally:
            self._close(query_id, more)

    def _modifications(
        self, rows: list[tuple[str, bytes, int, int, bool]], query_id: str, more: bool
    ) -> Iterator[Modification]:
        try:
            while True:
                for row in rows:
                    yield Modification(*row)
                if not more:
                    return
                more = False
                rows, query_id, more = self._request(FromWorker.NEXT_HISTORY_PAGE, query_id)
        finally:
            self._close(query_id, more)

    def _close(self, query_id: str, more: bool) -> None:
        # Also runs when the collector finds an abandoned loop, in whatever greenlet that is, so it
        # must not wait for an answer.
        if more and not self.aborted:
            self._tell((FromWorker.CLOSE_QUERY, self.number, query_id))

    @staticmethod
    def _page(answer: tuple[list[tuple[str, bytes]], str, bool, int, str]) -> Page:
        rows, _, _, fetched, bookmark = answer
        return Page([Row(key, value) for key, value in rows], bookmark, fetched)
