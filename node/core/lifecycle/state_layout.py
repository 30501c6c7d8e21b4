"""How chaincode definitions and approvals lie in the state: one key per field, one for the list.

A record ``<space>/<name>`` has a key ``<space>/metadata/<name>`` that names its type and fields,
and a key ``<space>/fields/<name>/<Field>`` for each field. Only what changes is written, so that
the write set of an upgrade holds nothing else; every peer must write the same keys
(fabric core/chaincode/lifecycle/serializer.go).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tongban.protos import lifecycle_db_pb2
from tongban.protos.codec import parse
from tongban.protos.digest import sha256
from tongban.protos.errors import TongbanError

LIFECYCLE_NAMESPACE = "_lifecycle"
"""The namespace of chaincode definitions, and the name of the system chaincode that keeps it."""

NAMESPACES = "namespaces"
"""Space of definitions (public state) and of approved parameters (implicit collections)."""

CHAINCODE_SOURCES = "chaincode-sources"
"""Space of package ids, in implicit collections only."""

_IMPLICIT_PREFIX = "_implicit_org_"

FieldValue = str | int | bytes
"""A field's value: a string, a signed 64-bit number, or bytes."""


class MalformedRecord(TongbanError):
    """The state holds something that is not a record of the expected type."""


class ReadableState(Protocol):
    """Reads one namespace, or one collection of it."""

    def get(self, key: str) -> bytes | None: ...


class WritableState(ReadableState, Protocol):
    """Also writes it."""

    def put(self, key: str, value: bytes) -> None: ...

    def delete(self, key: str) -> None: ...


class HashedState(Protocol):
    """Sees only the hashes of a collection's values."""

    def get_hash(self, key: str) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept under one name."""

    datatype: str
    fields: Mapping[str, FieldValue]
    """In the order in which the metadata lists them."""


def metadata_key(space: str, name: str) -> str:
    return f"{space}/metadata/{name}"


def field_key(space: str, name: str, field: str) -> str:
    return f"{space}/fields/{name}/{field}"


def approval_name(chaincode: str, sequence: int) -> str:
    """The name under which an organization keeps its approval of one definition."""
    return f"{chaincode}#{sequence}"


def implicit_collection(msp_id: str) -> str:
    """The collection that an organization has in every chaincode without defining it
    (fabric core/chaincode/implicitcollection)."""
    return _IMPLICIT_PREFIX + msp_id


def implicit_collection_owner(collection: str) -> str | None:
    """The MSP id of an implicit collection's organization; None for any other collection."""
    if collection.startswith(_IMPLICIT_PREFIX):
        return collection[len(_IMPLICIT_PREFIX) :]
    return None


def encode_field(value: FieldValue) -> bytes:
    """The bytes of a field's key. Empty bytes are present, with length zero."""
    if isinstance(value, str):
        return lifecycle_db_pb2.StateData(String=value).SerializeToString()
    if isinstance(value, int):
        return lifecycle_db_pb2.StateData(Int64=value).SerializeToString()
    return lifecycle_db_pb2.StateData(Bytes=value).SerializeToString()


def encode_metadata(record: Record) -> bytes:
    return lifecycle_db_pb2.StateMetadata(
        datatype=record.datatype, fields=list(record.fields)
    ).SerializeToString()


def read_metadata(
    space: str, name: str, state: ReadableState
) -> lifecycle_db_pb2.StateMetadata | None:
    """What is recorded under this name; None if nothing is.

    Raises:
        MalformedMessage: the state holds other bytes there.
    """
    data = state.get(metadata_key(space, name))
    if data is None:
        return None
    return parse(lifecycle_db_pb2.StateMetadata, data, f"metadata of {space}/{name}")


def read_string(space: str, name: str, field: str, state: ReadableState) -> str:
    """A field that holds a string; empty if there is none."""
    data = _read_field(space, name, field, state)
    return data.String if _holds(data, "String", space, name, field) else ""


def read_number(space: str, name: str, field: str, state: ReadableState) -> int:
    """A field that holds a number; zero if there is none."""
    data = _read_field(space, name, field, state)
    return data.Int64 if _holds(data, "Int64", space, name, field) else 0


def read_bytes(space: str, name: str, field: str, state: ReadableState) -> bytes:
    """A field that holds bytes; empty if there is none."""
    data = _read_field(space, name, field, state)
    return data.Bytes if _holds(data, "Bytes", space, name, field) else b""


def write_record(space: str, name: str, record: Record, state: WritableState) -> None:
    """The state holds the record under this name, written with as few keys as possible."""
    metadata = read_metadata(space, name, state)
    known = list(metadata.fields) if metadata is not None else []
    existing = {field_key(space, name, field): b"" for field in known}
    for key in existing:
        existing[key] = state.get(key) or b""
    for field, value in record.fields.items():
        key = field_key(space, name, field)
        encoded = encode_field(value)
        if existing.pop(key, None) != encoded:
            state.put(key, encoded)
    datatype = metadata.datatype if metadata is not None else ""
    if existing or datatype != record.datatype or len(known) != len(record.fields):
        state.put(metadata_key(space, name), encode_metadata(record))
    for key in existing:
        state.delete(key)


def find_mismatches(space: str, name: str, record: Record, state: HashedState) -> list[str]:
    """The fields whose hashes differ from this record's; the type's name alone if its list of
    fields differs or nothing is there. Reads the hash of every key either way."""
    metadata_hash = state.get_hash(metadata_key(space, name))
    hashes = {field: state.get_hash(field_key(space, name, field)) for field in record.fields}
    if metadata_hash != sha256(encode_metadata(record)):
        return [record.datatype]
    return [
        field
        for field, value in record.fields.items()
        if hashes[field] != sha256(encode_field(value))
    ]


def _read_field(
    space: str, name: str, field: str, state: ReadableState
) -> lifecycle_db_pb2.StateData:
    key = field_key(space, name, field)
    return parse(lifecycle_db_pb2.StateData, state.get(key) or b"", key)


def _holds(data: lifecycle_db_pb2.StateData, kind: str, space: str, name: str, field: str) -> bool:
    found = data.WhichOneof("Type")
    if found is None:
        return False
    if found != kind:
        key = field_key(space, name, field)
        raise MalformedRecord(f"expected key {key} to encode a value of type {kind}, found {found}")
    return True
