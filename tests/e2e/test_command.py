"""The command on a real network: every verb, and errors as one reads them."""

import os
import re
import shutil
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.networks import on_free_ports
from tongban.network.control import Control
from tongban.network.layout import NetworkLayout
from tongban.network.leftovers import end_leftovers, find_leftovers, is_alive
from tongban.network.topology import load_profile, load_topology

pytestmark = pytest.mark.slow

OWNER_FUNCTION = """
    @evaluate
    def owner(self, ctx: Context, id: str) -> str:
        return self.read(ctx, id).owner
"""

SECONDS_MAX = 30.0

TX_ID = re.compile(r"\b[0-9a-f]{64}\b")


def base_port() -> str:
    return str(next(on_free_ports(load_profile("two-org")).nodes())[1].port)


@pytest.fixture(scope="module")
def tongban(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    command = Command(tmp_path_factory.mktemp("command"))
    up = command("network", "up", "--sample", "--base-port", base_port())
    assert up.status == 0, up.err
    try:
        yield command
    finally:
        command("network", "down")
        end_leftovers(layout(command))


def layout(command: Command) -> NetworkLayout:
    return NetworkLayout(command.folder / ".tongban" / "network")


def height(tongban: Command) -> int:
    """Once all nodes have the same."""
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        (channel,) = tongban("channel", "list", "--json").json()
        found = set(channel["heights"].values())
        if len(found) == 1:
            return int(found.pop())
        assert time.monotonic() < deadline, channel


def test_a_submitted_change_can_be_asked_for_at_once(tongban: Command) -> None:
    done = tongban("submit", "mychannel", "basic", "CreateAsset", "c1", "red", "5", "李娜", "300")
    assert (done.status, done.out) == (0, "")
    assert TX_ID.search(done.err), "people are told the transaction and its block"
    asked = tongban("evaluate", "mychannel", "basic", "ReadAsset", "c1", "--as", "Org2MSP/User1")
    assert asked.status == 0
    assert asked.json()["Owner"] == "李娜"


def test_json_of_a_submission_has_its_block_and_result(tongban: Command) -> None:
    call = ("CreateAsset", "c2", "red", "5", "Tom", "300")
    tongban("submit", "mychannel", "basic", *call)
    done = tongban("submit", "mychannel", "basic", "TransferAsset", "c2", "Ann", "--json")
    assert done.json()["result"] == "Tom"
    assert done.json()["block"] == height(tongban) - 1
    assert TX_ID.fullmatch(done.json()["transaction_id"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nochannel", "basic", "F"), ["no channel 'nochannel'", "mychannel"]),
        (("mychannel", "nothere", "F"), ["nothere"]),
        (("mychannel", "basic", "ReadAsset", "none"), ["peer0.org1", "none does not exist"]),
        (("mychannel", "basic", "CreateAsset"), ["peer0.org1", "5 parameters"]),
        (("mychannel", "basic", "F", "--as", "Org9/User1"), ["no organization 'Org9'", "Org1MSP"]),
        (("mychannel", "basic", "F", "--as", "Org1MSP/Eve"), ["no user 'Eve'", "Admin, User1"]),
    ],
)
def test_what_is_refused_says_what_was_expected_and_changes_nothing(
    arguments: tuple[str, ...], words: list[str], tongban: Command
) -> None:
    before = height(tongban)
    done = tongban("submit", *arguments)
    assert done.status == 1
    assert done.out == ""
    assert done.err.startswith("refused: ")
    assert "Traceback" not in done.err
    for word in words:
        assert word in done.err
    assert height(tongban) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("submit", "mychannel"),
        ("submit", "mychannel", "basic", "F", "--as", "Org1MSP"),
        ("submit", "mychannel", "basic", "F", "--transient", "secret"),
        ("submit", "mychannel", "basic", "F", "--transient", "secret=@nofile"),
        ("evaluate", "mychannel", "basic", "F", "--unknown"),
        ("events", "mychannel", "basic", "--count", "0"),
        ("network", "up", "--base-port", "80"),
        ("nothing",),
    ],
)
def test_a_wrong_command_line_is_status_2(arguments: tuple[str, ...], tongban: Command) -> None:
    done = tongban(*arguments)
    assert done.status == 2
    assert done.err.startswith("Usage: tongban")


