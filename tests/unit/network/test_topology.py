"""A topology is read whole or refused with every mistake and its place."""

import copy
from pathlib import Path

import pytest
import yaml

from tongban.network.errors import TopologyError
from tongban.network.topology import (
    PROFILES,
    load_profile,
    load_topology,
    parse_topology,
    profile_names,
)


def document() -> dict[str, object]:
    loaded = yaml.safe_load((PROFILES / "two-org.yaml").read_text())
    assert isinstance(loaded, dict)
    return copy.deepcopy(loaded)


def problems_of(changed: object) -> str:
    with pytest.raises(TopologyError) as caught:
        parse_topology(changed, "test.yaml")
    return "\n".join(caught.value.problems)


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_that_ships_is_well_formed(name: str) -> None:
    topology = load_profile(name)
    assert topology.name == name
    assert all(channel.organizations for channel in topology.channels)


def test_the_sample_profile_has_the_names_and_ports_of_fabrics_sample_network() -> None:
    topology = load_profile("two-org")
    assert {name: node.port for name, node in topology.nodes()} == {
        "orderer.example.com": 7050,
        "peer0.org1.example.com": 7051,
        "peer0.org2.example.com": 9051,
    }
    assert topology.channels[0].id == "mychannel"


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(TopologyError, match="two-org"):
        load_profile("three-org")
    with pytest.raises(TopologyError, match="expected one of"):
        load_profile("../../etc/passwd")


def test_all_mistakes_are_reported_at_once() -> None:
    changed = document()
    changed["name"] = "Two Org"
    del changed["orderer"]
    text = problems_of(changed)
    assert "name: " in text
    assert "'Two Org'" in text
    assert "orderer: Field required" in text


def test_a_misspelt_key_is_named() -> None:
    changed = document()
    changed["organisations"] = []
    assert "organisations: Extra inputs are not permitted" in problems_of(changed)


def test_a_newer_format_is_refused_with_the_remedy() -> None:
    changed = document()
    changed["format"] = 2
    assert "needs a newer tongban" in problems_of(changed)


def test_ports_used_twice_and_unknown_organizations_are_found() -> None:
    changed = yaml.safe_load(yaml.safe_dump(document()))
    changed["organizations"][0]["peers"][0]["port"] = 7050
    changed["channels"][0]["organizations"] = ["Org1MSP", "Org9MSP"]
    text = problems_of(changed)
    assert "port 7050 is used more than once" in text
    assert "no organization 'Org9MSP'; expected one of: Org1MSP, Org2MSP" in text


def test_moving_a_network_gives_every_node_ports_of_its_own() -> None:
    moved = load_profile("haidian").moved_to(30000)
    ports = [p for _, node in moved.nodes() for p in (node.port, node.operations_port)]
    assert sorted(ports) == list(range(30000, 30000 + len(ports)))


def test_a_file_that_is_not_yaml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("format: [1")
    with pytest.raises(TopologyError, match="cannot be read as YAML"):
        load_topology(path)
