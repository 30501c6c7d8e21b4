"""A disk that fails at the n-th change: full while writing, or unable to sync."""

from pathlib import Path

from tongban.node.core.faults import StorageFailure
from tongban.node.storage.files import AppendFile, RealAppendFile, RealFiles


class FailingFiles(RealFiles):
    """``changes_left`` counts writes and syncs; the one that finds it at 0 fails, and all after it.
    A failing write leaves half of its bytes, as a full disk does."""

    def __init__(self) -> None:
        self.changes_left: int | None = None

    def open_append(self, path: Path) -> AppendFile:
        return _FailingAppendFile(path, self)

    def fails(self) -> bool:
        if self.changes_left is None:
            return False
        self.changes_left -= 1
        return self.changes_left < 0


class _FailingAppendFile(RealAppendFile):
    def __init__(self, path: Path, disk: FailingFiles) -> None:
        super().__init__(path)
        self._disk = disk

    def write(self, data: bytes) -> None:
        if self._disk.fails():
            super().write(data[: len(data) // 2])
            raise StorageFailure(str(self._path), "write", "No space left on device")
        super().write(data)

    def sync(self) -> None:
        if self._disk.fails():
            raise StorageFailure(str(self._path), "fsync", "Input/output error")
        super().sync()
