"""A key-value store that writes a log through the file contract, so that replays of power losses
cover it. It promises what LevelDB promises: batches are whole or absent, synced ones are there."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import msgpack  # type: ignore[import-untyped]

from tongban.node.storage.files import Files, read_whole
from tongban.node.storage.kvstore import Change
from tongban.node.storage.memory import MemoryStore


class LoggedStore(MemoryStore):
    def __init__(self, files: Files, directory: Path) -> None:
        super().__init__()
        files.make_dirs(directory)
        path = directory / "log"
        is_new = not files.exists(path)
        if not is_new:
            files.truncate(path, self._replay(read_whole(files, path)))
        self._log = files.open_append(path)
        if is_new:
            files.sync_dir(directory)
            files.sync_dir(directory.parent)

    def write(self, batch: Sequence[Change], sync: bool) -> None:
        body = msgpack.packb(list(batch))
        self._log.write(len(body).to_bytes(4, "big") + zlib.crc32(body).to_bytes(4, "big") + body)
        if sync:
            self._log.sync()
        super().write(batch, sync)

    def close(self) -> None:
        self._log.close()

    def _replay(self, data: bytes) -> int:
        """Applies the whole records from the start; answers where they end."""
        place = 0
        while place + 8 <= len(data):
            size = int.from_bytes(data[place : place + 4], "big")
            body = data[place + 8 : place + 8 + size]
            if not size or len(body) < size:
                break
            if zlib.crc32(body) != int.from_bytes(data[place + 4 : place + 8], "big"):
                break
            super().write([(key, value) for key, value in msgpack.unpackb(body)], False)
            place += 8 + size
        return place
