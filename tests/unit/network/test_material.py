"""What a network has on disk before its nodes start: made once, kept, and fit for the nodes."""

import datetime as dt
import stat
from pathlib import Path

import pytest
import yaml

from tongban.network.control import clean
from tongban.network.errors import NetworkError
from tongban.network.genesis import build_genesis, msp_of
from tongban.network.layout import NetworkLayout, dial_overrides, endpoint
from tongban.network.material import ensure_material
from tongban.network.start import check_same
from tongban.network.topology import Topology, load_profile
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.identity import Msp
from tongban.protos.common_pb2 import Block
from tongban.protos.identities_pb2 import SerializedIdentity

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Topology, NetworkLayout]:
    topology, layout = load_profile("two-org"), NetworkLayout(tmp_path_factory.mktemp("network"))
    ensure_material(topology, layout, NOW)
    return topology, layout


def contents(layout: NetworkLayout) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in layout.root.rglob("*") if path.is_file()}


def test_making_it_again_changes_nothing(made: tuple[Topology, NetworkLayout]) -> None:
    topology, layout = made
    before = contents(layout)
    ensure_material(topology, layout, NOW + dt.timedelta(days=400))
    assert contents(layout) == before


def test_keys_are_for_their_owner_only(made: tuple[Topology, NetworkLayout]) -> None:
    keys = [path for path in made[1].root.rglob("*") if path.name in ("priv_sk", "server.key")]
    assert keys
    for key in keys:
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700


def test_the_genesis_block_names_members_anchors_and_orderers(
    made: tuple[Topology, NetworkLayout],
) -> None:
    topology, layout = made
    block = Block.FromString(layout.genesis("mychannel").read_bytes())
    config = ChannelConfig.from_genesis(block)
    assert config.channel_id == "mychannel"
    assert config.orderer_addresses == ("orderer.example.com:7050",)
    anchors = {
        name: [str(anchor) for anchor in org.anchor_peers]
        for name, org in config.application_orgs.items()
    }
    assert anchors == {
        "Org1MSP": ["peer0.org1.example.com:7051"],
        "Org2MSP": ["peer0.org2.example.com:9051"],
    }
    again = build_genesis(topology, topology.channels[0], layout)
    assert again.SerializeToString(deterministic=True) == layout.genesis("mychannel").read_bytes()


def test_policies_of_the_topology_stand_in_the_genesis_block(
    made: tuple[Topology, NetworkLayout],
) -> None:
    topology, layout = made
    path = "/Channel/Application/Endorsement"
    channel = topology.channels[0].model_copy(update={"policies": {path: "ANY Endorsement"}})
    first = ChannelConfig.from_genesis(build_genesis(topology, channel, layout))
    one = layout.tree_of(topology.organizations[0])
    msp = Msp.from_config(msp_of(one.msp, "Org1MSP"))
    (certificate,) = (one.node("peer0") / "msp" / "signcerts").iterdir()
    serialized = SerializedIdentity(mspid="Org1MSP", id_bytes=certificate.read_bytes())
    peer = msp.deserialize(serialized.SerializeToString())
    assert first.policies.get(path).evaluate([peer]).satisfied
    default = ChannelConfig.from_genesis(build_genesis(topology, topology.channels[0], layout))
    assert not default.policies.get(path).evaluate([peer]).satisfied


def test_every_node_has_a_configuration_with_its_own_folders_and_the_way_to_others(
    made: tuple[Topology, NetworkLayout],
) -> None:
    topology, layout = made
    for name, node in topology.nodes():
        config = yaml.safe_load(layout.node_config(name).read_text())
        assert config["listen"] == f"127.0.0.1:{node.port}"
        assert config["data"] == str(layout.node(name) / "data")
        assert Path(config["tls"]["key"]).exists()
        assert config["dial_overrides"] == dial_overrides(topology)
    peer = topology.organizations[0].peers[0]
    config = yaml.safe_load(layout.node_config("peer0.org1.example.com").read_text())
    assert config["external_endpoint"] == endpoint(peer, "org1.example.com")


def test_a_directory_with_another_network_is_refused_and_left_alone(
    made: tuple[Topology, NetworkLayout],
) -> None:
    topology, layout = made
    before = contents(layout)
    check_same(topology, layout)
    with pytest.raises(NetworkError, match="another topology"):
        check_same(load_profile("haidian"), layout)
    assert contents(layout) == before


def test_only_a_networks_directory_is_removed(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("years of work")
    with pytest.raises(NetworkError, match="left alone"):
        clean(NetworkLayout(tmp_path))
    assert precious.exists()
    clean(NetworkLayout(tmp_path / "missing"))


def test_a_networks_directory_is_removed_whole(tmp_path: Path) -> None:
    layout = NetworkLayout(tmp_path / "network")
    ensure_material(load_profile("two-org"), layout, NOW)
    clean(layout)
    assert not layout.root.exists()


def test_what_lies_beside_a_network_is_left_alone(tmp_path: Path) -> None:
    layout = NetworkLayout(tmp_path / "test-network")
    theirs = [layout.root / "network.sh", layout.organizations / "ccp-template.json"]
    layout.organizations.mkdir(parents=True)
    for path in theirs:
        path.write_text("somebody else's")
    ensure_material(load_profile("two-org"), layout, NOW)
    clean(layout)
    assert sorted(path for path in layout.root.rglob("*") if path.is_file()) == sorted(theirs)
    with pytest.raises(NetworkError, match="left alone"):
        clean(layout)
