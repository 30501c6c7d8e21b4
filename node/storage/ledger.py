"""One channel's ledger on disk: blocks, state, history, indexes and private values.

    DIR/FORMAT            one line, the version of everything below
    DIR/blocks/*.seg      the truth: blocks with their final metadata
    DIR/state/            LevelDB: made from the blocks, one atomic batch a block; also the private
                          values of this organization, so only its owner can look into it

A commit makes the block durable, then the batch with everything else and the savepoint; whoever is
told *committed* is told afterwards. So a start finds at most one block that is not in the state.
Starting and recovering are one path: every block behind the savepoint is validated again by the
caller's function, which is pure, and applied as in the first place. With the state directory
removed, that is all of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tongban.node.core.commit_input import CommitInput, PrivateSet
from tongban.node.core.faults import CorruptLedgerError, StorageFailure
from tongban.node.storage import layout
from tongban.node.storage.blockstore import START, BlockStore, Position, StoredBlock
from tongban.node.storage.changes import build_changes
from tongban.node.storage.files import Files, RealFiles
from tongban.node.storage.format import check_format
from tongban.node.storage.kvstore import KeyValueStore
from tongban.node.storage.leveldb import REMEDY, LevelDBStore
from tongban.node.storage.private import PRIVATE_RANGE, build_private_changes, private_sets
from tongban.node.storage.segments import SEGMENT_BYTES_MAX
from tongban.node.storage.snapshot import StateSnapshot, StateView
from tongban.protos import common_pb2, queryresult_pb2
from tongban.protos.digest import compute_header_hash
from tongban.protos.errors import TongbanError

FORMAT = 1
"""Of the whole directory. Raised when a release writes what older ones cannot read."""

OTHER_RELEASE = (
    "Start the release that wrote the block; if that one says the same, restore a backup"
)

Revalidate: TypeAlias = Callable[[int, bytes, StateSnapshot], CommitInput]
"""Number, bytes and the state before a stored block to what it changes; pure but for reads of the
snapshot. The same function that validates a block when it arrives."""


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a ledger keeps its bytes."""

    files: Files
    open_store: Callable[[Path], KeyValueStore] = LevelDBStore
    segment_bytes_max: int = SEGMENT_BYTES_MAX


DISK = Backend(RealFiles())


