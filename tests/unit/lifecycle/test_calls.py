"""The lifecycle's functions through a peer: answers, refusals in Fabric's words, writes."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from tests.support.endorsing import EndorsingPeer, a_package, definition_args
from tests.support.pki import Member
from tests.support.program import run_program
from tongban.node.core.policy import parse_policy
from tongban.node.core.received import ReceivedProposal
from tongban.protos import collection_pb2, kvrwset_pb2, lifecycle_pb2, proposal_pb2, rwset_pb2
from tongban.protos.proposal_response_pb2 import ProposalResponse, ProposalResponsePayload

APPROVE = "ApproveChaincodeDefinitionForMyOrg"
COMMIT = "CommitChaincodeDefinition"
READY = "CheckCommitReadiness"


@pytest.fixture
def peer(tmp_path: Path) -> EndorsingPeer:
    return EndorsingPeer({}, tmp_path)


def call(
    peer: EndorsingPeer,
    function: str,
    args: Message | bytes = b"",
    *,
    member: Member | None = None,
    channel_id: str = "mychannel",
) -> ProposalResponse:
    data = args if isinstance(args, bytes) else args.SerializeToString()
    signed = peer.propose(
        "_lifecycle", function, data, member=member or peer.org1.admin, channel_id=channel_id
    )
    response = asyncio.run(peer.endorser.process(ReceivedProposal(signed)))
    assert peer.snapshot_is_closed()
    return response


def approval(name: str = "cc", package_id: str = "", **changes: Any) -> Message:
    args = lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs()
    args.ParseFromString(definition_args(name, **changes).SerializeToString())
    if package_id:
        args.source.local_package.package_id = package_id
    return args


def a_collection(name: str, **changes: Any) -> collection_pb2.CollectionConfig:
    fields: dict[str, Any] = {"maximum_peer_count": 1, **changes}
    policy = fields.pop("policy", "OR('Org1MSP.member','Org2MSP.member')")
    static = collection_pb2.StaticCollectionConfig(name=name, **fields)
    if policy is not None:
        static.member_orgs_policy.signature_policy.CopyFrom(parse_policy(policy))
    return collection_pb2.CollectionConfig(static_collection_config=static)


def collections(*configs: collection_pb2.CollectionConfig) -> dict[str, Any]:
    return {"collections": collection_pb2.CollectionConfigPackage(config=configs)}


def writes_of(response: ProposalResponse) -> dict[str, list[str]]:
    payload = ProposalResponsePayload.FromString(response.payload)
    action = proposal_pb2.ChaincodeAction.FromString(payload.extension)
    return {
        entry.namespace: [write.key for write in kvrwset_pb2.KVRWSet.FromString(entry.rwset).writes]
        for entry in rwset_pb2.TxReadWriteSet.FromString(action.results).ns_rwset
    }


def failed(function: str, cause: str) -> tuple[int, str]:
    return 500, f"failed to invoke backing implementation of '{function}': {cause}"


def outcome(response: ProposalResponse) -> tuple[int, str]:
    assert not response.HasField("endorsement")
    return response.response.status, response.response.message


INVALID = "error validating chaincode definition: "

DEFINITIONS: list[tuple[dict[str, Any], str]] = [
    (
        {"name": "-cc"},
        "invalid chaincode name '-cc'. Names can only consist of alphanumerics, '_', and '-' and "
        "can only begin with alphanumerics",
    ),
    (
        {"name": "cc\n"},
        "invalid chaincode name 'cc\n'. Names can only consist of alphanumerics, '_', and '-' and "
        "can only begin with alphanumerics",
    ),
    ({"name": "qscc"}, "chaincode name 'qscc' is the name of a system chaincode"),
    (
        {"version": "1 0"},
        "invalid chaincode version '1 0'. Versions can only consist of alphanumerics, '_', '-', "
        "'+', and '.'",
    ),
    (
        collections(collection_pb2.CollectionConfig()),
        "collection config contains unexpected payload type: <nil>",
    ),
    (
        collections(a_collection("_c")),
        "invalid collection name '_c'. Names can only consist of alphanumerics, '_', and '-' and "
        "cannot begin with '_'",
    ),
    (
        collections(a_collection("c"), a_collection("c")),
        "collection-name: c -- found duplicate in collection configuration",
    ),
    (
        collections(a_collection("c", required_peer_count=2)),
        "collection-name: c -- maximum peer count (1) cannot be less than the required peer count "
        "(2)",
    ),
    (
        collections(a_collection("c", required_peer_count=-1)),
        "collection-name: c -- requiredPeerCount (-1) cannot be less than zero",
    ),
    (
        collections(a_collection("c", policy=None)),
        "collection member policy is not set for collection 'c'",
    ),
    (
        collections(
            a_collection(
                "c", policy=None, member_orgs_policy=collection_pb2.CollectionPolicyConfig()
            )
        ),
        "collection member org policy is empty for collection 'c'",
    ),
    (
        collections(a_collection("c", policy="AND('Org1MSP.member','Org2MSP.member')")),
        "collection-name: c -- error in member org policy: signature policy is not an OR "
        "concatenation, NOutOf 2",
    ),
    (
        collections(a_collection("c", policy="OR('Org7MSP.member')")),
        "collection-name: c -- collection member 'Org7MSP' is not part of the channel",
    ),
]


@pytest.mark.parametrize("function", [APPROVE, COMMIT])
@pytest.mark.parametrize(("changes", "cause"), DEFINITIONS, ids=[r[1][:50] for r in DEFINITIONS])
def test_a_wrong_definition_is_refused_in_fabrics_words(
    peer: EndorsingPeer, function: str, changes: dict[str, Any], cause: str
) -> None:
    args = approval(**{"name": "cc", **changes})
    response = call(peer, function, args)
    assert outcome(response) == failed(function, INVALID + cause)
    assert not peer.channel.held
    assert not any(writes_of(response).values())


@pytest.mark.parametrize(
    ("sequence", "cause"),
    [
        (0, "requested sequence is 0, but first definable sequence number is 1"),
        (-1, "currently defined sequence 0 is larger than requested sequence -1"),
        (2, "requested sequence 2 is larger than the next available sequence number 1"),
    ],
)
def test_only_the_next_sequence_can_be_approved(
    peer: EndorsingPeer, sequence: int, cause: str
) -> None:
    response = call(peer, APPROVE, approval(sequence=sequence))
    assert outcome(response) == failed(APPROVE, cause)
    assert not peer.channel.held


def test_an_approval_is_private_and_touches_no_public_key(peer: EndorsingPeer) -> None:
    response = call(peer, APPROVE, approval(package_id="cc_1:ab"))
    assert response.response.status == 200 and response.HasField("endorsement")
    assert not any(writes_of(response).values())
    (held,) = peer.channel.held
    private = held[1].pvt_rwset.ns_pvt_rwset[0].collection_pvt_rwset[0]
    keys = [write.key for write in kvrwset_pb2.KVRWSet.FromString(private.rwset).writes]
    assert keys == [
        "chaincode-sources/fields/cc#1/PackageID",
        "chaincode-sources/metadata/cc#1",
        "namespaces/fields/cc#1/Collections",
        "namespaces/fields/cc#1/EndorsementInfo",
        "namespaces/fields/cc#1/ValidationInfo",
        "namespaces/metadata/cc#1",
    ]


def test_a_committed_definition_cannot_be_approved_with_other_parameters(
    peer: EndorsingPeer,
) -> None:
    package_id = peer.deploy("cc", run_program)
    response = call(peer, APPROVE, approval(version="1.1"))
    assert outcome(response) == failed(
        APPROVE,
        "attempted to redefine the current committed sequence (1) for namespace cc with different "
        "parameters: expected Version '1.0' does not match passed Version '1.1'",
    )
    same = call(peer, APPROVE, approval(package_id=package_id))
    assert outcome(same) == failed(
        APPROVE, "attempted to redefine the current committed sequence (1) for namespace cc"
    )
    assert call(peer, APPROVE, approval(package_id="cc_2:cd")).response.status == 200


def test_a_commit_needs_the_next_sequence_and_this_organizations_approval(
    peer: EndorsingPeer,
) -> None:
    response = call(peer, COMMIT, definition_args("cc", sequence=2))
    assert outcome(response) == failed(
        COMMIT, "requested sequence is 2, but new definition must be sequence 1"
    )
    response = call(peer, COMMIT, definition_args("cc"))
    assert outcome(response) == failed(
        COMMIT, "chaincode definition not agreed to by this org (Org1MSP)"
    )


def test_readiness_tells_who_approved_what(peer: EndorsingPeer) -> None:
    peer.deploy("cc", run_program)
    response = call(peer, READY, definition_args("cc", sequence=2))
    ready = lifecycle_pb2.CheckCommitReadinessResult.FromString(response.response.payload)
    assert dict(ready.approvals) == {"Org1MSP": False, "Org2MSP": False}
    assert list(ready.mismatches["Org1MSP"].items) == ["ChaincodeParameters"]


def test_a_committed_definition_can_be_queried(peer: EndorsingPeer) -> None:
    package = collections(a_collection("c", block_to_live=3))
    peer.deploy("cc", run_program, init_required=True, **package)
    response = call(
        peer, "QueryChaincodeDefinition", lifecycle_pb2.QueryChaincodeDefinitionArgs(name="cc")
    )
    found = lifecycle_pb2.QueryChaincodeDefinitionResult.FromString(response.response.payload)
    assert (found.sequence, found.version, found.init_required) == (1, "1.0", True)
    assert (found.endorsement_plugin, found.validation_plugin) == ("escc", "vscc")
    assert found.collections == package["collections"]
    assert dict(found.approvals) == {"Org1MSP": True, "Org2MSP": True}
    response = call(peer, "QueryChaincodeDefinitions")
    every = lifecycle_pb2.QueryChaincodeDefinitionsResult.FromString(response.response.payload)
    assert [entry.name for entry in every.chaincode_definitions] == ["cc"]


def test_an_undefined_chaincode_is_not_found(peer: EndorsingPeer) -> None:
    args = lifecycle_pb2.QueryChaincodeDefinitionArgs(name="nope")
    response = call(peer, "QueryChaincodeDefinition", args)
    assert outcome(response) == (404, "namespace nope is not defined")
    assert not response.payload


def test_an_organization_can_query_its_own_approvals(peer: EndorsingPeer) -> None:
    package_id = peer.deploy("cc", run_program)
    args = lifecycle_pb2.QueryApprovedChaincodeDefinitionArgs(name="cc")
    response = call(peer, "QueryApprovedChaincodeDefinition", args)
    found = lifecycle_pb2.QueryApprovedChaincodeDefinitionResult.FromString(
        response.response.payload
    )
    assert (found.sequence, found.source.local_package.package_id) == (1, package_id)
    response = call(peer, "QueryApprovedChaincodeDefinitions")
    every = lifecycle_pb2.QueryApprovedChaincodeDefinitionsResult.FromString(
        response.response.payload
    )
    assert [entry.name for entry in every.approved_chaincode_definitions] == ["cc"]
    args.sequence = 4
    assert outcome(call(peer, "QueryApprovedChaincodeDefinition", args)) == failed(
        "QueryApprovedChaincodeDefinition",
        "could not fetch approved chaincode definition (name: 'cc', sequence: '4') on channel "
        "'mychannel'",
    )


def test_an_upgrade_keeps_collections_and_their_lives(peer: EndorsingPeer) -> None:
    peer.deploy("cc", run_program, **collections(a_collection("c", block_to_live=3)))
    cases = [
        ({}, "the proposed collection config does not contain previously defined collections"),
        (
            collections(a_collection("d")),
            "existing collection [c] missing in the proposed collection configuration",
        ),
        (
            collections(a_collection("c", block_to_live=4)),
            "the BlockToLive in an existing collection [c] modified. Existing value [3]",
        ),
    ]
    for changes, cause in cases:
        response = call(peer, APPROVE, approval(sequence=2, **changes))
        assert outcome(response) == failed(APPROVE, INVALID + cause)
    assert not peer.channel.held


def test_packages_are_installed_once_and_told(peer: EndorsingPeer) -> None:
    package = a_package("cc_1")
    args = lifecycle_pb2.InstallChaincodeArgs(chaincode_install_package=package)
    response = call(peer, "InstallChaincode", args, channel_id="")
    assert not response.payload and not response.HasField("endorsement")
    done = lifecycle_pb2.InstallChaincodeResult.FromString(response.response.payload)
    assert done.label == "cc_1" and done.package_id.startswith("cc_1:")
    again = call(peer, "InstallChaincode", args, channel_id="")
    assert outcome(again) == failed(
        "InstallChaincode",
        f"chaincode already successfully installed (package ID '{done.package_id}')",
    )
    peer.deploy("cc", run_program)
    response = call(peer, "QueryInstalledChaincodes", channel_id="")
    listed = lifecycle_pb2.QueryInstalledChaincodesResult.FromString(response.response.payload)
    (entry,) = listed.installed_chaincodes
    assert entry.package_id == done.package_id
    assert [use.name for use in entry.references["mychannel"].chaincodes] == ["cc"]
    wanted = lifecycle_pb2.GetInstalledChaincodePackageArgs(package_id=done.package_id)
    response = call(peer, "GetInstalledChaincodePackage", wanted, channel_id="")
    got = lifecycle_pb2.GetInstalledChaincodePackageResult.FromString(response.response.payload)
    assert got.chaincode_install_package == package


@pytest.mark.parametrize(
    ("function", "args", "cause"),
    [
        (
            "InstallChaincode",
            lifecycle_pb2.InstallChaincodeArgs(chaincode_install_package=b"no"),
            "could not parse as a chaincode install package: error reading as gzip stream: ",
        ),
        (
            "QueryInstalledChaincode",
            lifecycle_pb2.QueryInstalledChaincodeArgs(package_id="cc:00"),
            "could not find chaincode with package id 'cc:00'",
        ),
        (
            "GetInstalledChaincodePackage",
            lifecycle_pb2.GetInstalledChaincodePackageArgs(package_id="cc:00"),
            "could not load cc install package: chaincode install package 'cc:00' not found",
        ),
        ("InstallChaincode", b"\x0a\xff", "could not decode input arg for InstallChaincodeArgs: "),
    ],
)
def test_calls_about_packages_are_refused_in_fabrics_words(
    peer: EndorsingPeer, function: str, args: Message | bytes, cause: str
) -> None:
    status, text = outcome(call(peer, function, args, channel_id=""))
    assert status == 500
    assert text.startswith(failed(function, cause)[1])
    assert not peer.store.installed()


def test_only_admins_of_the_peers_organization_install_and_approve(peer: EndorsingPeer) -> None:
    for function, member, channel_id in [
        ("InstallChaincode", peer.user, ""),
        (APPROVE, peer.user, "mychannel"),
        (APPROVE, peer.org2.admin, "mychannel"),
    ]:
        status, text = outcome(call(peer, function, member=member, channel_id=channel_id))
        assert status == 500
        assert text.startswith("Failed to authorize invocation due to failed ACL check: Failed ")
    assert not peer.channel.held and not peer.store.installed()


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((), "lifecycle scc must be invoked with arguments"),
        (("f",), "lifecycle scc operations require exactly two arguments but received 1"),
        (("f", "a", "b"), "lifecycle scc operations require exactly two arguments but received 3"),
        (
            ("Nothing", ""),
            "Failed to authorize invocation due to failed ACL check: Unmapped policy for "
            "_lifecycle/Nothing",
        ),
    ],
)
def test_calls_of_the_wrong_shape_are_refused(
    peer: EndorsingPeer, args: tuple[str, ...], text: str
) -> None:
    response = asyncio.run(
        peer.endorser.process(ReceivedProposal(peer.propose("_lifecycle", *args)))
    )
    assert outcome(response) == (500, text)


def test_a_definition_without_a_channel_is_refused(peer: EndorsingPeer) -> None:
    response = call(peer, APPROVE, approval(), channel_id="")
    assert outcome(response) == failed(
        APPROVE, INVALID + "could not get channelconfig for channel ''"
    )
