"""The few things a store does with files, as a contract, and the real ones.

Every byte that must survive goes through it, so that a twin can record each write and each sync and
rebuild what a power loss would have left. Rules for callers:

- what was written is durable after ``sync`` of the file and, for a new or renamed file, after
  ``sync_dir`` of its directory too; before that, any part of it may be lost;
- a failed ``sync`` is final: the kernel may have dropped the pages, so asking again proves nothing.

Every refusal of the disk is a :class:`StorageFailure`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tongban.node.core.faults import StorageFailure

FILE_MODE = 0o644
DIRECTORY_MODE = 0o755


class AppendFile(Protocol):
    """A file open for appending, by one writer."""

    def size(self) -> int: ...

    def write(self, data: bytes) -> None:
        """All of ``data`` is at the end of the file afterwards, not yet durable."""
        ...

    def sync(self) -> None:
        """Everything written is durable afterwards."""
        ...

    def close(self) -> None: ...


class ReadFile(Protocol):
    """A file open for reading at any place, from any thread. Closed when nobody holds it."""

    def size(self) -> int: ...

    def read_at(self, offset: int, size: int) -> bytes:
        """The bytes there; fewer if the file ends before."""
        ...


class Files(Protocol):
    def open_append(self, path: Path) -> AppendFile:
        """Creates the file if it does not exist."""
        ...

    def open_read(self, path: Path) -> ReadFile: ...

    def exists(self, path: Path) -> bool: ...

    def list(self, directory: Path) -> list[str]:
        """Names in the directory, sorted; empty if there is no such directory."""
        ...

    def truncate(self, path: Path, size: int) -> None:
        """The file ends at ``size``, durably."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Replaces ``target``. Durable after ``sync_dir`` of the directory."""
        ...

    def make_dirs(self, path: Path, mode: int = DIRECTORY_MODE) -> None: ...

    def sync_dir(self, path: Path) -> None: ...


@contextmanager
def _refusals(path: Path, operation: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailure(str(path), operation, error.strerror or str(error)) from error


class RealAppendFile:
    __slots__ = ("_fd", "_path", "_size")

    def __init__(self, path: Path) -> None:
        self._path = path
        with _refusals(path, "open"):
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, FILE_MODE)
            self._size = os.fstat(self._fd).st_size

    def size(self) -> int:
        return self._size

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        with _refusals(self._path, "write"):
            while view:
                count = os.write(self._fd, view)
                self._size += count
                view = view[count:]

    def sync(self) -> None:
        with _refusals(self._path, "fsync"):
            os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


class RealReadFile:
    __slots__ = ("_fd", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        with _refusals(path, "open"):
            self._fd = os.open(path, os.O_RDONLY)

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def read_at(self, offset: int, size: int) -> bytes:
        with _refusals(self._path, "read"):
            data = os.pread(self._fd, size, offset)
            while len(data) < size:
                more = os.pread(self._fd, size - len(data), offset + len(data))
                if not more:
                    break
                data += more
            return data

    def __del__(self) -> None:
        fd = getattr(self, "_fd", None)
        if fd is not None:
            os.close(fd)


class RealFiles:
    """The file system of this machine."""

    def open_append(self, path: Path) -> AppendFile:
        return RealAppendFile(path)

    def open_read(self, path: Path) -> ReadFile:
        return RealReadFile(path)

    def exists(self, path: Path) -> bool:
        return path.exists()

    def list(self, directory: Path) -> list[str]:
        if not directory.is_dir():
            return []
        with _refusals(directory, "list"):
            return sorted(entry.name for entry in directory.iterdir())

    def truncate(self, path: Path, size: int) -> None:
        with _refusals(path, "truncate"):
            fd = os.open(path, os.O_WRONLY)
            try:
                os.ftruncate(fd, size)
                os.fsync(fd)
            finally:
                os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        with _refusals(source, "rename"):
            source.rename(target)

    def make_dirs(self, path: Path, mode: int = DIRECTORY_MODE) -> None:
        with _refusals(path, "mkdir"):
            if not path.is_dir():
                path.mkdir(mode=mode, parents=True)

    def sync_dir(self, path: Path) -> None:
        with _refusals(path, "fsync"):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


def write_whole(files: Files, path: Path, data: bytes) -> None:
    """The file holds ``data``, durably; a crash leaves the old content or the new, never a part."""
    draft = path.with_name(path.name + ".new")
    if files.exists(draft):
        files.truncate(draft, 0)
    file = files.open_append(draft)
    try:
        file.write(data)
        file.sync()
    finally:
        file.close()
    files.rename(draft, path)
    files.sync_dir(path.parent)


def read_whole(files: Files, path: Path) -> bytes:
    file = files.open_read(path)
    return file.read_at(0, file.size())
