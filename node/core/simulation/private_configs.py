"""The collections that a private set belongs to, as they were when it was simulated.

Whoever keeps or forwards the set judges it by these, not by what the channel says later
(fabric core/endorser/pvtrwset_assembler.go).
"""

from tongban.node.core.identity import role_principal
from tongban.node.core.lifecycle.definitions import find_definition
from tongban.node.core.lifecycle.state_layout import (
    LIFECYCLE_NAMESPACE,
    implicit_collection_owner,
)
from tongban.node.core.state import StateReader
from tongban.protos import collection_pb2, policies_pb2, rwset_pb2, transientstore_pb2
from tongban.protos.codec import parse
from tongban.protos.msp_principal_pb2 import MSPRole

OWN_IMPLICIT_PEERS_MAX = 1
"""Peers of the own organization that a value of its implicit collection is pushed to, if they are
there (fabric sampleconfig/core.yaml, implicitCollectionDisseminationPolicy)."""


def attach_configs(
    private: rwset_pb2.TxPvtReadWriteSet, state: StateReader, height: int, own_msp_id: str
) -> transientstore_pb2.TxPvtReadWriteSetWithConfigInfo:
    """The set with the definitions of its collections and the height it was simulated at."""
    attached = transientstore_pb2.TxPvtReadWriteSetWithConfigInfo(
        endorsed_at=height, pvt_rwset=private
    )
    for namespace in private.ns_pvt_rwset:
        package = attached.collection_configs[namespace.namespace]
        explicit = _explicit(state, namespace.namespace)
        for collection in namespace.collection_pvt_rwset:
            name = collection.collection_name
            owner = implicit_collection_owner(name)
            if owner is not None:
                config = implicit_config(name, owner, own_msp_id)
                package.config.add().static_collection_config.CopyFrom(config)
            elif name in explicit:
                package.config.add().static_collection_config.CopyFrom(explicit[name])
    return attached


def implicit_config(
    name: str, owner: str, own_msp_id: str
) -> collection_pb2.StaticCollectionConfig:
    """The definition of an organization's implicit collection
    (fabric core/chaincode/lifecycle/deployedcc_infoprovider.go)."""
    config = collection_pb2.StaticCollectionConfig(
        name=name, maximum_peer_count=OWN_IMPLICIT_PEERS_MAX if owner == own_msp_id else 0
    )
    policy = config.member_orgs_policy.signature_policy
    policy.rule.n_out_of.n = 1
    policy.rule.n_out_of.rules.append(policies_pb2.SignaturePolicy(signed_by=0))
    policy.identities.append(role_principal(owner, MSPRole.MEMBER))
    return config


def _explicit(
    state: StateReader, namespace: str
) -> dict[str, collection_pb2.StaticCollectionConfig]:
    if namespace == LIFECYCLE_NAMESPACE:
        return {}
    definition = find_definition(state, namespace)
    if definition is None:
        return {}
    package = parse(
        collection_pb2.CollectionConfigPackage, definition.parameters.collection_package
    )
    return {
        entry.static_collection_config.name: entry.static_collection_config
        for entry in package.config
    }
