"""The ledger as it was after some block, for simulations and validation."""

from collections.abc import Callable, Iterator
from types import TracebackType

from tongban.node.core.commit_input import StateKey
from tongban.node.core.state import CONFIG_KEY, CONFIG_NAMESPACE, VersionedValue
from tongban.node.storage import layout
from tongban.node.storage.history import modifications
from tongban.node.storage.kvstore import KeyValueSnapshot, Readable, prefix_end
from tongban.node.storage.private import find_private, scan_private
from tongban.protos import queryresult_pb2


class StateView:
    """Reads of the ledger's store, through a snapshot or of what is there now."""

    __slots__ = ("_read_block", "_store")

    def __init__(self, store: Readable, read_block: Callable[[int], bytes]) -> None:
        self._store = store
        self._read_block = read_block

    def get(self, namespace: str, key: bytes) -> VersionedValue | None:
        data = self._store.get(layout.state_key(namespace, key))
        return None if data is None else layout.decode_value(data)

    def scan(
        self, namespace: str, start: bytes, end: bytes
    ) -> Iterator[tuple[bytes, VersionedValue]]:
        """Ascending, ``end`` excluded; an empty ``end`` is the end of the namespace."""
        prefix = layout.state_prefix(namespace)
        stop = prefix + end if end else prefix_end(prefix)
        found = self._store.iterate(prefix + start, stop)
        size = len(prefix)
        return ((key[size:], layout.decode_value(data)) for key, data in found)

    def scan_page(
        self, namespace: str, start: bytes, end: bytes, count_max: int
    ) -> tuple[list[tuple[bytes, VersionedValue]], bytes]:
        """At most ``count_max`` rows, and the key to start the next page from, empty at the end."""
        rows: list[tuple[bytes, VersionedValue]] = []
        for key, value in self.scan(namespace, start, end):
            if len(rows) == count_max:
                return rows, key
            rows.append((key, value))
        return rows, b""

    def get_private(self, namespace: str, collection: str, key: bytes) -> VersionedValue | None:
        """This organization's current private value, None if it has none."""
        return find_private(self._store, namespace, collection, key)

    def scan_private(
        self, namespace: str, collection: str, start: bytes, end: bytes
    ) -> Iterator[tuple[bytes, VersionedValue]]:
        return scan_private(self._store, namespace, collection, start, end)

    def history(self, namespace: str, key: bytes) -> Iterator[queryresult_pb2.KeyModification]:
        """Newest first."""
        return modifications(self._store, self._read_block, namespace, key)

    def config_envelope(self) -> bytes | None:
        """The serialized ConfigEnvelope in force; None before block 0."""
        found = self.get(CONFIG_NAMESPACE, CONFIG_KEY)
        return None if found is None else found.value

    def find_transaction(self, tx_id: str) -> layout.TxLocation | None:
        """The first transaction with this id, valid or not."""
        data = self._store.get(layout.tx_key(tx_id))
        return None if data is None else layout.decode_tx_location(data)

    def has_tx(self, tx_id: str) -> bool:
        return self._store.get(layout.tx_key(tx_id)) is not None

    def find_expired(self, block_num: int) -> list[StateKey]:
        """Hashed keys to remove at the end of this block: those scheduled for it that were not
        written again since (fabric core/ledger/kvledger/txmgmt/pvtstatepurgemgmt/purge_mgr.go).
        Whoever applies the block spares those that the block itself writes."""
        prefix = layout.expiry_prefix(block_num)
        expired = []
        for place, data in self._store.iterate(prefix, prefix_end(prefix)):
            namespace, key = layout.parse_expiry_key(place)
            current = self.get(namespace, key)
            if current and current.version.block_num == layout.decode_number(data):
                expired.append(StateKey(namespace, key))
        return expired

    def due_keys(self, block_num: int) -> list[bytes]:
        """The records of the expiry schedule for this block."""
        prefix = layout.expiry_prefix(block_num)
        return [key for key, _ in self._store.iterate(prefix, prefix_end(prefix))]

    def savepoint(self) -> layout.Savepoint | None:
        data = self._store.get(layout.SAVEPOINT_KEY)
        return None if data is None else layout.decode_savepoint(data)


class StateSnapshot(StateView):
    """Does not change while it is held. Close it, or use it as a context manager: it keeps old
    values on disk alive. Cheap: a few microseconds."""

    __slots__ = ("_height", "_snapshot", "_users")

    def __init__(self, snapshot: KeyValueSnapshot, read_block: Callable[[int], bytes]) -> None:
        super().__init__(snapshot, read_block)
        self._snapshot = snapshot
        self._height: int | None = None
        self._users = 1

    @property
    def height(self) -> int:
        """Blocks that this snapshot has seen."""
        if self._height is None:
            data = self._store.get(layout.SAVEPOINT_KEY)
            self._height = layout.decode_height(data) if data else 0
        return self._height

    def share(self) -> "StateSnapshot":
        """The same snapshot for one more user, who closes it too. All users are in one thread."""
        self._users += 1
        return self

    def close(self) -> None:
        """One user is done; with the last one the snapshot ends."""
        self._users -= 1
        if not self._users:
            self._snapshot.close()

    def __enter__(self) -> "StateSnapshot":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
