"""Scans of a simulation, and how they are handed out in pages.

How far a scan was read is part of the read set, so the pages have to be filled exactly as Fabric's
peer fills them: a page holds up to 100 rows and the row behind it has been read before the page is
handed out (fabric core/chaincode/query_response_generator.go).
"""

from collections.abc import Iterator
from typing import Generic, NamedTuple, Protocol, TypeVar

from tongban.node.core.range_summary import RangeSummary
from tongban.node.core.simulation.rwset_builder import RangeQuery
from tongban.node.core.state import VersionedValue

TOTAL_QUERY_LIMIT = 100_000
"""Rows that one query hands out; a scan stops there without having been exhausted (fabric
sampleconfig/core.yaml, ledger.state.totalQueryLimit)."""

BATCH_ROWS_MAX = 100
"""Rows in one page of a query without a page size (fabric core/chaincode/chaincode_support.go)."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Row(NamedTuple):
    """A key and its value."""

    key: str
    value: bytes


class Scan(Protocol[T_co]):
    """A query that is being read, row by row."""

    def next(self) -> T_co | None:
        """The next row; None when there are no more."""
        ...

    def bookmark(self) -> str:
        """Where a later query would go on; empty at the end."""
        ...


class Batch(NamedTuple, Generic[T]):
    """The rows of one page."""

    rows: tuple[T, ...]
    has_more: bool
    total_count: int
    """Rows handed out by this query so far."""


class StateScan:
    """A scan of public state that remembers what it read."""

    def __init__(
        self, rows: Iterator[tuple[bytes, VersionedValue]], start: str, end: str, row_limit: int
    ) -> None:
        """A ``row_limit`` of 0 or less means no limit."""
        self._rows = rows
        self._start = start
        self._end = end
        self._row_limit = row_limit
        self._row_count = 0
        self._reads = RangeSummary()
        self._last_key = ""
        self._exhausted = False

    def next(self) -> Row | None:
        found = None
        if self._row_limit <= 0 or self._row_count < self._row_limit:
            found = next(self._rows, None)
        if found is None:
            self._exhausted = True
            return None
        key = found[0].decode()
        self._row_count += 1
        self._reads.add(found[0], found[1].version)
        self._last_key = key
        self._exhausted = False
        return Row(key, found[1].value)

    def bookmark(self) -> str:
        found = next(self._rows, None)
        return "" if found is None else found[0].decode()

    def finish(self) -> RangeQuery:
        """What goes into the read set. Call it once, at the end of the simulation."""
        summary = self._reads.finish()
        end = self._end if self._exhausted else self._last_key
        return RangeQuery(self._start, end, self._exhausted, self._reads.pending, summary)


class PrivateScan:
    """A scan of private values; nothing of it is recorded."""

    def __init__(self, rows: Iterator[tuple[bytes, VersionedValue]]) -> None:
        self._rows = rows

    def next(self) -> Row | None:
        found = next(self._rows, None)
        return None if found is None else Row(found[0].decode(), found[1].value)

    def bookmark(self) -> str:
        return ""


class HistoryScan(Generic[T]):
    """A key's history, newest first; nothing of it is recorded."""

    def __init__(self, rows: Iterator[T]) -> None:
        self._rows = rows

    def next(self) -> T | None:
        return next(self._rows, None)

    def bookmark(self) -> str:
        return ""


class Pager(Generic[T]):
    """Cuts a scan into pages."""

    def __init__(self, scan: Scan[T], *, paginated: bool, total_limit: int) -> None:
        self._scan = scan
        self._paginated = paginated
        self._total_limit = total_limit
        self._total_count = 0
        self._pending: list[T] = []

    def next_batch(self) -> Batch[T]:
        """The next page. After one that has no more, the query is over."""
        while self._total_count < self._total_limit:
            row = self._scan.next()
            if row is None:
                break
            full = not self._paginated and len(self._pending) == BATCH_ROWS_MAX
            batch = tuple(self._pending) if full else ()
            if full:
                self._pending = []
            self._pending.append(row)
            self._total_count += 1
            if full:
                return Batch(batch, True, self._total_count)
        batch = tuple(self._pending)
        self._pending = []
        return Batch(batch, False, self._total_count)

    def bookmark(self) -> str:
        return self._scan.bookmark()
