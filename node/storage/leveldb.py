"""The key-value contract on LevelDB.

The only module that knows the binding: plyvel, or plyvel-next where plyvel has no wheels.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tongban.node.core.errors import DirectoryInUse
from tongban.node.core.faults import CorruptLedgerError, StorageFailure
from tongban.node.storage.files import RealFiles
from tongban.node.storage.kvstore import Change, prefix_start

if sys.version_info >= (3, 13):
    import plyvel_next as plyvel  # type: ignore[import-untyped,import-not-found,unused-ignore]
else:
    import plyvel  # type: ignore[import-untyped,import-not-found,unused-ignore]

REMEDY = (
    "Stop the node, move this directory away and start again: it is made anew from the blocks, but "
    "for private values, which only a backup has. If the blocks are damaged too, restore a backup"
)


@dataclass(frozen=True, slots=True)
class LevelDBOptions:
    """Chosen so that a store of a million keys stays far below 100 MiB of memory."""

    write_buffer_bytes: int = 8 * 1024 * 1024
    """Held in memory before a sorted file is written; twice that while one is being written. Also
    the most that an opening store reads back from its log."""
    block_cache_bytes: int = 16 * 1024 * 1024
    open_files_max: int = 74
    """LevelDB keeps ten for itself; every other one is a sorted file, mapped into memory."""
    file_bytes_max: int = 2 * 1024 * 1024
    bloom_bits: int = 10
    """Bits a key; an absent key, such as a new transaction id, then costs no read in 99 of 100
    cases."""


NEW_FILES_CHECK_BYTES = 256 * 1024
"""Bytes written between two looks for new files; LevelDB begins one every few megabytes."""

DEFAULT_OPTIONS = LevelDBOptions()
SMALL_OPTIONS = LevelDBOptions(
    write_buffer_bytes=1024 * 1024, block_cache_bytes=1024 * 1024, open_files_max=26
)
"""For stores that are usually nearly empty, such as the transient store."""


class LevelDBSnapshot:
    __slots__ = ("_path", "_snapshot")

    def __init__(self, path: Path, snapshot: Any) -> None:  # the binding has no types
        self._path = path
        self._snapshot = snapshot

    def get(self, key: bytes) -> bytes | None:
        # As _get, which would be one call more for every read of every transaction.
        try:
            value: bytes | None = self._snapshot.get(key, verify_checksums=True)
        except plyvel.Error as error:
            raise _fault(self._path, "read", error) from error
        return value

    def iterate(
        self, start: bytes, stop: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        return _iterate(self._snapshot, self._path, start, stop, reverse)

    def close(self) -> None:
        self._snapshot.close()


def _get(source: Any, path: Path, key: bytes) -> bytes | None:
    try:
        value: bytes | None = source.get(key, verify_checksums=True)
    except plyvel.Error as error:
        raise _fault(path, "read", error) from error
    return value


def _iterate(
    source: Any, path: Path, start: bytes, stop: bytes, reverse: bool
) -> Iterator[tuple[bytes, bytes]]:
    # Made at once and not at the first step, so that it shows the moment of the call.
    last = _get(source, path, start) if reverse and start else None
    found = source.iterator(
        start=start or None,
        stop=stop or None,
        include_start=not (reverse and start),
        reverse=reverse,
        verify_checksums=True,
    )
    # The binding, going backwards, misses the first key of the range if it is the only one.
    missed = [] if last is None or (stop and stop <= start) else [(start, last)]
    return _guarded(found, missed, path)


def _guarded(
    found: Iterator[tuple[bytes, bytes]], missed: list[tuple[bytes, bytes]], path: Path
) -> Iterator[tuple[bytes, bytes]]:
    try:
        yield from found
    except plyvel.Error as error:
        raise _fault(path, "read", error) from error
    yield from missed


def _fault(path: Path, operation: str, error: Exception) -> Exception:
    if isinstance(error, plyvel.CorruptionError):
        return CorruptLedgerError(str(path), str(error), REMEDY)
    return StorageFailure(str(path), operation, str(error))


class LevelDBStore:
    """One directory, readable by its owner only: there may be personal values in it."""

    def __init__(self, path: Path, options: LevelDBOptions = DEFAULT_OPTIONS) -> None:
        self._path = path
        self._known_files: frozenset[str] = frozenset()
        self._unseen_bytes = 0
        if not path.is_dir():
            path.mkdir(mode=0o700, parents=True)
            RealFiles().sync_dir(path.parent)
        path.chmod(0o700)
        self.was_repaired = False
        try:
            self._db = self._open(options, paranoid=True)
        except plyvel.CorruptionError:
            # A power loss may leave a torn record at the end of the log, which only the lenient
            # mode drops. The ledger then checks that nothing before it is missing.
            self.was_repaired = True
            self._db = self._open_leniently(options)
        self._hide_new_files()

    def get(self, key: bytes) -> bytes | None:
        return _get(self._db, self._path, key)

    def iterate(
        self, start: bytes, stop: bytes, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        return _iterate(self._db, self._path, start, stop, reverse)

    def write(self, batch: Sequence[Change], sync: bool) -> None:
        changes = self._db.write_batch(sync=sync)
        put, delete = changes.put, changes.delete
        size = 0
        for key, value in batch:
            if value is None:
                delete(key)
            else:
                put(key, value)
                size += len(key) + len(value)
        try:
            changes.write()
        except plyvel.Error as error:
            raise _fault(self._path, "write", error) from error
        self._unseen_bytes += size
        if self._unseen_bytes >= NEW_FILES_CHECK_BYTES:
            self._hide_new_files()

    def snapshot(self) -> LevelDBSnapshot:
        return LevelDBSnapshot(self._path, self._db.snapshot())

    def erase_deleted(self, start: bytes, stop: bytes) -> None:
        # The first compaction may put the log's content, old values included, straight into the
        # deepest level and leave it there. Touching both ends of the range makes the second one
        # merge everything between them.
        self._db.compact_range(start=start or None, stop=stop or None)
        last = prefix_start(stop) + b"\xff" * 64
        self.write([(key, self.get(key)) for key in (start or b"\x00", last)], sync=True)
        self._db.compact_range(start=start or None, stop=stop or None)
        self._hide_new_files()

    def close(self) -> None:
        self._db.close()
        self._hide_new_files()

    def _open_leniently(self, options: LevelDBOptions) -> Any:
        try:
            return self._open(options, paranoid=False)
        except plyvel.CorruptionError as error:
            raise CorruptLedgerError(str(self._path), str(error), REMEDY) from error

    def _open(self, options: LevelDBOptions, paranoid: bool) -> Any:
        try:
            return plyvel.DB(
                str(self._path),
                create_if_missing=True,
                paranoid_checks=paranoid,
                write_buffer_size=options.write_buffer_bytes,
                max_open_files=options.open_files_max,
                lru_cache_size=options.block_cache_bytes,
                max_file_size=options.file_bytes_max,
                bloom_filter_bits=options.bloom_bits,
            )
        except plyvel.IOError as error:
            if "LOCK: " in str(error):
                raise DirectoryInUse(str(self._path)) from None
            raise StorageFailure(str(self._path), "open", str(error)) from error

    def _hide_new_files(self) -> None:
        """LevelDB makes files as the umask says; the directory's mode covers them until now."""
        self._unseen_bytes = 0
        names = frozenset(entry.name for entry in self._path.iterdir())
        for name in names - self._known_files:
            try:
                (self._path / name).chmod(0o600)
            except FileNotFoundError:
                continue  # a compaction removed it meanwhile
        self._known_files = names
