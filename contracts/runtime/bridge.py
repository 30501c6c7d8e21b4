"""What a contract's library and the worker that runs it say to each other.

The worker loads the modules of a package, asks ``tongban.contracts.dispatch`` for its contracts,
and for every transaction calls ``ContractSet.invoke(call, bridge)`` in a greenlet of its own.
Reading goes through the bridge, which switches to other transactions while the node answers.
Writing goes into ``bridge.writes`` and reaches the node with the outcome, so that a function that
raises leaves nothing.

Keys are strings, values are bytes; an absent value is ``b""``, as in Fabric's shim
(fabric-chaincode-go shim/interfaces.go). ``collection`` is ``""`` for public state.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from tongban.protos.errors import TongbanError
from tongban.protos.worker_frames import WriteKind


class StateRefused(TongbanError):
    """The node refused a call of the contract. The text is the node's."""


class SimulationAborted(BaseException):
    """The node has given up on this transaction; nobody waits for its outcome.

    Not an ``Exception``, so that ``except Exception`` in a contract does not swallow it.
    """


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of a chaincode, as the node asks for it."""

    chaincode_name: str
    channel_id: str
    tx_id: str
    args: tuple[bytes, ...]
    """The function's name first, as in Fabric; empty if the caller gave no arguments."""
    is_init: bool
    transient: Mapping[str, bytes]
    creator: bytes
    """Serialized identity (``msp.SerializedIdentity``) of who signed the proposal."""
    timestamp_seconds: int
    """Of the channel header, since 1970 UTC; chosen by the client, the same on all peers."""
    timestamp_nanos: int
    decorations: Mapping[str, bytes]


class Row(NamedTuple):
    """One row of a range."""

    key: str
    value: bytes


class Page(NamedTuple):
    """One page of a range. An empty bookmark means that there is no next page."""

    rows: list[Row]
    bookmark: str
    fetched: int


class Modification(NamedTuple):
    """One entry of a key's history."""

    tx_id: str
    value: bytes
    timestamp_seconds: int
    timestamp_nanos: int
    is_delete: bool


class Response(NamedTuple):
    """What a chaincode answers. Status 400 and above is an error."""

    status: int = 200
    message: str = ""
    payload: bytes = b""


class Event(NamedTuple):
    name: str
    payload: bytes


class Write(NamedTuple):
    """One buffered write, in the form in which it travels."""

    kind: WriteKind
    key: str
    value: bytes
    collection: str
    name: str
    """Name of the metadata entry for PUT_METADATA, else empty."""


@dataclass(slots=True)
class WriteBuffer:
    """Writes of one transaction in the order of the calls, and its event (the last one wins)."""

    pending: list[Write] = field(default_factory=list)
    event: Event | None = None

    def put(self, key: str, value: bytes, collection: str = "") -> None:
        """An empty value is a delete, as on Go peers."""
        self.pending.append(Write(WriteKind.PUT, key, value, collection, ""))

    def delete(self, key: str, collection: str = "") -> None:
        self.pending.append(Write(WriteKind.DELETE, key, b"", collection, ""))

    def purge(self, key: str, collection: str) -> None:
        """Private data only: the value goes and its history with it."""
        self.pending.append(Write(WriteKind.PURGE, key, b"", collection, ""))

    def put_metadata(self, key: str, name: str, value: bytes, collection: str = "") -> None:
        self.pending.append(Write(WriteKind.PUT_METADATA, key, value, collection, name))

    def set_event(self, name: str, payload: bytes) -> None:
        self.event = Event(name, payload)

    def take(self) -> tuple[Write, ...]:
        """The writes not yet sent, which are the caller's to send from here on."""
        taken = tuple(self.pending)
        self.pending.clear()
        return taken


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an invocation ended.

    After a normal return (also with a status of 400 or more) ``writes`` is
    ``bridge.writes.take()`` and ``event`` is ``bridge.writes.event``. After an exception both are
    left at their defaults.
    """

    status: int
    message: str
    payload: bytes
    writes: tuple[Write, ...] = ()
    event: Event | None = None


class StateBridge(Protocol):
    """The node as one transaction sees it. Every method may raise StateRefused, and
    SimulationAborted when the node no longer wants the outcome."""

    @property
    def writes(self) -> WriteBuffer: ...

    def get_state(self, key: str, collection: str = "") -> bytes: ...

    def get_state_multiple(self, keys: Sequence[str], collection: str = "") -> list[bytes]:
        """The values in the order of the keys, in one round trip."""
        ...

    def get_metadata(self, key: str, collection: str = "") -> dict[str, bytes]: ...

    def get_private_data_hash(self, key: str, collection: str) -> bytes: ...

    def scan(self, start: str, end: str, collection: str = "") -> Iterator[Row]:
        """Ascending, ``start`` included, ``end`` excluded; fetched from the node as it goes."""
        ...

    def range(
        self, start: str, end: str, page_size: int, bookmark: str = "", collection: str = ""
    ) -> Page: ...

    def query(self, query: str, collection: str = "") -> Iterator[Row]:
        """Rows of a rich query, where the node's state database has such."""
        ...

    def query_page(
        self, query: str, page_size: int, bookmark: str = "", collection: str = ""
    ) -> Page: ...

    def history(self, key: str) -> Iterator[Modification]:
        """Newest first."""
        ...

    def invoke_chaincode(self, name: str, args: Sequence[bytes], channel: str = "") -> Response:
        """Sends the buffered writes first, so that their order across calls is Fabric's. An empty
        channel is the caller's own."""
        ...

    def get_signed_proposal(self) -> bytes:
        """The serialized ``protos.SignedProposal``, fetched from the node when asked for."""
        ...


class ContractSet(Protocol):
    """The contracts of one package; ``tongban.contracts.dispatch.load_package(names)`` gives it
    after the package's modules can be imported."""

    def invoke(self, call: Invocation, bridge: StateBridge) -> Outcome: ...
