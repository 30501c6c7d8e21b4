"""What a contract can ask of the ledger and say to it: one transaction's view.

Rules that surprise, and hold on every Fabric peer:

- Reads come from the state as committed before this transaction. **A function does not see its
  own writes**, nor those of a contract it called.
- An absent value is ``b""``, and writing ``b""`` deletes.
- What is read is checked again when the block is validated: if another transaction changed it in
  between, this one is refused. History and private ranges are not checked.
- A function that raises leaves no writes and no event. A transaction has one event, the last one
  set; events of called contracts are dropped.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from tongban.contracts import composite
from tongban.contracts.endorsement import VALIDATION_PARAMETER
from tongban.contracts.errors import ContractError
from tongban.contracts.responses import payload_of
from tongban.contracts.runtime.bridge import (
    Invocation,
    Modification,
    Page,
    Response,
    Row,
    StateBridge,
)
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import ChannelHeader, Header, SignatureHeader
from tongban.protos.errors import TongbanError
from tongban.protos.proposal_pb2 import ChaincodeHeaderExtension, Proposal, SignedProposal


class HistoryEntry(NamedTuple):
    """One committed change of a key."""

    tx_id: str
    value: bytes
    timestamp: datetime
    """UTC, cut to microseconds."""
    is_delete: bool


class Rows(Iterator[Row]):
    """Rows of a range in ascending order of their keys.

    The range is opened at once, so it is checked at validation even if it is never read. Rows
    come in pages of the node; those of a page are part of what is checked although the loop stops
    before them.
    """

    def __init__(self, rows: Iterator[Row]) -> None:
        self._rows = rows
        self._first = next(rows, None)
        self._is_open = self._first is not None

    def __next__(self) -> Row:
        if not self._is_open:
            raise StopIteration
        row, self._first = self._first, None
        if row is None:
            row = next(self._rows, None)
        if row is None:
            self._is_open = False
            raise StopIteration
        return row

    def close(self) -> None:
        """No more rows come, and the node forgets the query."""
        self._is_open = False
        close = getattr(self._rows, "close", None)
        if close is not None:
            close()

    def __enter__(self) -> "Rows":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class Stub:
    """The ledger as one transaction of one contract sees it."""

    def __init__(self, call: Invocation, bridge: StateBridge) -> None:
        self._call = call
        self._bridge = bridge
        self.is_read_only = False
        """Set while an ``@evaluate`` function runs; writes are refused then."""
        self.has_called_others = False
        """Whether writes may be out of reach of an error that this contract raises now: the
        transaction keeps what was written before a call, and what the other contract wrote."""

    # The proposal

    @property
    def args(self) -> tuple[bytes, ...]:
        """The arguments as they came, the function's name first."""
        return self._call.args

    @property
    def tx_id(self) -> str:
        return self._call.tx_id

    @property
    def channel_id(self) -> str:
        return self._call.channel_id

    @property
    def chaincode_name(self) -> str:
        """The name under which this channel defines the package."""
        return self._call.chaincode_name

    @property
    def is_init(self) -> bool:
        """Whether the client asked for initialization."""
        return self._call.is_init

    @property
    def transient(self) -> Mapping[str, bytes]:
        """What the client passes to the endorsers only; it never reaches the ledger."""
        return self._call.transient

    @property
    def creator(self) -> bytes:
        """The client's serialized identity; ``ctx.client`` reads it."""
        return self._call.creator

    @property
    def decorations(self) -> Mapping[str, bytes]:
        """What the peer added to the proposal."""
        return self._call.decorations

    @property
    def timestamp(self) -> datetime:
        """When the client says it made the proposal: UTC, cut to microseconds, the same on all
        peers. It is the client's word; a peer refuses one far from its own clock."""
        return moment_of(self._call.timestamp_seconds, self._call.timestamp_nanos)

    @property
    def timestamp_parts(self) -> tuple[int, int]:
        """The same as seconds since 1970 UTC and nanoseconds."""
        return self._call.timestamp_seconds, self._call.timestamp_nanos

    @cached_property
    def signed_proposal(self) -> bytes:
        """The serialized ``protos.SignedProposal`` of the client."""
        return self._bridge.get_signed_proposal()

    @cached_property
    def binding(self) -> bytes:
        """SHA-256 of nonce, creator and epoch: binds other data to this very proposal
        (fabric protoutil/proputils.go, ComputeProposalBinding)."""
        try:
            signed = parse(SignedProposal, self.signed_proposal)
            header = parse(Header, parse(Proposal, signed.proposal_bytes).header)
            signature = parse(SignatureHeader, header.signature_header)
            epoch = parse(ChannelHeader, header.channel_header).epoch
        except TongbanError as error:
            raise ContractError("INVALID_PROPOSAL", str(error)) from None
        bound = signature.nonce + signature.creator + epoch.to_bytes(8, "little")
        return hashlib.sha256(bound).digest()

    @cached_property
    def entry_chaincode(self) -> str:
        """The chaincode that the client called: this one, or the first of those that led here by
        calling each other. The client signed it, and each of them has its own endorsers."""
        try:
            signed = parse(SignedProposal, self.signed_proposal)
            header = parse(Header, parse(Proposal, signed.proposal_bytes).header)
            extension = parse(ChannelHeader, header.channel_header).extension
            return parse(ChaincodeHeaderExtension, extension).chaincode_id.name
        except TongbanError as error:
            raise ContractError("INVALID_PROPOSAL", str(error)) from None

    # Public state

    def get_state(self, key: str) -> bytes:
        """The committed value, ``b""`` if there is none."""
        return self._bridge.get_state(key)

    def get_multiple(self, keys: Sequence[str]) -> list[bytes]:
        """The committed values in the order of the keys, in one round trip to the node."""
        return self._bridge.get_state_multiple(keys)

    def put_state(self, key: str, value: bytes) -> None:
        """The key will have this value if the transaction is valid."""
        self._verify_write(key)
        self._bridge.writes.put(key, value)

    def delete_state(self, key: str) -> None:
        """The key will have no value. Deleting an absent key is allowed."""
        self._verify_write(key)
        self._bridge.writes.delete(key)

    def get_state_by_range(self, start: str, end: str) -> Rows:
        """Plain keys from ``start`` up to but not including ``end``; empty means open. Composite
        keys are left out."""
        return Rows(self._bridge.scan(*composite.plain_range(start, end)))

    def get_state_by_range_with_pagination(
        self, start: str, end: str, page_size: int, bookmark: str = ""
    ) -> Page:
        """One page of a range. The bookmark of a page starts the next; empty at the end. A
        transaction that reads pages cannot write."""
        first, last = composite.plain_range(start, end)
        return self._bridge.range(first, last, page_size, bookmark)

    def get_state_by_partial_composite_key(
        self, object_type: str, attributes: Sequence[str] = ()
    ) -> Rows:
        """All keys of a type, or of a type and these first attributes."""
        return Rows(self._bridge.scan(*composite.partial_range(object_type, attributes)))

    def get_state_by_partial_composite_key_with_pagination(
        self, object_type: str, attributes: Sequence[str], page_size: int, bookmark: str = ""
    ) -> Page:
        """One page of them; see :meth:`get_state_by_range_with_pagination`."""
        first, last = composite.partial_range(object_type, attributes)
        return self._bridge.range(first, last, page_size, bookmark)

    def create_composite_key(self, object_type: str, attributes: Sequence[str]) -> str:
        """See :func:`tongban.contracts.composite.create_composite_key`."""
        return composite.create_composite_key(object_type, attributes)

    def split_composite_key(self, key: str) -> tuple[str, list[str]]:
        """Type and attributes of a composite key."""
        return composite.split_composite_key(key)

    def get_history_for_key(self, key: str) -> Iterator[HistoryEntry]:
        """Committed changes of the key, newest first. Not checked at validation."""
        return map(_history_entry, self._bridge.history(key))

    def get_query_result(self, query: str) -> Rows:
        """Rows of a rich query, where the peer's state database answers such; LevelDB refuses.
        Which rows there are is not checked again at validation."""
        return Rows(self._bridge.query(query))

    def get_query_result_with_pagination(
        self, query: str, page_size: int, bookmark: str = ""
    ) -> Page:
        """One page of a rich query. A transaction that reads pages cannot write."""
        return self._bridge.query_page(query, page_size, bookmark)

    # Who must endorse a key

    def get_state_validation_parameter(self, key: str) -> bytes:
        """The key's own endorsement policy, ``b""`` if the contract's applies."""
        return self._bridge.get_metadata(key).get(VALIDATION_PARAMETER, b"")

    def set_state_validation_parameter(self, key: str, policy: bytes) -> None:
        """The key will have its own endorsement policy (see ``endorsement``); ``b""`` removes
        it. A policy on a key without value is ignored."""
        self._verify_write(key)
        self._bridge.writes.put_metadata(key, VALIDATION_PARAMETER, policy)

    # Private data

    def get_private_data(self, collection: str, key: str) -> bytes:
        """The committed private value. Refused on peers that do not hold the collection."""
        composite.verify_collection(collection)
        return self._bridge.get_state(key, collection)

    def get_multiple_private_data(self, collection: str, keys: Sequence[str]) -> list[bytes]:
        """The committed private values in the order of the keys."""
        composite.verify_collection(collection)
        return self._bridge.get_state_multiple(keys, collection)

    def get_private_data_hash(self, collection: str, key: str) -> bytes:
        """SHA-256 of the committed private value, which every peer of the channel has."""
        composite.verify_collection(collection)
        return self._bridge.get_private_data_hash(key, collection)

    def get_private_data_by_range(self, collection: str, start: str, end: str) -> Rows:
        """Private keys of a range. Not checked at validation, so only for transactions that do
        not write."""
        composite.verify_collection(collection)
        return Rows(self._bridge.scan(*composite.plain_range(start, end), collection))

    def get_private_data_by_partial_composite_key(
        self, collection: str, object_type: str, attributes: Sequence[str] = ()
    ) -> Rows:
        """Private keys of a type; see :meth:`get_private_data_by_range`."""
        composite.verify_collection(collection)
        return Rows(
            self._bridge.scan(*composite.partial_range(object_type, attributes), collection)
        )

    def get_private_data_query_result(self, collection: str, query: str) -> Rows:
        """Rows of a rich query over private data, as for :meth:`get_query_result`."""
        composite.verify_collection(collection)
        return Rows(self._bridge.query(query, collection))

    def put_private_data(self, collection: str, key: str, value: bytes) -> None:
        """The members of the collection will hold this value, everybody its hash."""
        self._verify_write(key, collection)
        self._bridge.writes.put(key, value, collection)

    def delete_private_data(self, collection: str, key: str) -> None:
        """The key will have no private value."""
        self._verify_write(key, collection)
        self._bridge.writes.delete(key, collection)

    def purge_private_data(self, collection: str, key: str) -> None:
        """The private value will go, and every earlier one with it."""
        self._verify_write(key, collection)
        self._bridge.writes.purge(key, collection)

    def get_private_data_validation_parameter(self, collection: str, key: str) -> bytes:
        """The private key's own endorsement policy, ``b""`` if none."""
        composite.verify_collection(collection)
        return self._bridge.get_metadata(key, collection).get(VALIDATION_PARAMETER, b"")

    def set_private_data_validation_parameter(
        self, collection: str, key: str, policy: bytes
    ) -> None:
        """The private key will have its own endorsement policy; ``b""`` removes it."""
        self._verify_write(key, collection)
        self._bridge.writes.put_metadata(key, VALIDATION_PARAMETER, policy, collection)

    # Others

    def mark_writes(self) -> int:
        """A place among the writes so far, for :meth:`drop_writes`."""
        return len(self._bridge.writes.pending)

    def drop_writes(self, mark: int) -> None:
        """What was written since that mark is not, nor an event set, unless another contract was
        called meanwhile."""
        del self._bridge.writes.pending[mark:]
        self._bridge.writes.event = None

    @property
    def has_event(self) -> bool:
        return self._bridge.writes.event is not None

    def set_event(self, name: str, payload: bytes = b"") -> None:
        """The transaction carries this event, and no other."""
        if not name:
            raise ContractError("INVALID_EVENT", "event name can not be empty string")
        self._verify_writable()
        self._bridge.writes.set_event(name, payload)

    def invoke_chaincode(
        self, name: str, args: Sequence[str | bytes], channel: str = ""
    ) -> Response:
        """The answer of another contract, called with these arguments, its function's name
        first. On this channel (the default) its reads and writes are part of this transaction;
        on another only its answer is used."""
        encoded = [arg.encode("utf-8") if isinstance(arg, str) else bytes(arg) for arg in args]
        self.has_called_others = True
        return self._bridge.invoke_chaincode(name, encoded, channel)

    def ask(self, name: str, function: str, *args: str | bytes) -> bytes:
        """The payload that a function of another contract answers which only reads. Unlike
        :meth:`call`, what this function has written so far stays here meanwhile.

        Raises:
            ContractError: the other's refusal.
        """
        encoded = [
            arg.encode("utf-8") if isinstance(arg, str) else arg for arg in (function, *args)
        ]
        held = self._bridge.writes.take()
        try:
            response = self._bridge.invoke_chaincode(name, encoded)
        finally:
            self._bridge.writes.pending[:0] = held
        return payload_of(response)

    def call(self, name: str, function: str, *args: str | bytes, channel: str = "") -> bytes:
        """The payload that another contract's function answers; see :meth:`invoke_chaincode`.

        Raises:
            ContractError: the other's refusal, with its code, text, details and status.
        """
        return payload_of(self.invoke_chaincode(name, [function, *args], channel))

    def _verify_writable(self) -> None:
        if self.is_read_only:
            raise ContractError(
                "READ_ONLY", "an @evaluate function cannot write; declare it @submit"
            )

    def _verify_write(self, key: str, collection: str | None = None) -> None:
        self._verify_writable()
        if collection is not None:
            composite.verify_collection(collection)
        composite.verify_key(key)


def _history_entry(entry: Modification) -> HistoryEntry:
    moment = moment_of(entry.timestamp_seconds, entry.timestamp_nanos)
    return HistoryEntry(entry.tx_id, entry.value, moment, entry.is_delete)


def moment_of(seconds: int, nanos: int) -> datetime:
    """A protobuf timestamp as UTC, cut to microseconds.

    Raises:
        ContractError: INVALID_PROPOSAL, the calendar does not have it.
    """
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
            seconds=seconds, microseconds=nanos // 1000
        )
    except OverflowError:
        raise ContractError(
            "INVALID_PROPOSAL", "the proposal's time is outside the years 1 to 9999"
        ) from None
