"""Approving, committing and querying definitions: what each reads and writes, and when it refuses.

Source: fabric core/chaincode/lifecycle/lifecycle.go, ExternalFunctions. An organization approves in
its own implicit collection; a commit compares the hashes of what the others approved.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from tongban.node.core.lifecycle import definitions, state_layout
from tongban.node.core.lifecycle.definitions import (
    LOCAL_PACKAGE_TYPE,
    PARAMETERS_TYPE,
    ChaincodeDefinition,
    ChaincodeParameters,
)
from tongban.node.core.lifecycle.errors import LifecycleRefused, NotDefined
from tongban.node.core.lifecycle.state_layout import (
    CHAINCODE_SOURCES,
    NAMESPACES,
    HashedState,
    ReadableState,
    WritableState,
    approval_name,
)
from tongban.protos import application_policy_pb2, collection_pb2
from tongban.protos.codec import parse

DEFAULT_ENDORSEMENT_PLUGIN = "escc"
DEFAULT_VALIDATION_PLUGIN = "vscc"
DEFAULT_POLICY = "/Channel/Application/Endorsement"
"""Who must endorse a chaincode whose definition does not say it."""


class DefinitionArgs(Protocol):
    """What the arguments of approving, checking and committing have in common."""

    sequence: int
    name: str
    version: str
    endorsement_plugin: str
    validation_plugin: str
    validation_parameter: bytes
    init_required: bool

    @property
    def collections(self) -> collection_pb2.CollectionConfigPackage: ...


@dataclass(frozen=True, slots=True)
class DefinitionScope:
    """The channel, as far as definitions depend on it."""

    channel_id: str
    has_policy: Callable[[str], bool]
    """Whether a path names a policy of the channel."""


class OrgApprovals(NamedTuple):
    """One organization's implicit collection, seen through its hashes."""

    msp_id: str
    state: HashedState


class Readiness(NamedTuple):
    """Who has approved a definition, by MSP id, and what the others approved differently."""

    approvals: dict[str, bool]
    mismatches: dict[str, list[str]]


class Approved(NamedTuple):
    """What an organization approved."""

    name: str
    definition: ChaincodeDefinition
    package_id: str
    """Empty if the organization does not run it."""


def build_definition(scope: DefinitionScope, args: DefinitionArgs) -> ChaincodeDefinition:
    """The definition that the arguments mean, defaults filled in.

    Raises:
        LifecycleRefused: the channel lacks the policy that is the default.
    """
    parameters = ChaincodeParameters(
        version=args.version,
        endorsement_plugin=args.endorsement_plugin or DEFAULT_ENDORSEMENT_PLUGIN,
        init_required=args.init_required,
        validation_plugin=args.validation_plugin or DEFAULT_VALIDATION_PLUGIN,
        validation_parameter=args.validation_parameter,
        collection_package=args.collections.SerializeToString(),
    )
    if not parameters.validation_parameter:
        parameters = replace(parameters, validation_parameter=_default_policy(scope))
    return ChaincodeDefinition(args.sequence, parameters)


def approve(
    scope: DefinitionScope,
    args: DefinitionArgs,
    package_id: str,
    public: ReadableState,
    org: WritableState,
) -> None:
    """The organization's collection holds its approval and the package it runs.

    Raises:
        LifecycleRefused: the sequence is not one to approve, or nothing would change.
    """
    current = definitions.read_sequence(public, args.name)
    requested = args.sequence
    _check_approvable(current, requested)
    definition = build_definition(scope, args)
    if requested == current:
        _check_same_as_committed(args.name, definition, public)
        if _is_unchanged(args.name, definition, package_id, org):
            raise LifecycleRefused(
                f"attempted to redefine the current committed sequence ({current}) for namespace "
                f"{args.name}"
            )
    elif _is_unchanged(args.name, definition, package_id, org):
        raise LifecycleRefused(
            f"attempted to redefine uncommitted sequence ({requested}) for namespace {args.name} "
            "with unchanged content"
        )
    name = approval_name(args.name, requested)
    state_layout.write_record(NAMESPACES, name, definition.parameters.to_record(), org)
    package = definitions.local_package_record(package_id)
    state_layout.write_record(CHAINCODE_SOURCES, name, package, org)


def check_readiness(
    scope: DefinitionScope,
    args: DefinitionArgs,
    public: ReadableState,
    orgs: Sequence[OrgApprovals],
) -> tuple[ChaincodeDefinition, Readiness]:
    """The definition and who has approved it.

    Raises:
        LifecycleRefused: its sequence is not the next one.
    """
    current = definitions.read_sequence(public, args.name)
    if args.sequence != current + 1:
        raise LifecycleRefused(
            f"requested sequence is {args.sequence}, but new definition must be sequence "
            f"{current + 1}"
        )
    definition = build_definition(scope, args)
    return definition, find_approvals(args.name, definition, orgs)


def commit(
    scope: DefinitionScope,
    args: DefinitionArgs,
    public: WritableState,
    orgs: Sequence[OrgApprovals],
    own_msp_id: str,
) -> None:
    """The public state holds the definition. Whether enough organizations approved is decided by
    who endorses this; a peer does only if its own organization did.

    Raises:
        LifecycleRefused: the sequence is wrong, or this organization has not approved.
    """
    definition, readiness = check_readiness(scope, args, public, orgs)
    state_layout.write_record(NAMESPACES, args.name, definition.to_record(), public)
    if not readiness.approvals.get(own_msp_id, False):
        raise LifecycleRefused(f"chaincode definition not agreed to by this org ({own_msp_id})")


