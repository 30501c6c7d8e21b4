"""What doctor finds in a network, by what its nodes answer."""

import datetime as dt
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.networks import on_free_ports
from tongban.network import machine_checks, network_checks
from tongban.network.control import Control, NodeStatus
from tongban.network.doctor import examine
from tongban.network.errors import NetworkError
from tongban.network.findings import Finding, Level
from tongban.network.health import find_health, is_healthy
from tongban.network.layout import NetworkLayout
from tongban.network.leftovers import end_leftovers, find_leftovers, is_alive
from tongban.network.machine_checks import examine_machine
from tongban.network.network_checks import examine_network, read_heights
from tongban.network.topology import Node, load_profile

PEER = "peer0.org1.example.com"


class Pages:
    """An operations endpoint that answers what a test says."""

    def __init__(self) -> None:
        self.health: tuple[int, dict[str, Any]] = (200, {"status": "OK", "time": now()})
        self.version = "1.0"
        self.height = 5
        self.port = 0

    def answer(self, path: str) -> tuple[int, str]:
        if path == "/healthz":
            return self.health[0], json.dumps(self.health[1])
        if path == "/version":
            return 200, json.dumps({"Version": self.version})
        return 200, f'tongban_block_height{{channel="mychannel"}} {self.height}.0\n'


def now() -> str:
    return dt.datetime.now(dt.UTC).isoformat()


@contextmanager
def served() -> Iterator[Pages]:
    pages = Pages()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = pages.answer(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        pages.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.005,))
        thread.start()
        try:
            yield pages
        finally:
            server.shutdown()
            thread.join()


def findings(
    one: Pages, other: Pages, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **changes: Any
) -> dict[str, Finding]:
    """What is found in a network of an orderer and a peer, by subject; the worst of each."""
    topology = load_profile("two-org")
    ports = {"orderer.example.com": one.port, PEER: other.port}
    nodes = {name: Node(name="n", port=1, operations_port=port) for name, port in ports.items()}
    monkeypatch.setattr(type(topology), "nodes", lambda self: iter(nodes.items()))
    status = {"state": "running", "pid": 7, "starts": 1, **changes}
    monkeypatch.setattr(Control, "status", lambda self: [NodeStatus(n, **status) for n in nodes])
    monkeypatch.setattr(network_checks, "HEIGHT_SECONDS_MAX", 0.1)
    order = [Level.OK, Level.WARNING, Level.PROBLEM]
    found = list(examine_network(NetworkLayout(tmp_path), topology))
    return {one.subject: one for one in sorted(found, key=lambda one: order.index(one.level))}


def test_a_network_that_works_is_found_well(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with served() as one, served() as other:
        found = findings(one, other, monkeypatch, tmp_path)
    assert {finding.level for finding in found.values()} == {Level.OK}
    assert "height 5 everywhere" in found["channel mychannel"].explanation


def test_every_failed_check_of_a_node_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with served() as one, served() as other:
        failed = [{"component": "disk", "reason": "full"}]
        other.health = (503, {"status": "Service Unavailable", "failed_checks": failed})
        found = findings(one, other, monkeypatch, tmp_path)
        assert not is_healthy(other.port)
    assert found[PEER].level is Level.PROBLEM
    assert found[PEER].explanation == "disk: full"
    assert f"tongban network logs {PEER}" in found[PEER].remedy


def test_heights_that_stay_apart_are_told_node_by_node(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with served() as one, served() as other:
        other.height = 3
        found = findings(one, other, monkeypatch, tmp_path)
    assert found["channel mychannel"].level is Level.WARNING
    assert f"{PEER} 3" in found["channel mychannel"].explanation


def test_other_releases_and_clocks_that_are_off_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with served() as one, served() as other:
        one.version = "0.9"
        past = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=3)
        other.health = (200, {"status": "OK", "time": past.isoformat()})
        found = findings(one, other, monkeypatch, tmp_path)
    assert found["versions"].level is Level.WARNING
    assert "clock is 180 s off" in found[PEER].explanation


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"pid": None, "state": "refused (status 1)"}, Level.PROBLEM, "refused (status 1)"),
        ({"starts": 9}, Level.WARNING, "started 9 times"),
    ],
)
def test_nodes_that_do_not_run_or_run_again_and_again_are_told(
    changes: dict[str, Any],
    level: Level,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    with served() as one, served() as other:
        found = findings(one, other, monkeypatch, tmp_path, **changes)
    assert found[PEER].level is level
    assert words in found[PEER].explanation


def test_a_node_that_does_not_answer_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = Pages()
    gone.port = 1
    with served() as one:
        found = findings(one, gone, monkeypatch, tmp_path)
        assert find_health(1) is None
        silent = Node(name="n", port=1, operations_port=1)
        assert read_heights({"n": silent}) == {}
    assert found[PEER].explanation == "does not answer"


def test_a_network_that_does_not_run_is_no_problem_if_its_ports_are_free(tmp_path: Path) -> None:
    topology = on_free_ports(load_profile("two-org"))
    (finding,) = examine_network(NetworkLayout(tmp_path), topology)
    assert finding.level is Level.OK
    assert "not running" in finding.explanation


def test_where_there_is_no_network_the_machine_is_examined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_checks, "_fences", lambda: iter(()))
    monkeypatch.setattr(machine_checks, "is_optimized_here", lambda: True)
    found = list(examine(NetworkLayout(tmp_path), dt.datetime.now(dt.UTC)))
    assert {finding.level for finding in found} == {Level.OK}
    assert found[-1].explanation.startswith("none in")


def test_a_topology_that_cannot_be_read_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_checks, "_fences", lambda: iter(()))
    (tmp_path / "topology.yaml").write_text("format: 9")
    found = list(examine(NetworkLayout(tmp_path), dt.datetime.now(dt.UTC)))
    assert found[-1].level is Level.PROBLEM


def test_fences_that_do_not_hold_are_warned_of_with_what_they_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {
        "fences": {"limits": "held", "namespaces": "forbidden", "files": "no Landlock"},
        "missing": {"files": "no Landlock"},
    }
    done = subprocess.CompletedProcess([], 0, stdout=json.dumps(answer).encode())
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)
    found = [one for one in examine_machine(tmp_path) if one.subject == "fences around contracts"]
    assert [one.level for one in found] == [Level.OK, Level.WARNING, Level.WARNING]
    assert "Not needed" in found[1].remedy
    assert "sandbox: required" in found[2].remedy


def test_nodes_without_a_supervisor_are_found_by_their_configuration_and_ended(
    tmp_path: Path,
) -> None:
    layout = NetworkLayout(tmp_path)
    config = layout.node_config(PEER)
    config.parent.mkdir(parents=True)
    config.write_text("")
    code = "import signal; signal.pause()"
    words = [sys.executable, "-c", code, "tongban.node.peer", "--config", str(config)]
    with subprocess.Popen(words) as process:
        try:
            while not Path(f"/proc/{process.pid}/cmdline").read_bytes().endswith(b"yaml\0"):
                pass  # between fork and exec
            (found,) = find_leftovers(layout)
            assert (found.name, found.pid) == (PEER, process.pid)
            (finding,) = examine_network(layout, on_free_ports(load_profile("two-org")))
            assert finding.level is Level.PROBLEM
            assert "tongban network down" in finding.remedy
            Control(layout).down()
            assert find_leftovers(layout) == []
        finally:
            process.kill()
    with pytest.raises(NetworkError):
        Control(layout).down()
    assert end_leftovers(layout) == []


def test_a_process_that_has_ended_and_waits_for_its_parent_is_not_alive() -> None:
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(pid)
    assert is_alive(os.getpid())