def test_chinese_locales_are_answered_in_chinese(tongban: Command) -> None:
    chinese = tongban.in_chinese()
    refused = chinese("network", "up")
    assert refused.status == 1
    assert "正在运行" in refused.err
    assert "启动和停止网络" in chinese("--help").out
    assert "已提交" in chinese("submit", "mychannel", "basic", "InitLedger").err


def test_status_channel_and_contracts_are_told_as_json(tongban: Command) -> None:
    nodes = tongban("network", "status", "--json").json()
    assert [node["health"] for node in nodes] == ["healthy"] * 3
    shown = tongban("channel", "show", "mychannel", "--json").json()
    assert [org["msp_id"] for org in shown["organizations"]] == ["Org1MSP", "Org2MSP"]
    assert shown["policies"]["/Channel/Application/Endorsement"] == "MAJORITY Endorsement"
    contracts = tongban("contract", "list", "mychannel", "--json").json()
    assert {one["name"]: one["sequence"] for one in contracts if one["name"] == "basic"} == {
        "basic": 1
    }
    assert "peer0.org1.example.com" in tongban("network", "logs", "-n", "1").out


def test_doctor_finds_a_running_network_well(tongban: Command) -> None:
    done = tongban("doctor", "--json")
    assert done.status == 0, done.out
    subjects = {finding["subject"]: finding["level"] for finding in done.json()}
    assert subjects["channel mychannel"] == "ok"
    assert subjects["peer0.org2.example.com"] == "ok"


def test_events_are_printed_as_lines_of_json(tongban: Command, tmp_path: Path) -> None:
    deploy_shop(tongban, tmp_path)
    tongban("submit", "mychannel", "shop", "register", "e1", "Li Na")
    done = tongban("events", "mychannel", "shop", "--from", "0", "--count", "1")
    assert done.status == 0
    assert done.json()["name"] == "registered"


def deploy_shop(tongban: Command, folder: Path) -> Path:
    shop = folder / "shop"
    assert tongban("contract", "new", str(shop)).status == 0
    deployed = tongban("contract", "deploy", "mychannel", str(shop))
    assert deployed.status == 0, deployed.err
    return shop


def test_deploying_a_changed_contract_again_upgrades_it_and_keeps_its_state(
    tongban: Command, tmp_path: Path
) -> None:
    shop = deploy_shop(tongban, tmp_path)
    assert tongban("submit", "mychannel", "shop", "register", "u1", "Li Na").status == 0
    before = sequences(tongban)
    source = shop / "shop.py"
    source.write_text(source.read_text() + OWNER_FUNCTION)
    deployed = tongban("contract", "deploy", "mychannel", str(shop))
    assert deployed.status == 0, deployed.err
    assert sequences(tongban) == {**before, "shop": before["shop"] + 1}
    assert tongban("evaluate", "mychannel", "shop", "owner", "u1").out == "Li Na\n"
    again = tongban("contract", "deploy", "mychannel", str(shop))
    assert "committed already" in again.out
    assert sequences(tongban) == {**before, "shop": before["shop"] + 1}


