"""Private values are kept by members whose digest matches, and forgotten once their block is in."""

from dataclasses import replace
from pathlib import Path

import pytest

from tongban.node.core.commit_input import CommitInput, PrivateSet
from tongban.node.core.policy import parse_policy
from tongban.node.core.private_selection import select_private
from tongban.node.core.state import UpdateBatch
from tongban.node.core.validation.verdict import PrivateHash
from tongban.node.runtime.private_values import PrivateValues
from tongban.node.storage.transient import TransientStore
from tongban.protos.collection_pb2 import (
    CollectionConfig,
    CollectionConfigPackage,
    CollectionPolicyConfig,
    StaticCollectionConfig,
)
from tongban.protos.digest import sha256
from tongban.protos.rwset_pb2 import (
    CollectionPvtReadWriteSet,
    NsPvtReadWriteSet,
    TxPvtReadWriteSet,
)
from tongban.protos.transientstore_pb2 import TxPvtReadWriteSetWithConfigInfo

RWSET = b"a serialized KVRWSet"
SHARED, IMPLICIT = "shared", "_implicit_org_AMSP"


def endorsed(collection: str, rwset: bytes = RWSET) -> TxPvtReadWriteSetWithConfigInfo:
    members = CollectionPolicyConfig(signature_policy=parse_policy("OR('AMSP.member')"))
    config = StaticCollectionConfig(name=SHARED, member_orgs_policy=members)
    package = CollectionConfigPackage(config=[CollectionConfig(static_collection_config=config)])
    one = CollectionPvtReadWriteSet(collection_name=collection, rwset=rwset)
    private = TxPvtReadWriteSet(
        ns_pvt_rwset=[NsPvtReadWriteSet(namespace="cc", collection_pvt_rwset=[one])]
    )
    return TxPvtReadWriteSetWithConfigInfo(
        endorsed_at=3, pvt_rwset=private, collection_configs={"cc": package}
    )


def wanted(collection: str, rwset: bytes = RWSET) -> PrivateHash:
    return PrivateHash(0, "cc", collection, sha256(rwset), 9)


@pytest.mark.parametrize(
    ("collection", "digest_of", "msp_id", "is_kept"),
    [
        (SHARED, RWSET, "AMSP", True),
        (SHARED, RWSET, "BMSP", False),
        (SHARED, b"other values", "AMSP", False),
        (IMPLICIT, RWSET, "AMSP", True),
        (IMPLICIT, RWSET, "BMSP", False),
        ("undefined", RWSET, "AMSP", False),
    ],
)
def test_only_a_member_keeps_values_and_only_those_the_block_names(
    collection: str, digest_of: bytes, msp_id: str, is_kept: bool
) -> None:
    stored = [endorsed(collection).SerializeToString()]
    kept = list(select_private([wanted(collection, digest_of)], stored, msp_id))
    assert kept == ([PrivateSet(0, "cc", collection, RWSET, 9)] if is_kept else [])


COMMIT = CommitInput(5, b"", b"", b"\0", ("tx1",), UpdateBatch())


def test_values_are_forgotten_with_their_block_also_after_a_restart(tmp_path: Path) -> None:
    values = PrivateValues(TransientStore.open(tmp_path / "transient"), "AMSP")
    values.hold("tx1", 4, endorsed(SHARED))
    values.hold("tx2", 4, endorsed(SHARED))
    values.close()
    store = TransientStore.open(tmp_path / "transient")
    values = PrivateValues(store, "AMSP")
    assert store.tx_ids() == {"tx1", "tx2"}
    values.settle(COMMIT)
    assert store.tx_ids() == {"tx2"}
    values.settle(replace(COMMIT, tx_ids=(None, "unknown")))
    assert store.tx_ids() == {"tx2"}
    values.close()
