"""What a chaincode definition must look like before an organization approves or commits it.

Source: fabric core/chaincode/lifecycle/scc.go, validateInput. The texts are Fabric's: the ``peer``
command shows them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tongban.node.core.lifecycle.definitions import ChaincodeDefinition
from tongban.node.core.lifecycle.errors import LifecycleRefused
from tongban.protos import (
    collection_pb2,
    msp_principal_pb2,
    policies_pb2,
)
from tongban.protos.codec import parse
from tongban.protos.errors import MalformedMessage, TongbanError

_NAME = re.compile(r"[a-zA-Z0-9]+([-_][a-zA-Z0-9]+)*", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9_.+-]+", re.ASCII)
_COLLECTION = re.compile(r"[A-Za-z0-9-]+[A-Za-z0-9_-]*", re.ASCII)
_RESERVED = frozenset({"cscc", "escc", "lscc", "qscc", "vscc"})


class ChannelMembers(Protocol):
    """Who is on the channel, as far as member policies of collections refer to them."""

    @property
    def msps(self) -> Mapping[str, Any]:
        """By MSP id."""
        ...

    def deserialize(self, serialized: bytes) -> object:
        """Raises a TongbanError if the identity is of none of them."""
        ...


class PolicyCheck(Protocol):
    """Raises a TongbanError if a signature policy cannot be evaluated on the channel."""

    def __call__(self, policy: policies_pb2.SignaturePolicyEnvelope) -> object: ...


def check_name_and_version(name: str, version: str) -> None:
    """Return if a chaincode may have this name and version.

    Raises:
        LifecycleRefused: it may not.
    """
    if _NAME.fullmatch(name) is None:
        raise LifecycleRefused(
            f"invalid chaincode name '{name}'. Names can only consist of alphanumerics, '_', and "
            "'-' and can only begin with alphanumerics"
        )
    if name in _RESERVED:
        raise LifecycleRefused(f"chaincode name '{name}' is the name of a system chaincode")
    if _VERSION.fullmatch(version) is None:
        raise LifecycleRefused(
            f"invalid chaincode version '{version}'. Versions can only consist of alphanumerics, "
            "'_', '-', '+', and '.'"
        )


def read_collections(
    package: collection_pb2.CollectionConfigPackage,
) -> list[collection_pb2.StaticCollectionConfig]:
    """The collections of a package.

    Raises:
        LifecycleRefused: an entry is of a kind that nobody knows.
    """
    if not all(entry.HasField("static_collection_config") for entry in package.config):
        raise LifecycleRefused("collection config contains unexpected payload type: <nil>")
    return [entry.static_collection_config for entry in package.config]


def check_collections(
    collections: Sequence[collection_pb2.StaticCollectionConfig],
    members: ChannelMembers,
    check_policy: PolicyCheck,
) -> None:
    """Return if the collections can exist on the channel.

    Raises:
        LifecycleRefused: a name, a count or a member policy is wrong.
    """
    seen = set()
    for entry in collections:
        name = entry.name
        if _COLLECTION.fullmatch(name) is None:
            raise LifecycleRefused(
                f"invalid collection name '{name}'. Names can only consist of alphanumerics, '_', "
                "and '-' and cannot begin with '_'"
            )
        if name in seen:
            raise LifecycleRefused(
                f"collection-name: {name} -- found duplicate in collection configuration"
            )
        seen.add(name)
        required, maximum = entry.required_peer_count, entry.maximum_peer_count
        if maximum < required:
            raise LifecycleRefused(
                f"collection-name: {name} -- maximum peer count ({maximum}) cannot be less than "
                f"the required peer count ({required})"
            )
        if required < 0:
            raise LifecycleRefused(
                f"collection-name: {name} -- requiredPeerCount ({required}) cannot be less than "
                "zero"
            )
        _check_member_policy(entry, members, check_policy)


def check_against_committed(
    collections: Sequence[collection_pb2.StaticCollectionConfig],
    committed: ChaincodeDefinition | None,
) -> None:
    """Return if an upgrade keeps every collection and how long its values live.

    Raises:
        LifecycleRefused: it does not.
    """
    if committed is None or not committed.collections:
        return
    if not collections:
        raise LifecycleRefused(
            "the proposed collection config does not contain previously defined collections"
        )
    proposed = {entry.name: entry for entry in collections}
    for old in committed.collections:
        new = proposed.get(old.name)
        if new is None:
            raise LifecycleRefused(
                f"existing collection [{old.name}] missing in the proposed collection configuration"
            )
        if new.block_to_live != old.block_to_live:
            raise LifecycleRefused(
                f"the BlockToLive in an existing collection [{old.name}] modified. "
                f"Existing value [{old.block_to_live}]"
            )


def _check_member_policy(
    entry: collection_pb2.StaticCollectionConfig,
    members: ChannelMembers,
    check_policy: PolicyCheck,
) -> None:
    name = entry.name
    if not entry.HasField("member_orgs_policy"):
        raise LifecycleRefused(f"collection member policy is not set for collection '{name}'")
    if not entry.member_orgs_policy.HasField("signature_policy"):
        raise LifecycleRefused(f"collection member org policy is empty for collection '{name}'")
    policy = entry.member_orgs_policy.signature_policy
    try:
        check_policy(policy)
    except TongbanError as error:
        raise LifecycleRefused(
            f"invalid member org policy for collection '{name}': {error}"
        ) from None
    _check_is_or(name, policy.rule)
    for principal in policy.identities:
        _check_member(name, principal, members)


def _check_is_or(name: str, rule: policies_pb2.SignaturePolicy) -> None:
    """Nesting is bounded by the parser, so recursion is."""
    if not rule.HasField("n_out_of"):
        return
    if rule.n_out_of.n != 1:
        raise LifecycleRefused(
            f"collection-name: {name} -- error in member org policy: signature policy is not an OR "
            f"concatenation, NOutOf {rule.n_out_of.n}"
        )
    for inner in rule.n_out_of.rules:
        _check_is_or(name, inner)


def _check_member(
    name: str, principal: msp_principal_pb2.MSPPrincipal, members: ChannelMembers
) -> None:
    kind = principal.principal_classification
    if kind == msp_principal_pb2.MSPPrincipal.IDENTITY:
        try:
            members.deserialize(principal.principal)
        except TongbanError:
            raise LifecycleRefused(
                f"collection-name: {name} -- contains an identity that is not part of the channel"
            ) from None
        return
    try:
        if kind == msp_principal_pb2.MSPPrincipal.ROLE:
            shown = "MSPRole"
            msp_id = parse(msp_principal_pb2.MSPRole, principal.principal).msp_identifier
        elif kind == msp_principal_pb2.MSPPrincipal.ORGANIZATION_UNIT:
            shown = "OrganizationUnit"
            msp_id = parse(msp_principal_pb2.OrganizationUnit, principal.principal).msp_identifier
        else:
            raise LifecycleRefused(
                f"collection-name: {name} -- principal type {_show_kind(kind)} is not supported"
            )
    except MalformedMessage as error:
        raise LifecycleRefused(
            f"collection-name: {name} -- cannot unmarshal identity bytes into {shown}: {error}"
        ) from None
    if msp_id not in members.msps:
        raise LifecycleRefused(
            f"collection-name: {name} -- collection member '{msp_id}' is not part of the channel"
        )


def _show_kind(kind: int) -> str:
    known = msp_principal_pb2.MSPPrincipal.Classification.DESCRIPTOR.values_by_number.get(kind)
    return str(kind) if known is None else known.name
