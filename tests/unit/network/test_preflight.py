"""What keeps a network from starting is found before anything starts, with the remedy."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.networks import on_free_ports
from tongban.network import preflight
from tongban.network.preflight import is_free, machine_problems, port_problems, problems
from tongban.network.topology import Topology, load_profile


@pytest.fixture(scope="module")
def topology() -> Topology:
    return on_free_ports(load_profile("two-org"))


@pytest.fixture
def taken(topology: Topology) -> Iterator[int]:
    port = topology.organizations[0].peers[0].operations_port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        yield port


def test_a_machine_with_free_ports_and_room_has_no_problems(
    topology: Topology, tmp_path: Path
) -> None:
    assert list(problems(topology, tmp_path / "new" / "deep")) == []


def test_a_port_that_is_taken_is_named_with_its_node_and_two_ways_out(
    topology: Topology, taken: int
) -> None:
    assert not is_free(taken)
    ((explanation, remedy),) = port_problems(topology)
    assert f"port {taken} of peer0.org1.example.com is taken" in explanation
    assert f"sport = :{taken}" in remedy
    assert "--base-port" in remedy


def test_too_little_disk_is_told_in_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "DISK_BYTES_MIN", 1 << 62)
    ((explanation, remedy),) = machine_problems(tmp_path)
    assert str(tmp_path) in explanation
    assert "MiB are needed" in explanation
    assert "--dir" in remedy


def test_another_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert "Linux is needed, found darwin" in next(machine_problems(tmp_path))[0]
