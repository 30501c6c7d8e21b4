"""Whether this organization can run a chaincode: approved as committed, and its package is here.

Decided from public state and hashes alone, and outside of any simulation: it leaves no reads
(fabric core/chaincode/lifecycle/cache.go).
"""

from typing import NamedTuple, Protocol

from tongban.node.core.lifecycle import definitions, state_layout
from tongban.node.core.lifecycle.definitions import ChaincodeDefinition
from tongban.node.core.lifecycle.state_layout import (
    CHAINCODE_SOURCES,
    LIFECYCLE_NAMESPACE,
    NAMESPACES,
    approval_name,
    implicit_collection,
)
from tongban.node.core.state import StateReader, hashed_namespace
from tongban.protos.digest import sha256


class PackageIndex(Protocol):
    """The packages installed on this peer."""

    def find_by_digest(self, digest: bytes) -> str | None:
        """The id of the package whose :func:`package_id_digest` this is."""
        ...


class Availability(NamedTuple):
    """A committed definition, seen from one organization."""

    definition: ChaincodeDefinition
    is_approved: bool
    package_id: str | None
    """The installed package that the organization approved; None if there is none."""


class HashedCollection:
    """The hashes of one collection of a state."""

    __slots__ = ("_namespace", "_state")

    def __init__(
        self, state: StateReader, collection: str, namespace: str = LIFECYCLE_NAMESPACE
    ) -> None:
        self._state = state
        self._namespace = hashed_namespace(namespace, collection)

    def get_hash(self, key: str) -> bytes | None:
        found = self._state.get(self._namespace, sha256(key.encode()))
        return None if found is None else found.value


def package_id_digest(package_id: str) -> bytes:
    """What an approval with this package id leaves in the hashed state."""
    return sha256(state_layout.encode_field(package_id))


def find_availability(
    state: StateReader, name: str, msp_id: str, packages: PackageIndex
) -> Availability | None:
    """How a committed definition stands for an organization; None if it is not committed.

    Raises:
        MalformedRecord, MalformedMessage: the state holds something else under its name.
    """
    definition = definitions.find_definition(state, name)
    if definition is None:
        return None
    org = HashedCollection(state, implicit_collection(msp_id))
    key = approval_name(name, definition.sequence)
    record = definition.parameters.to_record()
    if state_layout.find_mismatches(NAMESPACES, key, record, org):
        return Availability(definition, False, None)
    source = definitions.local_package_record("")
    metadata_digest = sha256(state_layout.encode_metadata(source))
    if org.get_hash(state_layout.metadata_key(CHAINCODE_SOURCES, key)) != metadata_digest:
        return Availability(definition, True, None)
    digest = org.get_hash(definitions.package_id_key(name, definition.sequence))
    package_id = None if digest is None else packages.find_by_digest(digest)
    return Availability(definition, True, package_id)


def list_definitions(state: StateReader) -> list[str]:
    """The names of all chaincodes with a committed definition, ascending."""
    prefix = state_layout.metadata_key(NAMESPACES, "")
    rows = state.scan(LIFECYCLE_NAMESPACE, prefix.encode(), (prefix + "\x7f").encode())
    return [key.decode()[len(prefix) :] for key, _ in rows]
