"""Files that remember every write and sync, so that any power loss can be replayed.

The live view is a real directory. The journal holds what changed it, in order. :func:`rebuild`
makes the directory that a machine would find if the power had gone after some entry: what was
synced is there; of what was not, a :class:`Loss` says what is left. Names of files and directories
count as synced only after a sync of the directory that they are in.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tongban.node.storage.files import DIRECTORY_MODE, AppendFile, ReadFile, RealFiles


@dataclass(frozen=True, slots=True)
class Entry:
    kind: str
    """create, write, sync, truncate, rename, mkdir or sync_dir"""
    path: str
    """Relative to the directory that is recorded."""
    data: bytes = b""
    size: int = 0
    target: str = ""


class RecordingAppendFile:
    def __init__(self, files: "RecordingFiles", path: Path, real: AppendFile) -> None:
        self._files = files
        self._path = path
        self._real = real

    def size(self) -> int:
        return self._real.size()

    def write(self, data: bytes) -> None:
        self._real.write(data)
        self._files.record("write", self._path, data=bytes(data))

    def sync(self) -> None:
        self._files.record("sync", self._path)

    def close(self) -> None:
        self._real.close()


class RecordingFiles:
    """A file system below ``root`` with a journal. Nothing is really synced: replays decide."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.journal: list[Entry] = []
        self._real = RealFiles()

    def record(
        self, kind: str, path: Path, data: bytes = b"", size: int = 0, target: str = ""
    ) -> None:
        name = str(path.relative_to(self.root))
        self.journal.append(Entry(kind, name, data, size, target))

    def open_append(self, path: Path) -> AppendFile:
        if not path.exists():
            self.record("create", path)
        return RecordingAppendFile(self, path, self._real.open_append(path))

    def open_read(self, path: Path) -> ReadFile:
        return self._real.open_read(path)

    def exists(self, path: Path) -> bool:
        return path.exists()

    def list(self, directory: Path) -> list[str]:
        return self._real.list(directory)

    def truncate(self, path: Path, size: int) -> None:
        self._real.truncate(path, size)
        self.record("truncate", path, size=size)

    def rename(self, source: Path, target: Path) -> None:
        self._real.rename(source, target)
        self.record("rename", source, target=str(target.relative_to(self.root)))

    def make_dirs(self, path: Path, mode: int = DIRECTORY_MODE) -> None:
        if not path.exists():
            self._real.make_dirs(path, mode)
            self.record("mkdir", path)

    def sync_dir(self, path: Path) -> None:
        self.record("sync_dir", path)


@dataclass(frozen=True, slots=True)
class Loss:
    """What a power loss leaves of what was not synced."""

    name: str
    tail: Callable[[bytes], bytes]
    """The unsynced end of a file to what is found of it."""
    keeps_names: bool
    """Whether new and renamed files are found before their directory was synced."""


LOSSES = (
    Loss("all of it is lost", lambda tail: b"", False),
    Loss("names survive, data does not", lambda tail: b"", True),
    Loss("all of it survives", lambda tail: tail, True),
    Loss("half of the tail survives", lambda tail: tail[: len(tail) // 2], True),
    Loss("one byte is missing", lambda tail: tail[:-1], True),
    Loss("the size survives, the data does not", lambda tail: bytes(len(tail)), True),
    Loss(
        "the second half survives, the first does not",
        lambda tail: bytes(len(tail) // 2) + tail[len(tail) // 2 :],
        True,
    ),
)


@dataclass(slots=True)
class _File:
    content: bytes = b""
    durable: bytes = b""


@dataclass(slots=True)
class _Disk:
    names: dict[str, _File] = field(default_factory=dict)
    durable_names: dict[str, _File] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    durable_folders: set[str] = field(default_factory=set)

    def play(self, entry: Entry) -> None:
        match entry.kind:
            case "create":
                self.names[entry.path] = _File()
            case "write":
                self.names[entry.path].content += entry.data
            case "sync":
                file = self.names[entry.path]
                file.durable = file.content
            case "truncate":
                file = self.names[entry.path]
                file.content = file.durable = file.content[: entry.size]
            case "rename":
                self.names[entry.target] = self.names.pop(entry.path)
            case "mkdir":
                self.folders.add(entry.path)
            case "sync_dir":
                self._sync_names(entry.path)

    def _sync_names(self, folder: str) -> None:
        def inside(names: dict[str, _File]) -> dict[str, _File]:
            return {name: file for name, file in names.items() if str(Path(name).parent) == folder}

        for name in inside(self.durable_names):
            del self.durable_names[name]
        self.durable_names.update(inside(self.names))
        self.durable_folders.update(
            name for name in self.folders if str(Path(name).parent) == folder
        )

    def is_reachable(self, path: str) -> bool:
        """Whether the directories above are found after a loss of all unsynced names."""
        above = [str(parent) for parent in Path(path).parents if str(parent) != "."]
        return all(name in self.durable_folders for name in above)


def rebuild(journal: list[Entry], count: int, loss: Loss, target: Path) -> None:
    """``target`` is what is found after the first ``count`` entries and a power loss."""
    disk = _Disk()
    for entry in journal[:count]:
        disk.play(entry)
    for folder in disk.folders if loss.keeps_names else disk.durable_folders:
        if loss.keeps_names or disk.is_reachable(folder):
            (target / folder).mkdir(parents=True, exist_ok=True)
    for name, file in (disk.names if loss.keeps_names else disk.durable_names).items():
        if loss.keeps_names or disk.is_reachable(name):
            tail = file.content[len(file.durable) :]
            (target / name).write_bytes(file.durable + loss.tail(tail))
