"""A running contract's requests, answered by the simulation of its transaction.

One object per invocation of one chaincode: it binds the namespace, checks who may touch which
collection, hands out scans in pages, and gives refusals the form in which Fabric's peer sends them
(fabric core/chaincode/handler.go).
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from tongban.node.core.lifecycle.state_layout import (
    LIFECYCLE_NAMESPACE,
    implicit_collection_owner,
)
from tongban.node.core.simulation.queries import HistoryScan, Pager, Row
from tongban.node.core.simulation.simulator import Simulator, encode_key
from tongban.node.runtime.channel_access import ChannelSnapshot
from tongban.node.runtime.contract_host import (
    HistoryPage,
    HistoryRow,
    Response,
    StateCallRefused,
    StatePage,
    StateRow,
    StateWrite,
    Timestamp,
    WriteKind,
)
from tongban.protos import queryresult_pb2
from tongban.protos.errors import TongbanError

KEY_LEVEL_CAPABILITIES = frozenset({"V1_3", "V1_4_2", "V2_0", "V2_5"})
"""Application capabilities with which keys may have policies of their own."""

PURGE_CAPABILITIES = frozenset({"V2_5"})
"""Application capabilities with which private values may be purged."""

Invoke = Callable[[str, str, Sequence[bytes]], Awaitable[Response]]
"""Invokes a chaincode by name and channel (empty: the caller's)."""

T = TypeVar("T")


class CallScope(NamedTuple):
    """What one invocation may do."""

    namespace: str
    channel_id: str
    tx_id: str
    is_init: bool
    capabilities: frozenset[str]
    """Of the channel's application group."""

    is_member: Callable[[bytes], bool]
    """Whether the proposal's creator satisfies a serialized SignaturePolicyEnvelope."""

    query_limit: int
    """Rows that one query hands out."""


class NamespaceCalls:
    """Answers one invocation; see ``contract_host.StateCalls`` for what each method promises."""

    def __init__(
        self, simulator: Simulator, snapshot: ChannelSnapshot, scope: CallScope, invoke: Invoke
    ) -> None:
        self._simulator = simulator
        self._snapshot = snapshot
        self._scope = scope
        self._invoke = invoke
        self._permissions: dict[str, tuple[bool, bool]] = {}
        self._state_queries: dict[str, Pager[Row]] = {}
        self._histories: dict[str, Pager[queryresult_pb2.KeyModification]] = {}
        self._query_count = 0
        self._is_open = True

    def close(self) -> None:
        """Every further request is refused: the invocation is over."""
        self._is_open = False

    def get_state(self, key: str, collection: str = "") -> bytes | None:
        # The commonest requests do without a context manager, which costs more than the read.
        try:
            self._check_open()
            if not collection:
                return self._simulator.get_state(self._scope.namespace, key)
            self._check_read(collection)
            return self._simulator.get_private(self._scope.namespace, collection, key)
        except TongbanError as error:
            raise self._refusal("GET_STATE", error) from error

    def get_states(self, keys: Sequence[str], collection: str = "") -> list[bytes | None]:
        with self._refusals("GET_STATE_MULTIPLE"):
            if not collection:
                return [self._simulator.get_state(self._scope.namespace, key) for key in keys]
            self._check_read(collection)
            return [
                self._simulator.get_private(self._scope.namespace, collection, key) for key in keys
            ]

    def get_metadata(self, key: str, collection: str = "") -> dict[str, bytes]:
        with self._refusals("GET_STATE_METADATA"):
            self._check_key_level()
            if not collection:
                return self._simulator.get_metadata(self._scope.namespace, key)
            self._check_read(collection)
            return self._simulator.get_private_metadata(self._scope.namespace, collection, key)

    def get_private_data_hash(self, key: str, collection: str) -> bytes | None:
        with self._refusals("GET_PRIVATE_DATA_HASH"):
            self._check_not_init()
            return self._simulator.get_private_hash(self._scope.namespace, collection, key)

    def range(
        self, start: str, end: str, page_size: int = 0, bookmark: str = "", collection: str = ""
    ) -> StatePage:
        with self._refusals("GET_STATE_BY_RANGE"):
            namespace = self._scope.namespace
            limit = self._scope.query_limit
            if 0 < page_size < limit:
                limit = page_size
            if collection:
                self._check_read(collection)
                private = self._simulator.scan_private(namespace, collection, start, end)
                return self._first_page(Pager(private, paginated=False, total_limit=limit), False)
            if page_size or bookmark:
                scan = self._simulator.scan_page(namespace, bookmark or start, end, page_size)
                return self._first_page(Pager(scan, paginated=True, total_limit=limit), True)
            scan = self._simulator.scan(namespace, start, end)
            return self._first_page(Pager(scan, paginated=False, total_limit=limit), False)

    def query(
        self, query: str, page_size: int = 0, bookmark: str = "", collection: str = ""
    ) -> StatePage:
        del query
        with self._refusals("GET_QUERY_RESULT"):
            if collection:
                self._check_read(collection)
            method = "ExecuteQuery"
            if (page_size or bookmark) and not collection:
                method = "ExecuteQueryWithMetadata"
            raise TongbanError(f"{method} not supported for leveldb")

    def history(self, key: str) -> HistoryPage:
        with self._refusals("GET_HISTORY_FOR_KEY"):
            rows = self._snapshot.history(self._scope.namespace, encode_key(key))
            scan = HistoryScan(rows)
            pager = Pager(scan, paginated=False, total_limit=self._scope.query_limit)
            query_id = self._new_query_id()
            self._histories[query_id] = pager
            return self._history_page(query_id)

    def next_state_page(self, query_id: str) -> StatePage:
        with self._refusals("QUERY_STATE_NEXT"):
            return self._state_page(query_id)

    def next_history_page(self, query_id: str) -> HistoryPage:
        with self._refusals("QUERY_STATE_NEXT"):
            return self._history_page(query_id)

    def close_query(self, query_id: str) -> None:
        self._state_queries.pop(query_id, None)
        self._histories.pop(query_id, None)

    def apply_writes(self, writes: Sequence[StateWrite]) -> None:
        for write in writes:
            try:
                self._check_open()
                self._apply(write)
            except TongbanError as error:
                raise self._refusal(_MESSAGE_TYPES[write.kind], error) from error

    async def invoke_chaincode(self, name: str, channel: str, args: Sequence[bytes]) -> Response:
        with self._refusals("INVOKE_CHAINCODE"):
            return await self._invoke(name, channel, args)

    def _apply(self, write: StateWrite) -> None:
        namespace, collection = self._scope.namespace, write.collection
        if write.kind is WriteKind.PUT_METADATA:
            self._check_key_level()
            entries = {write.metadata_name: write.value}
            if not collection:
                self._simulator.put_metadata(namespace, write.key, entries)
                return
            self._check_write(collection)
            self._simulator.put_private_metadata(namespace, collection, write.key, entries)
            return
        is_purge = write.kind is WriteKind.PURGE
        if is_purge:
            self._check_purge(collection)
        value = write.value if write.kind is WriteKind.PUT else b""
        if not collection:
            self._simulator.put_state(namespace, write.key, value)
            return
        self._check_write(collection)
        self._simulator.put_private(namespace, collection, write.key, value, is_purge=is_purge)

    def _check_not_init(self) -> None:
        if self._scope.is_init:
            raise TongbanError("private data APIs are not allowed in chaincode Init()")

    def _check_key_level(self) -> None:
        if not self._scope.capabilities & KEY_LEVEL_CAPABILITIES:
            raise TongbanError(
                "key level endorsement is not enabled, channel application capability of V1_3 or "
                "later is required"
            )

    def _check_purge(self, collection: str) -> None:
        if not self._scope.capabilities & PURGE_CAPABILITIES:
            raise TongbanError(
                "purge private data is not enabled, channel application capability of V2_5 or "
                "later is required"
            )
        if not collection:
            raise TongbanError("only applicable for private data")

    def _check_read(self, collection: str) -> None:
        self._check_not_init()
        if not self._permission(collection)[0]:
            raise TongbanError(self._refuse_access("read", collection))

    def _check_write(self, collection: str) -> None:
        self._check_not_init()
        if not self._permission(collection)[1]:
            raise TongbanError(self._refuse_access("write", collection))

    def _refuse_access(self, what: str, collection: str) -> str:
        return (
            f"tx creator does not have {what} access permission on privatedata in "
            f"chaincodeName:{self._scope.namespace} collectionName: {collection}"
        )

    def _permission(self, collection: str) -> tuple[bool, bool]:
        """Whether the creator may read and write; looked up once per invocation."""
        found = self._permissions.get(collection)
        if found is None:
            found = self._permissions[collection] = self._read_permission(collection)
        return found

    def _read_permission(self, collection: str) -> tuple[bool, bool]:
        namespace = self._scope.namespace
        if namespace == LIFECYCLE_NAMESPACE:
            return True, True
        definition = self._simulator.find_definition(namespace)
        if implicit_collection_owner(collection) is not None:
            return True, True
        found = None if definition is None else definition.find_collection(collection)
        if found is None:
            place = f"{self._scope.channel_id}/{namespace}/{collection}"
            raise TongbanError(f"collection {place} could not be found")
        if not found.member_only_read and not found.member_only_write:
            return True, True
        if self._scope.is_member(found.member_orgs_policy):
            return True, True
        return not found.member_only_read, not found.member_only_write

    def _new_query_id(self) -> str:
        self._query_count += 1
        return str(self._query_count)

    def _first_page(self, pager: Pager[Row], paginated: bool) -> StatePage:
        query_id = self._new_query_id()
        self._state_queries[query_id] = pager
        page = self._state_page(query_id)
        if not paginated:
            return page
        return StatePage(page.rows, query_id, False, len(page.rows), pager.bookmark())

    def _state_page(self, query_id: str) -> StatePage:
        batch = _find(self._state_queries, query_id).next_batch()
        if not batch.has_more:
            del self._state_queries[query_id]
        namespace = self._scope.namespace
        rows = tuple([StateRow(namespace, row.key, row.value) for row in batch.rows])
        return StatePage(rows, query_id, batch.has_more)

    def _history_page(self, query_id: str) -> HistoryPage:
        batch = _find(self._histories, query_id).next_batch()
        if not batch.has_more:
            del self._histories[query_id]
        return HistoryPage(tuple(map(_to_history_row, batch.rows)), query_id, batch.has_more)

    @contextmanager
    def _refusals(self, message_type: str) -> Iterator[None]:
        try:
            self._check_open()
            yield
        except TongbanError as error:
            raise self._refusal(message_type, error) from error

    def _check_open(self) -> None:
        if not self._is_open:
            raise TongbanError("no ledger context")

    def _refusal(self, message_type: str, error: TongbanError) -> StateCallRefused:
        return StateCallRefused(
            f"{message_type} failed: transaction ID: {self._scope.tx_id}: {error}"
        )


_MESSAGE_TYPES = {
    WriteKind.PUT: "PUT_STATE",
    WriteKind.DELETE: "DEL_STATE",
    WriteKind.PUT_METADATA: "PUT_STATE_METADATA",
    WriteKind.PURGE: "PURGE_PRIVATE_DATA",
}


def _find(queries: dict[str, Pager[T]], query_id: str) -> Pager[T]:
    found = queries.get(query_id)
    if found is None:
        raise TongbanError("query iterator not found")
    return found


def _to_history_row(change: queryresult_pb2.KeyModification) -> HistoryRow:
    stamp = Timestamp(change.timestamp.seconds, change.timestamp.nanos)
    return HistoryRow(change.tx_id, change.value, stamp, change.is_delete)