class Ledger:
    """Open it with :meth:`open`. One thread commits; any thread reads."""

    def __init__(self, directory: Path, backend: Backend) -> None:
        self.directory = directory
        files = backend.files
        check_format(files, directory, "ledger", FORMAT)
        blocks = directory / "blocks"
        if not files.exists(blocks):
            files.make_dirs(blocks)
            files.sync_dir(directory)
        self._blocks = BlockStore(files, blocks, backend.segment_bytes_max)
        self._state_path = str(directory / "state")
        self._store = backend.open_store(directory / "state")
        self._view = StateView(self._store, self.get_block)
        self._savepoint = self._view.savepoint()
        self._unfinished = False

    @classmethod
    def open(cls, directory: Path, revalidate: Revalidate, backend: Backend = DISK) -> "Ledger":
        """The ledger in this directory, with every stored block in its state. Makes a new one, of
        height 0, where there is none.

        Raises:
            CorruptLedgerError: what is stored is damaged, or does not lead to what was committed.
            NewerFormatError: a newer release wrote it.
            StorageFailure: the disk refused.
        """
        ledger = cls(directory, backend)
        try:
            ledger._recover(revalidate)
        except BaseException:
            ledger.close()
            raise
        return ledger

    @property
    def height(self) -> int:
        """Blocks in the ledger."""
        return self._savepoint.height if self._savepoint else 0

    @property
    def commit_hash(self) -> bytes:
        """Of the last block; empty up to block 0."""
        return self._savepoint.commit_hash if self._savepoint else b""

    @property
    def last_header_hash(self) -> bytes:
        """Of the last block; empty if there is none."""
        return self._savepoint.header_hash if self._savepoint else b""

    @property
    def config_block_num(self) -> int:
        """The last block that changed the configuration."""
        return self._savepoint.config_block_num if self._savepoint else 0

    def config_envelope(self) -> bytes | None:
        return self._view.config_envelope()

    def commit(self, given: CommitInput) -> None:
        """The block is part of the ledger, durably, and visible to new snapshots.

        After a failure nothing more can be committed: what is on disk is known again only after
        opening anew.

        Raises:
            StorageFailure: the disk refused, now or in an earlier commit.
        """
        if self._unfinished:
            path = str(self.directory)
            raise StorageFailure(path, "commit", "an earlier commit did not finish")
        assert given.number == self.height, f"block {given.number} at height {self.height}"
        self._unfinished = True
        location = self._blocks.append(given.number, given.block)
        self._apply(given, location)
        self._unfinished = False

    def snapshot(self) -> StateSnapshot:
        return StateSnapshot(self._store.snapshot(), self.get_block)

    def get_block(self, number: int) -> bytes:
        """The serialized block, checked against its checksums.

        Raises:
            KeyError: the ledger is not that high.
            CorruptLedgerError: the stored bytes are damaged.
        """
        place = self._store.get(layout.block_key(number))
        if place is None:
            raise KeyError(number)
        return self._blocks.read(number, layout.decode_location(place))

    def find_block_num(self, header_hash: bytes) -> int | None:
        data = self._store.get(layout.header_hash_key(header_hash))
        return None if data is None else layout.decode_number(data)

    def find_transaction(self, tx_id: str) -> layout.TxLocation | None:
        return self._view.find_transaction(tx_id)

    def has_tx(self, tx_id: str) -> bool:
        return self._view.has_tx(tx_id)

    def get_envelope(self, block_num: int, tx_num: int) -> bytes:
        """The envelope at this place. Raises KeyError or IndexError if there is no such place."""
        return common_pb2.Block.FromString(self.get_block(block_num)).data.data[tx_num]

    def history(self, namespace: str, key: bytes) -> Iterator[queryresult_pb2.KeyModification]:
        """Newest first."""
        return self._view.history(namespace, key)

    def private_sets(self, block_num: int) -> list[PrivateSet]:
        """What this organization keeps of the private writes of a block."""
        return list(private_sets(self._store, block_num))

    def close(self) -> None:
        self._blocks.close()
        self._store.close()

    def _apply(self, given: CommitInput, location: layout.Location) -> None:
        config_block_num = self.config_block_num if given.config is None else given.number
        savepoint = layout.Savepoint.after(given, location, config_block_num)
        due = self._view.due_keys(given.number)
        batch = build_changes(given, location, savepoint, due, self._view.has_tx)
        batch.extend(build_private_changes(given, self._store))
        # Synced although the block already is: LevelDB's log could otherwise lose one batch and
        # keep a later one, and a state with a hole in it is worse than one that is behind.
        self._store.write(batch, sync=True)
        self._savepoint = savepoint
        if given.purges:
            self._store.erase_deleted(*PRIVATE_RANGE)

    def _recover(self, revalidate: Revalidate) -> None:
        saved = self._savepoint
        position = Position(saved.segment, saved.offset) if saved else START
        if saved:
            self._check_last_block(saved)
        if getattr(self._store, "was_repaired", False):
            self._check_for_holes()
        for stored in self._blocks.recover(position, self.height):
            self._apply_again(stored, revalidate)

    def _check_last_block(self, saved: layout.Savepoint) -> None:
        number = saved.height - 1
        if self.find_block_num(saved.header_hash) != number:
            reason = f"the savepoint is at block {number}, whose hash is not indexed"
            raise CorruptLedgerError(self._state_path, reason, REMEDY, block_num=number)
        header = common_pb2.Block.FromString(self.get_block(number)).header
        found = compute_header_hash(header.number, header.previous_hash, header.data_hash)
        if found != saved.header_hash:
            reason = "the state was made from another block of this number"
            raise CorruptLedgerError(self._state_path, reason, REMEDY, block_num=number)

    def _check_for_holes(self) -> None:
        expected = 0
        for key, _ in self._store.iterate(b"b", b"c"):
            number = layout.decode_number(key[1:])
            if number != expected:
                break
            expected += 1
        if expected != self.height:
            reason = "the state's log is damaged, and this block is missing from the state"
            raise CorruptLedgerError(self._state_path, reason, REMEDY, block_num=expected)

    def _apply_again(self, stored: StoredBlock, revalidate: Revalidate) -> None:
        path = str(self.directory)
        with self.snapshot() as before:
            try:
                given = revalidate(stored.number, stored.payload, before)
            except TongbanError as refusal:
                # It was accepted once, so that it is refused now is nobody's fault but ours.
                reason = f"a block that was committed is refused: {refusal}"
                raise CorruptLedgerError(
                    path, reason, OTHER_RELEASE, block_num=stored.number
                ) from refusal
        _compare(given, stored, path)
        self._apply(given, stored.location)


def _compare(given: CommitInput, stored: StoredBlock, path: str) -> None:
    """A stored block, validated again, gives what it gave when it was committed."""
    slots = [
        *common_pb2.Block.FromString(stored.payload).metadata.metadata,
        b"",
        b"",
        b"",
        b"",
        b"",
    ]
    flags = slots[common_pb2.TRANSACTIONS_FILTER]
    recorded = common_pb2.Metadata.FromString(slots[common_pb2.COMMIT_HASH]).value
    if given.flags != flags:
        reason = f"validation flags {given.flags.hex()}, but {flags.hex()} were committed"
    elif given.commit_hash != recorded:
        reason = f"commit hash {given.commit_hash.hex()}, but {recorded.hex()} was committed"
    else:
        return
    raise CorruptLedgerError(path, reason, OTHER_RELEASE, block_num=stored.number)