def test_an_upgrade_without_a_policy_keeps_the_committed_one(
    tongban: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    assert tongban("contract", "new", str(folder)).status == 0
    policy = "AND('Org1MSP.peer', 'Org2MSP.peer')"
    deployed = tongban("contract", "deploy", "mychannel", str(folder), "--policy", policy)
    assert deployed.status == 0, deployed.err
    first = endorsement(tongban, "kept")
    source = folder / "kept.py"
    source.write_text(source.read_text() + OWNER_FUNCTION)
    assert tongban("contract", "deploy", "mychannel", str(folder)).status == 0
    assert sequences(tongban)["kept"] == 2
    assert endorsement(tongban, "kept") == first != endorsement(tongban, "basic")


def endorsement(tongban: Command, name: str) -> str:
    contracts = tongban("contract", "list", "mychannel", "--json").json()
    (found,) = [one["endorsement"] for one in contracts if one["name"] == name]
    return str(found)


def test_a_policy_that_cannot_be_read_is_refused_and_nothing_is_deployed(
    tongban: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    assert tongban("contract", "new", str(folder)).status == 0
    before = sequences(tongban), packages(tongban)
    refused = tongban("contract", "deploy", "mychannel", str(folder), "--policy", "AND('Org1")
    assert refused.status == 1
    assert (sequences(tongban), packages(tongban)) == before


def packages(tongban: Command) -> set[Path]:
    """What is installed on any node."""
    return set(layout(tongban).root.glob("nodes/*/data/packages/*"))


def sequences(tongban: Command) -> dict[str, int]:
    contracts = tongban("contract", "list", "mychannel", "--json").json()
    return {one["name"]: one["sequence"] for one in contracts}


def test_every_node_serves_its_operations_pages(tongban: Command) -> None:
    topology = load_topology(layout(tongban).topology)
    for name, node in topology.nodes():
        base = f"http://127.0.0.1:{node.operations_port}"
        assert b'"Version"' in fetch(f"{base}/version")
        assert fetch(f"{base}/logspec") == b'{"spec": "info"}'
        assert b"tongban_block_height" in fetch(f"{base}/metrics"), name
        assert b"MiB free" in fetch(f"{base}/healthz")
        spec = b'{"spec": "tongban.node.ordering=debug:info"}'
        request = urllib.request.Request(f"{base}/logspec", data=spec, method="PUT")
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status == 204
        assert fetch(f"{base}/logspec") == spec
        back = urllib.request.Request(f"{base}/logspec", data=b'{"spec": "info"}', method="PUT")
        urllib.request.urlopen(back, timeout=5).close()


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return bytes(answer.read())


def test_a_stopped_node_is_named_by_doctor_and_comes_back(tongban: Command) -> None:
    orderer = "orderer.example.com"
    assert tongban("network", "stop", orderer).out == f"{orderer}: stopped\n"
    before = height_of_peers(tongban)
    sick = tongban("doctor")
    assert sick.status == 1
    assert f"tongban network start {orderer}" in sick.out
    refused = tongban("submit", "mychannel", "basic", "CreateAsset", "s1", "r", "1", "T", "1")
    assert refused.status == 1
    assert orderer in refused.err
    assert height_of_peers(tongban) == before
    assert tongban("network", "start", orderer).out == f"{orderer}: running\n"
    done = tongban("submit", "mychannel", "basic", "CreateAsset", "s1", "r", "1", "T", "1")
    assert done.status == 0, done.err


def height_of_peers(tongban: Command) -> set[int]:
    (channel,) = tongban("channel", "list", "--json").json()
    return {height for node, height in channel["heights"].items() if node.startswith("peer")}


def test_a_second_network_in_the_directory_is_refused(tongban: Command) -> None:
    refused = tongban("network", "clean")
    assert refused.status == 1
    assert "tongban network down" in refused.err
    assert layout(tongban).topology.exists()


def test_nodes_that_lost_their_supervisor_are_named_and_ended(tmp_path: Path) -> None:
    tongban = Command(tmp_path)
    port = base_port()
    assert tongban("network", "up", "--base-port", port).status == 0
    try:
        end_supervisor_hard(tongban)
        assert len(find_leftovers(layout(tongban))) == 3
        assert "without its supervisor" in tongban("doctor").out
        refused = tongban("network", "up")
        assert refused.status == 1
        assert "tongban network down" in refused.err
        assert len(find_leftovers(layout(tongban))) == 3
        assert tongban("network", "down").status == 0
        assert find_leftovers(layout(tongban)) == []
        again = tongban("network", "up")
        assert again.status == 0, again.err
        ledgers = list(layout(tongban).root.glob("nodes/peer*/data/channels/mychannel/ledger"))
        assert len(ledgers) == 2
        assert tongban("ledger", "verify", str(ledgers[0])).status != 0, "it is in use"
        assert tongban("network", "down").status == 0
        for ledger in ledgers:
            assert tongban("ledger", "verify", str(ledger), "--json").status == 0
        assert tongban("network", "clean").status == 0
        assert not layout(tongban).root.exists()
    finally:
        end_leftovers(layout(tongban))
        shutil.rmtree(layout(tongban).root, ignore_errors=True)


def end_supervisor_hard(tongban: Command) -> None:
    pid = Control(layout(tongban)).supervisor_pid()
    os.kill(pid, signal.SIGKILL)
    while is_alive(pid):
        time.sleep(0.01)
