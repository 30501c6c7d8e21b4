"""Which of the private values that were endorsed here this organization may keep.

A value is kept when its digest is the one in the committed transaction and the organization is a
member of the collection, as it was defined at endorsement (fabric gossip/privdata/coordinator.go).
"""

from collections.abc import Iterable, Iterator, Mapping

from tongban.node.core.commit_input import PrivateSet
from tongban.node.core.identity.principals import parse_principal
from tongban.node.core.lifecycle.state_layout import implicit_collection_owner
from tongban.node.core.policy.layouts import peer_organization
from tongban.node.core.validation.verdict import PrivateHash
from tongban.protos.codec import parse
from tongban.protos.collection_pb2 import CollectionConfigPackage
from tongban.protos.digest import sha256
from tongban.protos.transientstore_pb2 import TxPvtReadWriteSetWithConfigInfo


def select_private(
    wanted: Iterable[PrivateHash], endorsed: Iterable[bytes], msp_id: str
) -> Iterator[PrivateSet]:
    """The sets to keep of one transaction. ``endorsed`` are serialized
    TxPvtReadWriteSetWithConfigInfo messages from the peer's own store.

    Raises:
        MalformedMessage: the store holds something else.
    """
    found: dict[tuple[str, str, bytes], bytes] = {}
    members: set[tuple[str, str]] = set()
    for data in endorsed:
        info = parse(TxPvtReadWriteSetWithConfigInfo, data)
        for namespace in info.pvt_rwset.ns_pvt_rwset:
            for one in namespace.collection_pvt_rwset:
                place = (namespace.namespace, one.collection_name)
                found[*place, sha256(one.rwset)] = one.rwset
                if _is_member(*place, info.collection_configs, msp_id):
                    members.add(place)
    for item in wanted:
        rwset = found.get((item.namespace, item.collection, item.rwset_hash))
        if rwset is not None and (item.namespace, item.collection) in members:
            yield PrivateSet(
                item.tx_num, item.namespace, item.collection, rwset, item.expires_at_block
            )


def _is_member(
    namespace: str,
    collection: str,
    configs: Mapping[str, CollectionConfigPackage],
    msp_id: str,
) -> bool:
    owner = implicit_collection_owner(collection)
    if owner is not None:
        return owner == msp_id
    if namespace not in configs:
        return False
    for config in configs[namespace].config:
        static = config.static_collection_config
        if static.name == collection:
            principals = static.member_orgs_policy.signature_policy.identities
            return any(peer_organization(parse_principal(one)) == msp_id for one in principals)
    return False
