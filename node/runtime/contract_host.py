"""What the endorser asks of whatever runs contracts, and what it offers while one runs.

A host gets one call and a way to begin a simulation of it. It reads and writes through the
simulation while the contract runs, and answers with the contract's response. A host that lost a
worker through no fault of the transaction may begin again: the new simulation knows nothing of
the old one. Only what was done through the simulation begun last counts.

Writes take effect in the order in which they are applied. A host that collects a contract's
writes applies them before it invokes another chaincode and when the contract has returned.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol

from tongban.protos.errors import TongbanError

PAGE_ROWS_MAX = 100
"""Rows in one page of a scan without a page size (fabric core/chaincode/chaincode_support.go,
MaxResultLimit). The row after them is looked at too, and is part of the read set."""


class Timestamp(NamedTuple):
    """The proposal's time, as its client wrote it."""

    seconds: int
    nanos: int


class Response(NamedTuple):
    """What a chaincode answers: below 400 it can be endorsed, from 400 it is an error."""

    status: int
    message: str = ""
    payload: bytes = b""


class ContractEvent(NamedTuple):
    """The one event a transaction may carry."""

    name: str
    payload: bytes


class ContractCall(NamedTuple):
    """One invocation of one chaincode, complete for whoever runs it."""

    package_id: str
    """``label:sha256``; names what to run."""

    chaincode_name: str
    channel_id: str
    tx_id: str
    args: tuple[bytes, ...]
    """The function's name first."""

    is_init: bool
    creator: bytes
    """Serialized identity of the client."""

    nonce: bytes
    timestamp: Timestamp
    signed_proposal: bytes
    """The serialized SignedProposal, as chaincode in other languages wants to see it."""

    transient: Mapping[str, bytes] = MappingProxyType({})
    decorations: Mapping[str, bytes] = MappingProxyType({})


class ContractResult(NamedTuple):
    response: Response
    event: ContractEvent | None = None


class WriteKind(IntEnum):
    """Numbered as in fabric-protos peer/chaincode_shim.proto, WriteRecord.Type."""

    PUT = 9
    DELETE = 10
    PUT_METADATA = 21
    PURGE = 23


class StateWrite(NamedTuple):
    """One change that a contract asks for, in its own namespace."""

    kind: WriteKind
    key: str
    value: bytes = b""
    """New value of the key, or of the metadata entry; empty deletes."""

    collection: str = ""
    """Empty for public state."""

    metadata_name: str = ""
    """Only for PUT_METADATA, such as ``VALIDATION_PARAMETER``."""


class StateRow(NamedTuple):
    """A row of a scan."""

    namespace: str
    key: str
    value: bytes


class HistoryRow(NamedTuple):
    """A row of a key's history."""

    tx_id: str
    value: bytes
    timestamp: Timestamp
    is_delete: bool


@dataclass(frozen=True, slots=True)
class StatePage:
    """Some rows of a query and how to go on."""

    rows: tuple[StateRow, ...]
    query_id: str
    """Names the query for :meth:`StateCalls.next_state_page` while ``has_more``."""

    has_more: bool
    fetched_count: int = 0
    """Rows fetched; only in an answer to a paginated query, else 0."""

    bookmark: str = ""
    """Where the next page of a paginated query starts; empty at the end."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some rows of a history, newest first, and how to go on."""

    rows: tuple[HistoryRow, ...]
    query_id: str
    has_more: bool


class StateCalls(Protocol):
    """What a running contract may ask for; its namespace is bound. At most one at a time.

    Every method raises StateCallRefused with the text that the contract gets to see.
    """

    def get_state(self, key: str, collection: str = "") -> bytes | None: ...

    def get_states(self, keys: Sequence[str], collection: str = "") -> list[bytes | None]: ...

    def get_metadata(self, key: str, collection: str = "") -> Mapping[str, bytes]:
        """The key's metadata entries by name, empty if there are none."""
        ...

    def get_private_data_hash(self, key: str, collection: str) -> bytes | None: ...

    def range(
        self, start: str, end: str, page_size: int = 0, bookmark: str = "", collection: str = ""
    ) -> StatePage:
        """The first page of the keys from ``start`` up to but not including ``end``. It is a
        paginated query if ``page_size`` or ``bookmark`` is set."""
        ...

    def query(
        self, query: str, page_size: int = 0, bookmark: str = "", collection: str = ""
    ) -> StatePage:
        """The first page of a rich query, if the state database can answer one."""
        ...

    def history(self, key: str) -> HistoryPage: ...

    def next_state_page(self, query_id: str) -> StatePage: ...

    def next_history_page(self, query_id: str) -> HistoryPage: ...

    def close_query(self, query_id: str) -> None:
        """The query is forgotten. Closing an exhausted or unknown one does nothing."""
        ...

    def apply_writes(self, writes: Sequence[StateWrite]) -> None:
        """All writes are in the write set. If one is refused, those before it are too late to
        take back: the transaction must not answer with success."""
        ...

    async def invoke_chaincode(self, name: str, channel: str, args: Sequence[bytes]) -> Response:
        """The answer of another chaincode. ``channel`` empty means the caller's own; on another
        channel nothing that the callee writes is kept."""
        ...


class ContractHost(Protocol):
    """Runs contracts."""

    async def execute(self, call: ContractCall, begin: Callable[[], StateCalls]) -> ContractResult:
        """Run ``call`` and answer what it answered. ``begin`` is called at least once. For a call
        inside another one there is no second beginning: ``begin`` then raises SimulationLost when
        it is called again, and the host lets it pass.

        Raises:
            ContractFault: there is no answer of the contract to give.
            SimulationLost: from ``begin``, see there.
        """
        ...

    async def close(self) -> None: ...


class SimulationLost(Exception):
    """What was simulated is lost through no fault of the transaction, and can only be begun again
    from its first chaincode. A host whose contract waits for an inner call that ends so begins the
    outer one again. Not a TongbanError, since nobody is refused anything."""


class StateCallRefused(TongbanError):
    """A request of a running contract is refused; the text is what Fabric's peer would send as
    ERROR, ``<TYPE> failed: transaction ID: <id>: <cause>``."""


class ContractFault(TongbanError):
    """A contract gave no answer. The text becomes part of the proposal response."""


class ContractTimedOut(ContractFault):
    """It ran longer than it may (fabric core/chaincode/handler.go, Execute)."""

    def __init__(self) -> None:
        super().__init__("error sending: timeout expired while executing transaction")


class ContractCrashed(ContractFault):
    """Its process ended under it (fabric core/chaincode/handler.go, Execute)."""

    def __init__(self) -> None:
        super().__init__("error sending: chaincode stream terminated")


class ContractNotLaunched(ContractFault):
    """It could not be started (fabric core/chaincode/chaincode_support.go, Launch)."""

    def __init__(self, package_id: str, reason: str) -> None:
        super().__init__(f"could not launch chaincode {package_id}: {reason}")
        self.package_id = package_id
        self.reason = reason


class ContractReportedFailure(TongbanError):
    """It reported a failure of its own machinery instead of a response (an ERROR message of
    Fabric's chaincode protocol)."""

    def __init__(self, text: str) -> None:
        super().__init__(f"transaction returned with failure: {text}")
        self.reported = text
