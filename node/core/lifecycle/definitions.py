"""Chaincode definitions: what a channel has agreed on about a chaincode, and how it is read.

Source: fabric core/chaincode/lifecycle/lifecycle.go and deployedcc_infoprovider.go.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from tongban.node.core.lifecycle import state_layout
from tongban.node.core.lifecycle.state_layout import (
    CHAINCODE_SOURCES,
    LIFECYCLE_NAMESPACE,
    NAMESPACES,
    MalformedRecord,
    ReadableState,
    Record,
)
from tongban.node.core.state import StateReader
from tongban.protos import collection_pb2, lifecycle_definition_pb2
from tongban.protos.codec import parse

DEFINITION_TYPE = "ChaincodeDefinition"
PARAMETERS_TYPE = "ChaincodeParameters"
LOCAL_PACKAGE_TYPE = "ChaincodeLocalPackage"


class CollectionDefinition(NamedTuple):
    """One explicit collection of a chaincode."""

    name: str
    member_orgs_policy: bytes
    """Serialized SignaturePolicyEnvelope of those who may hold the private values."""

    required_peer_count: int
    maximum_peer_count: int
    block_to_live: int
    """Blocks after which values vanish; 0 means never."""

    member_only_read: bool
    member_only_write: bool
    endorsement_policy: bytes
    """Serialized ApplicationPolicy; empty if the chaincode's policy holds."""


@dataclass(frozen=True)
class ChaincodeParameters:
    """Everything about a definition except its sequence: what organizations approve."""

    version: str
    endorsement_plugin: str
    init_required: bool
    validation_plugin: str
    validation_parameter: bytes
    """Serialized ApplicationPolicy: who must endorse."""

    collection_package: bytes
    """Serialized CollectionConfigPackage; empty if there are no collections."""

    @cached_property
    def collections(self) -> tuple[CollectionDefinition, ...]:
        package = parse(collection_pb2.CollectionConfigPackage, self.collection_package)
        return tuple(
            _parse_collection(config.static_collection_config)
            for config in package.config
            if config.HasField("static_collection_config")
        )

    def find_collection(self, name: str) -> CollectionDefinition | None:
        return next((entry for entry in self.collections if entry.name == name), None)

    def fields(self) -> dict[str, state_layout.FieldValue]:
        """The fields as they are kept, in the order of their list."""
        endorsement = lifecycle_definition_pb2.ChaincodeEndorsementInfo(
            version=self.version,
            init_required=self.init_required,
            endorsement_plugin=self.endorsement_plugin,
        )
        validation = lifecycle_definition_pb2.ChaincodeValidationInfo(
            validation_plugin=self.validation_plugin,
            validation_parameter=self.validation_parameter,
        )
        return {
            "EndorsementInfo": endorsement.SerializeToString(),
            "ValidationInfo": validation.SerializeToString(),
            "Collections": self.collection_package,
        }

    def to_record(self) -> Record:
        """As an organization keeps its approval."""
        return Record(PARAMETERS_TYPE, self.fields())


@dataclass(frozen=True)
class ChaincodeDefinition:
    """A committed definition, or one that is proposed."""

    sequence: int
    """1 for the first definition of a name, one more for each after it."""

    parameters: ChaincodeParameters

    @property
    def version(self) -> str:
        return self.parameters.version

    @property
    def init_required(self) -> bool:
        return self.parameters.init_required

    @property
    def validation_plugin(self) -> str:
        return self.parameters.validation_plugin

    @property
    def validation_parameter(self) -> bytes:
        return self.parameters.validation_parameter

    @property
    def collections(self) -> tuple[CollectionDefinition, ...]:
        return self.parameters.collections

    def find_collection(self, name: str) -> CollectionDefinition | None:
        return self.parameters.find_collection(name)

    def to_record(self) -> Record:
        """As the public state keeps it."""
        return Record(DEFINITION_TYPE, {"Sequence": self.sequence, **self.parameters.fields()})


class NamespaceState:
    """One public namespace of a state, as records are read from it."""

    __slots__ = ("_namespace", "_state")

    def __init__(self, state: StateReader, namespace: str = LIFECYCLE_NAMESPACE) -> None:
        self._state = state
        self._namespace = namespace

    def get(self, key: str) -> bytes | None:
        found = self._state.get(self._namespace, key.encode())
        return None if found is None else found.value


def find_definition(state: StateReader, name: str) -> ChaincodeDefinition | None:
    """The committed definition of a chaincode; None if it has none.

    Raises:
        MalformedRecord, MalformedMessage: the state holds something else under its name.
    """
    return read_definition(NamespaceState(state), name)


def read_definition(state: ReadableState, name: str) -> ChaincodeDefinition | None:
    """As :func:`find_definition`, through any reader of the lifecycle namespace. An undefined
    name reads one key, a defined one five."""
    metadata = state_layout.read_metadata(NAMESPACES, name, state)
    if metadata is None:
        return None
    if metadata.datatype != DEFINITION_TYPE:
        raise MalformedRecord(f"not a chaincode type: {metadata.datatype}")
    sequence = read_sequence(state, name)
    return ChaincodeDefinition(sequence, read_parameters(state, name))


def read_sequence(state: ReadableState, name: str) -> int:
    """The sequence of the committed definition; 0 if there is none."""
    return state_layout.read_number(NAMESPACES, name, "Sequence", state)


def sequence_key(name: str) -> str:
    """The one key that :func:`read_sequence` reads."""
    return state_layout.field_key(NAMESPACES, name, "Sequence")


def read_parameters(state: ReadableState, name: str) -> ChaincodeParameters:
    """The parameters kept under a chaincode's name or under an approval's."""
    endorsement = parse(
        lifecycle_definition_pb2.ChaincodeEndorsementInfo,
        state_layout.read_bytes(NAMESPACES, name, "EndorsementInfo", state),
    )
    validation = parse(
        lifecycle_definition_pb2.ChaincodeValidationInfo,
        state_layout.read_bytes(NAMESPACES, name, "ValidationInfo", state),
    )
    return ChaincodeParameters(
        version=endorsement.version,
        endorsement_plugin=endorsement.endorsement_plugin,
        init_required=endorsement.init_required,
        validation_plugin=validation.validation_plugin,
        validation_parameter=validation.validation_parameter,
        collection_package=state_layout.read_bytes(NAMESPACES, name, "Collections", state),
    )


def local_package_record(package_id: str) -> Record:
    """As an organization keeps which package it runs; empty if it runs none."""
    return Record(LOCAL_PACKAGE_TYPE, {"PackageID": package_id})


def package_id_key(chaincode: str, sequence: int) -> str:
    """Where an organization's implicit collection keeps the package id of an approval."""
    name = state_layout.approval_name(chaincode, sequence)
    return state_layout.field_key(CHAINCODE_SOURCES, name, "PackageID")


def _parse_collection(config: collection_pb2.StaticCollectionConfig) -> CollectionDefinition:
    policy = b""
    if config.HasField("endorsement_policy"):
        policy = config.endorsement_policy.SerializeToString()
    return CollectionDefinition(
        name=config.name,
        member_orgs_policy=config.member_orgs_policy.signature_policy.SerializeToString(),
        required_peer_count=config.required_peer_count,
        maximum_peer_count=config.maximum_peer_count,
        block_to_live=config.block_to_live,
        member_only_read=config.member_only_read,
        member_only_write=config.member_only_write,
        endorsement_policy=policy,
    )
