"""Which policy guards which call (fabric core/aclmgmt/defaultaclprovider.go).

The channel's ACLs value may put another policy in place of a channel resource's default. Calls
that have no channel are guarded by the node's own organization, which the node asks itself.
"""

from collections.abc import Mapping

from tongban.node.core.channel.config import ChannelConfig
from tongban.node.core.errors import UnknownPolicy
from tongban.node.core.policy import Policy

READERS = "/Channel/Application/Readers"
WRITERS = "/Channel/Application/Writers"

CHANNEL_RESOURCES: Mapping[str, str] = {
    "_lifecycle/CommitChaincodeDefinition": WRITERS,
    "_lifecycle/QueryChaincodeDefinition": WRITERS,
    "_lifecycle/QueryChaincodeDefinitions": WRITERS,
    "_lifecycle/CheckCommitReadiness": WRITERS,
    "lscc/ChaincodeExists": READERS,
    "lscc/GetDeploymentSpec": READERS,
    "lscc/GetChaincodeData": READERS,
    "lscc/GetInstantiatedChaincodes": READERS,
    "lscc/GetCollectionsConfig": READERS,
    "qscc/GetChainInfo": READERS,
    "qscc/GetBlockByNumber": READERS,
    "qscc/GetBlockByHash": READERS,
    "qscc/GetTransactionByID": READERS,
    "qscc/GetBlockByTxID": READERS,
    "cscc/GetConfigBlock": READERS,
    "cscc/GetChannelConfig": READERS,
    "peer/Propose": WRITERS,
    "peer/ChaincodeToChaincode": WRITERS,
    "event/Block": READERS,
    "event/FilteredBlock": READERS,
    "gateway/CommitStatus": READERS,
    "gateway/ChaincodeEvents": READERS,
}
"""Default policy of each resource of a channel."""

LOCAL_ADMINS = "Admins"
LOCAL_MEMBERS = "Members"

LOCAL_RESOURCES: Mapping[str, str] = {
    "_lifecycle/InstallChaincode": LOCAL_ADMINS,
    "_lifecycle/QueryInstalledChaincode": LOCAL_ADMINS,
    "_lifecycle/GetInstalledChaincodePackage": LOCAL_ADMINS,
    "_lifecycle/QueryInstalledChaincodes": LOCAL_ADMINS,
    "_lifecycle/ApproveChaincodeDefinitionForMyOrg": LOCAL_ADMINS,
    "_lifecycle/QueryApprovedChaincodeDefinition": LOCAL_ADMINS,
    "_lifecycle/QueryApprovedChaincodeDefinitions": LOCAL_ADMINS,
    "snapshot/submitrequest": LOCAL_ADMINS,
    "snapshot/cancelrequest": LOCAL_ADMINS,
    "snapshot/listpending": LOCAL_ADMINS,
    "cscc/JoinChain": LOCAL_ADMINS,
    "cscc/JoinChainBySnapshot": LOCAL_ADMINS,
    "cscc/JoinBySnapshotStatus": LOCAL_ADMINS,
    "cscc/GetChannels": LOCAL_MEMBERS,
}
"""Who of the node's own organization may call what: its admins, or all its members."""


def policy_path_for(config: ChannelConfig, resource: str) -> str:
    """The path of the policy that guards a channel resource.

    A reference in the ACLs value that does not start with ``/`` is one below the application group.

    Raises:
        UnknownPolicy: there is no such resource.
    """
    reference = config.acls.get(resource)
    if reference is None:
        default = CHANNEL_RESOURCES.get(resource)
        if default is None:
            raise UnknownPolicy(resource)
        return default
    return reference if reference.startswith("/") else f"/Channel/Application/{reference}"


def policy_for(config: ChannelConfig, resource: str) -> Policy:
    """The policy that guards a channel resource; if it is named but does not exist, one that
    nothing satisfies.

    Raises:
        UnknownPolicy: there is no such resource.
    """
    return config.policies.get_or_reject(policy_path_for(config, resource))


def refusal_of(config: ChannelConfig, resource: str, reason: str) -> str:
    """What somebody is told who does not satisfy the policy of a channel resource: as a Go peer
    says it where its default policy applies (fabric core/policy/policy.go), and where the channel
    has named another (core/aclmgmt/resourceprovider.go)."""
    path = policy_path_for(config, resource)
    if resource in config.acls:
        return f"failed evaluating policy on signed data during check policy [{path}]: [{reason}]"
    return (
        "Failed evaluating policy on signed data during check policy on channel "
        f"[{config.channel_id}] with policy [{path}]: [{reason}]"
    )
