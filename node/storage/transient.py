"""Private values that wait for their transaction: kept from endorsement to commit.

    E <transaction id> 00 <digest> -> endorsed-at height (8 bytes, big-endian), then the set
    H <endorsed-at height> <transaction id> 00 <digest> -> empty

A set is a serialized ``transientstore.TxPvtReadWriteSetWithConfigInfo``. It is durable when
:meth:`TransientStore.put` returns, for the endorsement that follows promises it
(fabric core/transientstore/store.go).
"""

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tongban.node.storage.files import RealFiles
from tongban.node.storage.format import check_format
from tongban.node.storage.kvstore import Change, KeyValueStore, prefix_end
from tongban.node.storage.leveldb import SMALL_OPTIONS, LevelDBStore
from tongban.protos.digest import sha256

FORMAT = 1

KEPT_BLOCKS_MAX = 20_000
"""Blocks after endorsement for which a set waits for its transaction. Fabric's default
(fabric sampleconfig/core.yaml, transientstoreMaxBlockRetention)."""

_HEIGHT = struct.Struct(">Q")
_DIGEST_BYTES = 8
"""Enough of SHA-256 to keep apart the few sets that one transaction can have here."""


class TransientSet(NamedTuple):
    endorsed_at: int
    """Height of the ledger when it was endorsed."""
    data: bytes


class TransientStore:
    def __init__(self, store: KeyValueStore) -> None:
        self._store = store

    @classmethod
    def open(cls, directory: Path) -> "TransientStore":
        """The store in this directory, made if there is none, readable by its owner only."""
        check_format(RealFiles(), directory, "transient", FORMAT)
        return cls(LevelDBStore(directory / "sets", SMALL_OPTIONS))

    def put(self, tx_id: str, endorsed_at: int, data: bytes) -> None:
        """The set is kept, durably. Putting it again changes nothing.

        Raises:
            StorageFailure: the disk refused; do not endorse.
        """
        name = tx_id.encode() + b"\x00" + sha256(data)[:_DIGEST_BYTES]
        height = _HEIGHT.pack(endorsed_at)
        self._store.write([(b"E" + name, height + data), (b"H" + height + name, b"")], sync=True)

    def find(self, tx_id: str) -> list[TransientSet]:
        """What was endorsed under this id here; more than one if peers were asked twice and
        answered differently."""
        prefix = b"E" + tx_id.encode() + b"\x00"
        return [
            TransientSet(_HEIGHT.unpack_from(data)[0], data[_HEIGHT.size :])
            for _, data in self._store.iterate(prefix, prefix_end(prefix))
        ]

    def tx_ids(self) -> set[str]:
        """Every transaction that something waits for."""
        return {
            key[1:].partition(b"\x00")[0].decode()
            for key, _ in self._store.iterate(b"E", prefix_end(b"E"))
        }

    def purge(self, tx_ids: Iterable[str]) -> None:
        """Nothing of these transactions is left: they are in the ledger."""
        batch: list[Change] = []
        for tx_id in tx_ids:
            prefix = b"E" + tx_id.encode() + b"\x00"
            for key, data in self._store.iterate(prefix, prefix_end(prefix)):
                batch.append((key, None))
                batch.append((b"H" + data[: _HEIGHT.size] + key[1:], None))
        if batch:
            self._store.write(batch, sync=False)

    def purge_below(self, height: int) -> None:
        """Nothing that was endorsed below this height is left."""
        stop = b"H" + _HEIGHT.pack(height)
        batch: list[Change] = []
        for key, _ in self._store.iterate(b"H", stop):
            batch.append((key, None))
            batch.append((b"E" + key[1 + _HEIGHT.size :], None))
        if batch:
            self._store.write(batch, sync=False)

    def purge_old(self, height: int) -> None:
        """Nothing is left that waited for more than KEPT_BLOCKS_MAX blocks."""
        if height > KEPT_BLOCKS_MAX:
            self.purge_below(height - KEPT_BLOCKS_MAX)

    def close(self) -> None:
        self._store.close()
