"""The segment files of one ledger: append, read, and the scan that starting is.

It knows where the files end, not where each block is: that is in the ledger's index, which points
here. One thread appends; any thread reads.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tongban.node.core.faults import CorruptLedgerError
from tongban.node.storage.files import AppendFile, Files, ReadFile
from tongban.node.storage.layout import Location
from tongban.node.storage.segments import (
    RECORD_HEADER_BYTES,
    REMEDY,
    SALT_BYTES,
    SEGMENT_BYTES_MAX,
    SEGMENT_HEADER_BYTES,
    encode_record_header,
    encode_segment_header,
    holds_a_record,
    is_payload_intact,
    parse_record,
    parse_record_header,
    parse_segment_header,
    segment_name,
)

OPEN_SEGMENTS_MAX = 32
"""Segment files held open for reading."""


class Position(NamedTuple):
    """A place between records: segment number and offset in bytes."""

    segment: int
    offset: int


START = Position(0, SEGMENT_HEADER_BYTES)


class StoredBlock(NamedTuple):
    number: int
    location: Location
    payload: bytes


class _Segment(NamedTuple):
    file: ReadFile
    salt: bytes


class BlockStore:
    """Call :meth:`recover` and exhaust it before the first :meth:`append`."""

    def __init__(
        self, files: Files, directory: Path, segment_bytes_max: int = SEGMENT_BYTES_MAX
    ) -> None:
        self._files = files
        self._directory = directory
        self._segment_bytes_max = segment_bytes_max
        self._lock = threading.Lock()
        self._open: OrderedDict[int, _Segment] = OrderedDict()
        self._tail: AppendFile | None = None
        self._tail_salt = b""
        self._tail_segment = 0

    @property
    def end(self) -> Position:
        """Behind the last record."""
        size = SEGMENT_HEADER_BYTES if self._tail is None else self._tail.size()
        return Position(self._tail_segment, size)

    def recover(self, start: Position, number: int) -> Iterator[StoredBlock]:
        """The records from ``start`` on, the first of which must be of block ``number``.

        A torn record at the very end is cut off. Afterwards the store is ready to append.

        Raises:
            CorruptLedgerError: records are missing, damaged or out of order.
        """
        yield from self._scan_all(start, number, cuts=True)
        self._continue(max(self._segment_count() - 1, 0))

    def scan(self) -> Iterator[StoredBlock]:
        """All blocks from the first on, changing nothing; a torn record at the end is left out.

        Raises:
            CorruptLedgerError: records are missing, damaged or out of order.
        """
        return self._scan_all(START, 0, cuts=False)

    def append(self, number: int, payload: bytes) -> Location:
        """The block is durable afterwards.

        Raises:
            StorageFailure: the disk refused. The store must not be appended to again; opening it
                anew cuts what is half written.
        """
        if self._tail is None:
            self._begin(self._tail_segment)
        elif self._tail.size() >= self._segment_bytes_max:
            self._tail.close()
            self._begin(self._tail_segment + 1)
        assert self._tail is not None
        offset = self._tail.size()
        self._tail.write(encode_record_header(number, payload, self._tail_salt))
        self._tail.write(payload)
        self._tail.sync()
        return Location(self._tail_segment, offset, RECORD_HEADER_BYTES + len(payload))

    def read(self, number: int, location: Location) -> bytes:
        """The block's bytes, checked.

        Raises:
            CorruptLedgerError: what is there is not this block.
        """
        segment = self._segment(location.segment)
        data = segment.file.read_at(location.offset, location.size)
        path = str(self._path(location.segment))
        return parse_record(data, segment.salt, number, location, path)

    def close(self) -> None:
        if self._tail is not None:
            self._tail.close()
            self._tail = None
        with self._lock:
            self._open.clear()

    def _path(self, segment: int) -> Path:
        return self._directory / segment_name(segment)

    def _segment_count(self) -> int:
        names = [name for name in self._files.list(self._directory) if name.endswith(".seg")]
        for segment, name in enumerate(names):
            if name != segment_name(segment):
                path = str(self._path(segment))
                raise CorruptLedgerError(path, f"missing, but {name} is there", REMEDY)
        return len(names)

    def _scan_all(self, start: Position, number: int, cuts: bool) -> Iterator[StoredBlock]:
        count = self._segment_count()
        if count <= start.segment and start != START:
            path = str(self._path(start.segment))
            raise CorruptLedgerError(path, "the segment file is missing", REMEDY)
        position = start
        while position.segment < count:
            is_last = position.segment == count - 1
            end = position.offset
            for block in self._scan(position, number, is_last):
                yield block
                number = block.number + 1
                end = block.location.offset + block.location.size
            if cuts and is_last:
                self._cut(position.segment, end)
            position = Position(position.segment + 1, SEGMENT_HEADER_BYTES)

    def _cut(self, segment: int, end: int) -> None:
        """The segment ends at ``end``, where its last intact record does."""
        path = self._path(segment)
        file = self._files.open_read(path)
        header = file.read_at(0, SEGMENT_HEADER_BYTES)
        if parse_segment_header(header, segment, str(path)) is None:
            end = 0  # begun when the power went, no record in it
        if file.size() > end:
            self._files.truncate(path, end)

    def _scan(self, start: Position, number: int, is_last: bool) -> Iterator[StoredBlock]:
        """Ends before a torn record, if this is the last segment."""
        path = self._path(start.segment)
        file = self._files.open_read(path)
        size = file.size()
        header = file.read_at(0, SEGMENT_HEADER_BYTES)
        salt = parse_segment_header(header, start.segment, str(path))
        if salt is None:
            if is_last and start.offset == SEGMENT_HEADER_BYTES and size <= SEGMENT_HEADER_BYTES:
                return
            raise CorruptLedgerError(str(path), "the segment header is damaged", REMEDY, offset=0)
        if size < start.offset:
            reason = (
                f"the file ends at byte {size}, but blocks up to byte {start.offset} are in use"
            )
            raise CorruptLedgerError(str(path), reason, REMEDY, offset=size, block_num=number - 1)
        offset = start.offset
        while offset < size:
            header = file.read_at(offset, RECORD_HEADER_BYTES)
            record = parse_record_header(header, salt)
            payload = file.read_at(offset + RECORD_HEADER_BYTES, record.size) if record else b""
            if record is None or not is_payload_intact(record, payload, salt):
                # The end of the record if its header is intact; else any record behind it tells.
                end = offset + RECORD_HEADER_BYTES + record.size if record else size
                rest = b"" if record else file.read_at(offset + 1, size - offset - 1)
                if is_last and end >= size and not holds_a_record(rest, salt):
                    return
                reason = "the record is damaged, and it is not the last one"
                raise CorruptLedgerError(str(path), reason, REMEDY, offset=offset, block_num=number)
            if record.number != number:
                reason = f"block {record.number} where block {number} belongs"
                raise CorruptLedgerError(str(path), reason, REMEDY, offset=offset, block_num=number)
            whole = RECORD_HEADER_BYTES + record.size
            yield StoredBlock(number, Location(start.segment, offset, whole), payload)
            number += 1
            offset += whole

    def _continue(self, segment: int) -> None:
        """Appending goes on in this segment, whose records are all intact."""
        self._tail_segment = segment
        path = self._path(segment)
        if not self._files.exists(path):
            return
        tail = self._files.open_append(path)
        if tail.size() < SEGMENT_HEADER_BYTES:
            tail.close()
            return
        self._tail = tail
        self._tail_salt = self._segment(segment).salt

    def _begin(self, segment: int) -> None:
        self._tail_segment = segment
        self._tail_salt = os.urandom(SALT_BYTES)
        self._tail = self._files.open_append(self._path(segment))
        self._tail.write(encode_segment_header(segment, self._tail_salt))
        self._tail.sync()
        self._files.sync_dir(self._directory)

    def _segment(self, segment: int) -> _Segment:
        with self._lock:
            found = self._open.get(segment)
            if found is not None:
                self._open.move_to_end(segment)
                return found
        path = self._path(segment)
        file = self._files.open_read(path)
        salt = parse_segment_header(file.read_at(0, SEGMENT_HEADER_BYTES), segment, str(path))
        if salt is None:
            raise CorruptLedgerError(str(path), "the segment header is damaged", REMEDY, offset=0)
        found = _Segment(file, salt)
        with self._lock:
            self._open[segment] = found
            # Dropped, not closed: another thread may be reading it. The last reader closes it.
            while len(self._open) > OPEN_SEGMENTS_MAX:
                self._open.popitem(last=False)
        return found
