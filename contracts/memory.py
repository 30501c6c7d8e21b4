"""A ledger in memory with the semantics of a peer, for the test kit: state, history, key metadata,
private data with hashes, and simulations that read what was committed before them.

Emulated: what a contract can notice. Not emulated: endorsement by several peers, block
validation (no read conflict can occur, one transaction at a time), membership in collections.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tongban.contracts.limits import CALL_DEPTH_MAX
from tongban.contracts.runtime.bridge import (
    Event,
    Invocation,
    Modification,
    Outcome,
    Page,
    Response,
    Row,
    StateRefused,
    Write,
    WriteBuffer,
)
from tongban.protos.worker_frames import WriteKind

Space = tuple[str, str]
"""Chaincode and collection (empty for public state)."""


@dataclass(slots=True)
class StoredKey:
    """A committed value and the metadata of its key."""

    value: bytes
    metadata: dict[str, bytes] = field(default_factory=dict)


class MemoryState:
    """What is committed."""

    def __init__(self) -> None:
        self.spaces: dict[Space, dict[str, StoredKey]] = {}
        self.histories: dict[tuple[str, str], list[Modification]] = {}

    def find(self, space: Space, key: str) -> StoredKey | None:
        """The key as committed, if it has a value."""
        return self.spaces.get(space, {}).get(key)

    def rows(self, space: Space, start: str, end: str) -> list[Row]:
        """Keys from ``start`` up to but not including ``end``, empty meaning open."""
        keys = self.spaces.get(space, {})
        inside = sorted(key for key in keys if key >= start and (not end or key < end))
        return [Row(key, keys[key].value) for key in inside]

    def apply(self, chaincode: str, writes: Sequence[Write], call: Invocation) -> None:
        """Commit the writes of one chaincode in one transaction: the last one to a key holds."""
        last: dict[tuple[str, str], Write] = {}
        metadata: dict[tuple[str, str], Write] = {}
        for write in writes:
            target = metadata if write.kind == WriteKind.PUT_METADATA else last
            target[(write.collection, write.key)] = write
        for (collection, key), write in last.items():
            self._apply_value((chaincode, collection), key, write, call)
        for (collection, key), write in metadata.items():
            stored = self.find((chaincode, collection), key)
            if stored is not None:
                stored.metadata = {write.name: write.value} if write.value else {}

    def _apply_value(self, space: Space, key: str, write: Write, call: Invocation) -> None:
        keys = self.spaces.setdefault(space, {})
        is_delete = write.kind != WriteKind.PUT or not write.value
        if is_delete:
            keys.pop(key, None)
        elif key in keys:
            keys[key].value = write.value
        else:
            keys[key] = StoredKey(write.value)
        if not space[1]:
            value = b"" if is_delete else write.value
            self.histories.setdefault((space[0], key), []).append(
                Modification(
                    call.tx_id, value, call.timestamp_seconds, call.timestamp_nanos, is_delete
                )
            )


Invoker = Callable[["Simulation", str, Sequence[bytes], Invocation, int], Outcome | None]
"""Runs another chaincode in the same simulation; None if there is none of that name."""


class Simulation:
    """One transaction being simulated: what its chaincodes want to write, in order."""

    def __init__(
        self, state: MemoryState, channel_id: str, invoker: Invoker, proposal: Callable[[], bytes]
    ) -> None:
        self.state = state
        self.channel_id = channel_id
        self.invoker = invoker
        self.proposal = proposal
        """Builds the client's signed proposal."""
        self.writes: list[tuple[str, Write]] = []
        self.has_paged = False

    def add(self, chaincode: str, writes: Sequence[Write]) -> None:
        """Take writes over.

        Raises:
            StateRefused: the transaction has read pages, which cannot be checked at validation.
        """
        if writes and self.has_paged:
            raise StateRefused(
                "transaction has already performed a paginated query. Writes are not allowed"
            )
        self.writes.extend((chaincode, write) for write in writes)


class MemoryBridge:
    """A StateBridge into a simulation, for one chaincode."""

    def __init__(self, simulation: Simulation, call: Invocation, depth: int = 0) -> None:
        self._simulation = simulation
        self._call = call
        self._depth = depth
        self._writes = WriteBuffer()
        self.event: Event | None = None

    @property
    def writes(self) -> WriteBuffer:
        return self._writes

    def get_state(self, key: str, collection: str = "") -> bytes:
        stored = self._simulation.state.find(self._space(collection), key)
        return stored.value if stored is not None else b""

    def get_state_multiple(self, keys: Sequence[str], collection: str = "") -> list[bytes]:
        return [self.get_state(key, collection) for key in keys]

    def get_metadata(self, key: str, collection: str = "") -> dict[str, bytes]:
        stored = self._simulation.state.find(self._space(collection), key)
        return dict(stored.metadata) if stored is not None else {}

    def get_private_data_hash(self, key: str, collection: str) -> bytes:
        value = self.get_state(key, collection)
        return hashlib.sha256(value).digest() if value else b""

    def scan(self, start: str, end: str, collection: str = "") -> Iterator[Row]:
        return iter(self._simulation.state.rows(self._space(collection), start, end))

    def range(
        self, start: str, end: str, page_size: int, bookmark: str = "", collection: str = ""
    ) -> Page:
        if page_size <= 0:
            raise StateRefused(f"expected a page size above 0, found {page_size}")
        if self._simulation.writes or self._writes.pending:
            raise StateRefused("a transaction that has written cannot read pages")
        self._simulation.has_paged = True
        rows = self._simulation.state.rows(self._space(collection), bookmark or start, end)
        following = rows[page_size].key if len(rows) > page_size else ""
        return Page(rows[:page_size], following, min(len(rows), page_size))

    def query(self, query: str, collection: str = "") -> Iterator[Row]:
        raise StateRefused("ExecuteQuery not supported for leveldb")

    def query_page(
        self, query: str, page_size: int, bookmark: str = "", collection: str = ""
    ) -> Page:
        raise StateRefused("ExecuteQueryWithPagination not supported for leveldb")

    def history(self, key: str) -> Iterator[Modification]:
        entries = self._simulation.state.histories.get((self._call.chaincode_name, key), ())
        return reversed(entries)

    def invoke_chaincode(self, name: str, args: Sequence[bytes], channel: str = "") -> Response:
        if channel not in ("", self._simulation.channel_id):
            raise StateRefused(f"the test ledger has one channel, found a call to {channel}")
        if self._depth >= CALL_DEPTH_MAX:
            raise StateRefused(f"contracts call each other more than {CALL_DEPTH_MAX} deep")
        simulation = self._simulation
        simulation.add(self._call.chaincode_name, self._writes.take())
        outcome = simulation.invoker(simulation, name, args, self._call, self._depth + 1)
        if outcome is None:
            raise StateRefused(f"chaincode {name} not found")
        simulation.add(name, outcome.writes)
        return Response(outcome.status, outcome.message, outcome.payload)

    def get_signed_proposal(self) -> bytes:
        return self._simulation.proposal()

    def _space(self, collection: str) -> Space:
        return (self._call.chaincode_name, collection)
