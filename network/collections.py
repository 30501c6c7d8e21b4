"""Private data collections from the JSON file that Fabric's tools read.

A list of objects: ``name``, ``policy`` (in the policy language), ``requiredPeerCount``,
``maxPeerCount``, ``blockToLive``, ``memberOnlyRead``, ``memberOnlyWrite``, ``endorsementPolicy``
with ``signaturePolicy`` or ``channelConfigPolicy`` (fabric internal/peer/chaincode/common.go).
"""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from tongban.network.errors import NetworkError
from tongban.node.core.policy import parse_policy
from tongban.protos.application_policy_pb2 import ApplicationPolicy
from tongban.protos.collection_pb2 import (
    CollectionConfig,
    CollectionConfigPackage,
    CollectionPolicyConfig,
    StaticCollectionConfig,
)


class _EndorsementPolicy(BaseModel):
    model_config = ConfigDict(extra="forbid")

    signaturePolicy: str = ""  # noqa: N815, the file's spelling
    channelConfigPolicy: str = ""  # noqa: N815


class _Collection(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    policy: str
    requiredPeerCount: int = 0  # noqa: N815
    maxPeerCount: int = 1  # noqa: N815
    blockToLive: int = 0  # noqa: N815
    memberOnlyRead: bool = False  # noqa: N815
    memberOnlyWrite: bool = False  # noqa: N815
    endorsementPolicy: _EndorsementPolicy | None = None  # noqa: N815


def read_collections(path: Path | None) -> CollectionConfigPackage:
    """The collections in a file; none if there is no file.

    Raises:
        NetworkError: the file cannot be used; names the place.
        InvalidPolicy: a policy in it cannot be read.
    """
    if path is None:
        return CollectionConfigPackage()
    try:
        found = TypeAdapter(list[_Collection]).validate_python(json.loads(path.read_bytes()))
    except (OSError, ValueError, ValidationError) as error:
        raise NetworkError(f"{path}: not a list of collections: {error}") from None
    return CollectionConfigPackage(config=[_to_config(one) for one in found])


def _to_config(given: _Collection) -> CollectionConfig:
    members = CollectionPolicyConfig(signature_policy=parse_policy(given.policy))
    config = StaticCollectionConfig(
        name=given.name,
        member_orgs_policy=members,
        required_peer_count=given.requiredPeerCount,
        maximum_peer_count=given.maxPeerCount,
        block_to_live=given.blockToLive,
        member_only_read=given.memberOnlyRead,
        member_only_write=given.memberOnlyWrite,
    )
    policy = given.endorsementPolicy
    if policy is not None and policy.signaturePolicy:
        signature_policy = parse_policy(policy.signaturePolicy)
        config.endorsement_policy.CopyFrom(ApplicationPolicy(signature_policy=signature_policy))
    elif policy is not None and policy.channelConfigPolicy:
        reference = ApplicationPolicy(channel_config_policy_reference=policy.channelConfigPolicy)
        config.endorsement_policy.CopyFrom(reference)
    return CollectionConfig(static_collection_config=config)
