"""Collections are read from the file that Fabric's tools read."""

import json
from pathlib import Path

import pytest

from tongban.network.collections import read_collections
from tongban.network.errors import NetworkError
from tongban.protos.errors import TongbanError

ONE = {
    "name": "shared",
    "policy": "OR('Org1MSP.member', 'Org2MSP.member')",
    "requiredPeerCount": 1,
    "maxPeerCount": 2,
    "blockToLive": 30,
    "memberOnlyRead": True,
    "memberOnlyWrite": True,
}


def written(tmp_path: Path, document: object) -> Path:
    path = tmp_path / "collections.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_every_field_of_a_collection_is_taken(tmp_path: Path) -> None:
    (found,) = read_collections(written(tmp_path, [ONE])).config
    config = found.static_collection_config
    assert config.name == "shared"
    assert (config.required_peer_count, config.maximum_peer_count) == (1, 2)
    assert config.block_to_live == 30
    assert config.member_only_read and config.member_only_write
    principals = config.member_orgs_policy.signature_policy.identities
    assert len(principals) == 2
    assert not config.HasField("endorsement_policy")


@pytest.mark.parametrize(
    ("policy", "kind"),
    [
        ({"signaturePolicy": "AND('Org1MSP.peer')"}, "signature_policy"),
        (
            {"channelConfigPolicy": "/Channel/Application/Writers"},
            "channel_config_policy_reference",
        ),
    ],
)
def test_a_collection_may_have_its_own_endorsement_policy(
    policy: dict[str, str], kind: str, tmp_path: Path
) -> None:
    path = written(tmp_path, [{**ONE, "endorsementPolicy": policy}])
    (found,) = read_collections(path).config
    assert found.static_collection_config.endorsement_policy.WhichOneof("Type") == kind


def test_without_a_file_there_are_none() -> None:
    assert len(read_collections(None).config) == 0


@pytest.mark.parametrize(
    "document",
    ["no json", {}, [{"name": "x"}], [{**ONE, "blockToLiv": 3}], [{**ONE, "blockToLive": "x"}]],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_name(
    document: object, tmp_path: Path
) -> None:
    path = written(tmp_path, document)
    with pytest.raises(NetworkError, match=r"collections\.json"):
        read_collections(path)


def test_a_policy_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TongbanError):
        read_collections(written(tmp_path, [{**ONE, "policy": "OR("}]))