def find_approvals(
    name: str, definition: ChaincodeDefinition, orgs: Iterable[OrgApprovals]
) -> Readiness:
    """Which organizations approved exactly this definition."""
    key = approval_name(name, definition.sequence)
    record = definition.parameters.to_record()
    readiness = Readiness({}, {})
    for org in orgs:
        mismatches = state_layout.find_mismatches(NAMESPACES, key, record, org.state)
        readiness.approvals[org.msp_id] = not mismatches
        if mismatches:
            readiness.mismatches[org.msp_id] = mismatches
    return readiness


def get_definition(name: str, public: ReadableState) -> ChaincodeDefinition:
    """The committed definition.

    Raises:
        NotDefined: there is none.
    """
    found = definitions.read_definition(public, name)
    if found is None:
        raise NotDefined(f"namespace {name} is not defined")
    return found


def get_approved(
    scope: DefinitionScope, name: str, sequence: int, public: ReadableState, org: ReadableState
) -> Approved:
    """What this organization approved under a sequence; 0 means the latest.

    Raises:
        LifecycleRefused: nothing.
    """
    if not sequence:
        sequence = definitions.read_sequence(public, name)
        upcoming = approval_name(name, sequence + 1)
        if state_layout.read_metadata(NAMESPACES, upcoming, org) is not None:
            sequence += 1
    found = find_approved(name, sequence, org)
    if found is None:
        raise LifecycleRefused(
            f"could not fetch approved chaincode definition (name: '{name}', sequence: "
            f"'{sequence}') on channel '{scope.channel_id}'"
        )
    return found


def find_approved(name: str, sequence: int, org: ReadableState) -> Approved | None:
    """What this organization approved under exactly this sequence, if it did.

    Raises:
        LifecycleRefused: its collection holds something else there.
    """
    key = approval_name(name, sequence)
    metadata = state_layout.read_metadata(NAMESPACES, key, org)
    if metadata is None:
        return None
    if metadata.datatype != PARAMETERS_TYPE:
        raise LifecycleRefused(f"not a chaincode parameters type: {metadata.datatype}")
    parameters = definitions.read_parameters(org, key)
    source = state_layout.read_metadata(CHAINCODE_SOURCES, key, org)
    if source is None:
        raise LifecycleRefused(f"could not fetch chaincode-source metadata for {key}")
    if source.datatype != LOCAL_PACKAGE_TYPE:
        raise LifecycleRefused(f"not a chaincode local package type: {source.datatype}")
    package_id = state_layout.read_string(CHAINCODE_SOURCES, key, "PackageID", org)
    return Approved(name, ChaincodeDefinition(sequence, parameters), package_id)


def _default_policy(scope: DefinitionScope) -> bytes:
    if not scope.has_policy(DEFAULT_POLICY):
        raise LifecycleRefused(
            f"could not set defaults for chaincode definition in channel {scope.channel_id}: "
            f"policy '{DEFAULT_POLICY}' must be defined for channel '{scope.channel_id}' before "
            "chaincode operations can be attempted"
        )
    return application_policy_pb2.ApplicationPolicy(
        channel_config_policy_reference=DEFAULT_POLICY
    ).SerializeToString()


def _check_approvable(current: int, requested: int) -> None:
    if current == requested == 0:
        raise LifecycleRefused("requested sequence is 0, but first definable sequence number is 1")
    if requested < current:
        raise LifecycleRefused(
            f"currently defined sequence {current} is larger than requested sequence {requested}"
        )
    if requested > current + 1:
        raise LifecycleRefused(
            f"requested sequence {requested} is larger than the next available sequence number "
            f"{current + 1}"
        )


def _check_same_as_committed(
    name: str, definition: ChaincodeDefinition, public: ReadableState
) -> None:
    committed = definitions.read_definition(public, name)
    if committed is None:
        raise LifecycleRefused(
            f"missing metadata for currently committed sequence number ({definition.sequence})"
        )
    difference = _find_difference(committed.parameters, definition.parameters)
    if difference is not None:
        raise LifecycleRefused(
            f"attempted to redefine the current committed sequence ({definition.sequence}) for "
            f"namespace {name} with different parameters: {difference}"
        )


def _is_unchanged(
    name: str, definition: ChaincodeDefinition, package_id: str, org: ReadableState
) -> bool:
    """Whether the organization has approved exactly this already. Reads no more than it needs:
    what is read is part of the endorsement."""
    key = approval_name(name, definition.sequence)
    if state_layout.read_metadata(NAMESPACES, key, org) is None:
        return False
    parameters = definitions.read_parameters(org, key)
    if _find_difference(parameters, definition.parameters) is not None:
        return False
    if state_layout.read_metadata(CHAINCODE_SOURCES, key, org) is None:
        return False
    known = state_layout.read_string(CHAINCODE_SOURCES, key, "PackageID", org)
    return known == package_id


def _find_difference(expected: ChaincodeParameters, passed: ChaincodeParameters) -> str | None:
    compared: tuple[tuple[str, str, str], ...] = (
        ("Version", expected.version, passed.version),
        ("EndorsementPlugin", expected.endorsement_plugin, passed.endorsement_plugin),
        ("InitRequired", _show(expected.init_required), _show(passed.init_required)),
        ("ValidationPlugin", expected.validation_plugin, passed.validation_plugin),
        (
            "ValidationParameter",
            expected.validation_parameter.hex(),
            passed.validation_parameter.hex(),
        ),
    )
    for what, old, new in compared:
        if old != new:
            return f"expected {what} '{old}' does not match passed {what} '{new}'"
    package = collection_pb2.CollectionConfigPackage
    if parse(package, expected.collection_package) != parse(package, passed.collection_package):
        return "Collections do not match"
    return None


def _show(flag: bool) -> str:
    return "true" if flag else "false"
