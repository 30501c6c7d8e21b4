"""Who would satisfy every policy that a transaction touches
(fabric discovery/endorsement/endorsement.go)."""

import pytest

from tests.support.builders import BOTH, EITHER, TestChannel, a_channel, a_collection
from tongban.node.core.gateway.errors import Code, GatewayError
from tongban.node.core.gateway.layouts import LayoutFinder
from tongban.node.core.gateway.plan import Layout
from tongban.node.core.policy import parse_policy
from tongban.protos.collection_pb2 import CollectionPolicyConfig, StaticCollectionConfig
from tongban.protos.proposal_response_pb2 import ChaincodeCall, ChaincodeInterest

ONE, TWO = {"Org1MSP": 1}, {"Org2MSP": 1}
TOGETHER = {"Org1MSP": 1, "Org2MSP": 1}


def collection(name: str, members: str, policy: str = "") -> StaticCollectionConfig:
    config = a_collection(name, policy)
    config.member_orgs_policy.CopyFrom(
        CollectionPolicyConfig(signature_policy=parse_policy(members))
    )
    return config


@pytest.fixture(scope="module")
def channel() -> TestChannel:
    found = a_channel()
    found.define(
        "either",
        EITHER,
        [
            collection("shared", "OR('Org1MSP.member','Org2MSP.member')"),
            collection("ours", "OR('Org1MSP.member')"),
            collection("theirs", "OR('Org2MSP.member')"),
            collection("strict", "OR('Org1MSP.member','Org2MSP.member')", BOTH),
            collection("lent", "OR('Org2MSP.member')", "OR('Org1MSP.peer')"),
        ],
    )
    found.define("both", BOTH)
    found.define("one", "OR('Org1MSP.peer')")
    found.define("two", "OR('Org2MSP.peer')")
    found.define("default", "/Channel/Application/Endorsement")
    return found


def call(
    name: str,
    *collections: str,
    reads: bool = False,
    keys: tuple[str, ...] = (),
    alone: bool = False,
) -> ChaincodeCall:
    """``keys`` are policies of keys that are written, ``alone`` if all keys have one."""
    return ChaincodeCall(
        name=name,
        collection_names=collections,
        no_private_reads=not reads,
        key_policies=[parse_policy(policy) for policy in keys],
        disregard_namespace_policy=alone,
    )


def find(channel: TestChannel, *calls: ChaincodeCall, protect: bool = False) -> list[Layout]:
    finder = LayoutFinder(channel.config, channel.state)
    return list(finder.layouts(ChaincodeInterest(chaincodes=calls), protect))


@pytest.mark.parametrize(
    ("calls", "layouts"),
    [
        ([call("either")], [ONE, TWO]),
        ([call("both")], [TOGETHER]),
        ([call("default")], [TOGETHER]),
        ([call("either"), call("two")], [TWO, TOGETHER]),
        ([call("one"), call("two")], [TOGETHER]),
        # A key with a policy of its own, beside others and alone.
        ([call("either", keys=("OR('Org2MSP.peer')",))], [TWO, TOGETHER]),
        ([call("both", keys=("OR('Org2MSP.peer')",), alone=True)], [TWO]),
        ([call("one", keys=("OR('Org1MSP.peer')", "OR('Org2MSP.peer')"), alone=True)], [TOGETHER]),
        ([call("both", alone=True)], [ONE, TWO]),
        ([], [ONE, TWO]),
        # A collection has a policy of its own, or its chaincode's.
        ([call("either", "shared")], [ONE, TWO]),
        ([call("either", "strict")], [TOGETHER]),
        ([call("either", "shared", "strict")], [TOGETHER]),
        # Written only: others may endorse. Read: members alone, whatever else is called.
        ([call("either", "ours")], [ONE, TWO]),
        ([call("either", "ours", reads=True)], [ONE]),
        ([call("either", "ours", "theirs", reads=True)], []),
        ([call("either", "ours", reads=True), call("two")], []),
        ([call("two"), call("either", "ours", reads=True)], []),
        ([call("either", "ours", reads=True), call("one")], [ONE]),
        ([call("either", "lent", reads=True)], []),
        ([call("either", "unknown", reads=True)], []),
        # The collection that every organization has.
        ([call("either", "_implicit_org_Org2MSP")], [TWO]),
        ([call("either", "_implicit_org_Org2MSP", reads=True)], [TWO]),
        ([call("either", "_implicit_org_Org2MSP", reads=True), call("one")], []),
        ([call("_lifecycle")], [TOGETHER]),
    ],
)
def test_layouts_satisfy_all_that_was_touched(
    channel: TestChannel, calls: list[ChaincodeCall], layouts: list[Layout]
) -> None:
    def minimal(found: list[Layout]) -> list[Layout]:
        return [a for a in found if not any(b != a and b.items() <= a.items() for b in found)]

    found = find(channel, *calls)
    assert all(layout in found for layout in minimal(layouts))
    assert minimal(found) == minimal(layouts)


def test_transient_data_is_kept_from_those_who_are_not_members(channel: TestChannel) -> None:
    written = call("either", "ours")
    assert find(channel, written) == [ONE, TWO]
    assert find(channel, written, protect=True) == [ONE]
    assert find(channel, call("either", "lent"), protect=True) == []
    assert find(channel, call("both"), protect=True) == [TOGETHER]


def test_a_chaincode_without_a_definition_has_no_metadata(channel: TestChannel) -> None:
    with pytest.raises(GatewayError) as caught:
        find(channel, call("either"), call("nobody"))
    assert caught.value.code is Code.FAILED_PRECONDITION
    assert caught.value.message == (
        "no combination of peers can be derived which satisfy the endorsement policy: "
        "No metadata was found for chaincode nobody in channel mychannel"
    )
