"""Rules on a real network: reactions in the same transaction, and later when a peer was away."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.networks import RunningNetwork, running
from tongban.network.readiness import wait_until_healthy
from tongban.network.rules import ChannelRules
from tongban.network.topology import load_profile
from tongban.node.core.block import parse_block
from tongban.sdk import Call, CommittedOrDeferred, EndorseError

pytestmark = pytest.mark.slow

CHANNEL = "mychannel"
CONTRACTS = Path(__file__).parents[1] / "support" / "reacting"
RUN = "from tongban.network.cli import main; main()"
ORG1_PEER = "peer0.org1.example.com"
ORG2_PEER = "peer0.org2.example.com"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    with running(load_profile("two-org"), tmp_path_factory.mktemp("net")) as found:
        found.deploy(CHANNEL, "rules_contract", "OR('Org1MSP.peer','Org2MSP.peer')")
        found.deploy(CHANNEL, str(CONTRACTS / "registry"), "OR('Org1MSP.peer')")
        found.deploy(CHANNEL, str(CONTRACTS / "supply"), "OR('Org2MSP.peer')")
        told: list[str] = []
        rules = ChannelRules(found.connections, found.connections.find_channel(CHANNEL))
        assert rules.adopt(told.append) == 1
        assert rules.adopt(told.append) == 0
        yield found


def book(network: RunningNetwork, case: str) -> CommittedOrDeferred:
    organization = network.topology.organization("Org1MSP")
    with network.connections.gateway(organization, "User1") as gateway:
        contract = gateway.get_network(CHANNEL).get_contract("registry")
        return contract.submit_or_defer(Call("book", (case,), retries=5), ["supply"])


def count(network: RunningNetwork, case: str) -> int:
    organization = network.topology.organization("Org2MSP")
    with network.connections.gateway(organization, "User1") as gateway:
        contract = gateway.get_network(CHANNEL).get_contract("supply")
        return int(contract.evaluate("count", case, target_organizations=["Org2MSP"]))


def wait_at_org2(network: RunningNetwork, done: CommittedOrDeferred) -> None:
    """The other organization's peer has committed it too."""
    organization = network.topology.organization("Org2MSP")
    with network.connections.gateway(organization, "User1") as gateway:
        status = gateway.get_network(CHANNEL).commit_status(done.committed.transaction_id)
        assert status.is_valid


def command(network: RunningNetwork, *words: str) -> list[str]:
    root = str(network.layout.root)
    return [sys.executable, "-c", RUN, *words, "--dir", root]


def waiting(network: RunningNetwork) -> list[dict[str, str]]:
    words = ["reactions", "list", CHANNEL, "--as", "Org2MSP/User1", "--json"]
    done = subprocess.run(
        command(network, *words), capture_output=True, check=True, timeout=60, text=True
    )
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def run_worker(network: RunningNetwork, *more: str) -> "subprocess.Popen[str]":
    words = ["reactions", "run", CHANNEL, "--as", "Org2MSP/User1", "--json", *more]
    return subprocess.Popen(command(network, *words), stdout=subprocess.PIPE, text=True)


def restart(network: RunningNetwork, peer: str) -> None:
    network.control.start(peer)
    wait_until_healthy(network.topology, network.control)


def run_to_the_end(network: RunningNetwork) -> list[dict[str, str]]:
    worker = run_worker(network, "--once")
    out, _ = worker.communicate(timeout=90)
    assert worker.returncode == 0, out
    return [json.loads(line) for line in out.splitlines()]


def test_a_reaction_is_part_of_the_emitting_transaction(network: RunningNetwork) -> None:
    done = book(network, "case-1")
    assert (done.deferred, done.committed.result) == ((), b'["done"]')
    wait_at_org2(network, done)
    assert count(network, "case-1") == 1
    assert written(network, done) == ["registry", "supply"]
    refused = book(network, "bad-1")
    wait_at_org2(network, refused)
    assert refused.committed.result == b'["refused"]'
    assert written(network, refused) == ["registry"]
    assert count(network, "bad-1") == 0
    assert waiting(network) == []


def written(network: RunningNetwork, done: CommittedOrDeferred) -> list[str]:
    """The namespaces that the committed transaction writes."""
    organization = network.topology.organization("Org1MSP")
    number = done.committed.block_number
    with (
        network.connections.gateway(organization, "User1") as gateway,
        gateway.get_network(CHANNEL).block_events(start_block=number) as blocks,
    ):
        block = parse_block(next(blocks))
    for transaction in block.transactions:
        if transaction.index_id == done.committed.transaction_id and transaction.body:
            rwset = transaction.body.rwset
            return [part.namespace for part in rwset.namespaces if part.is_written]
    raise AssertionError("the block does not have the transaction")


def test_what_waited_happens_once_though_the_worker_is_killed(network: RunningNetwork) -> None:
    network.control.stop(ORG2_PEER)
    cases = [f"late-{number}" for number in range(12)]
    answers = [book(network, case) for case in [*cases, "bad-late"]]
    assert [done.deferred for done in answers] == [("supply",)] * 13
    assert {done.committed.result for done in answers} == {b'["deferred"]'}
    restart(network, ORG2_PEER)
    assert len(waiting_when_caught_up(network, 13)) == 13
    for lines in (1, 2, 3, 1):
        worker = run_worker(network)
        assert worker.stdout is not None
        for _ in range(lines):
            assert worker.stdout.readline()
        worker.kill()
        worker.communicate(timeout=30)
    rest = run_to_the_end(network)
    assert {one["result"] for one in rest} <= {"done", "refused"}
    assert run_to_the_end(network) == []
    assert waiting(network) == []
    assert [count(network, case) for case in cases] == [1] * 12
    assert count(network, "bad-late") == 0


def waiting_when_caught_up(network: RunningNetwork, wanted: int) -> Sequence[dict[str, str]]:
    for _ in range(30):
        found = waiting(network)
        if len(found) >= wanted:
            return found
    raise AssertionError(f"expected {wanted} waiting reactions, found {len(found)}")


def test_a_running_worker_learns_of_what_waits(network: RunningNetwork) -> None:
    worker = run_worker(network)
    try:
        assert worker.stdout is not None
        network.control.stop(ORG2_PEER)
        assert book(network, "told").deferred == ("supply",)
        restart(network, ORG2_PEER)
        told = json.loads(worker.stdout.readline())
        while told["result"] == "failed":
            told = json.loads(worker.stdout.readline())
        assert told["result"] == "done"
        assert count(network, "told") == 1
    finally:
        worker.terminate()
        worker.communicate(timeout=30)
    assert worker.returncode == 0


def test_a_reaction_does_not_need_the_emitting_departments_peer(network: RunningNetwork) -> None:
    network.control.stop(ORG2_PEER)
    book(network, "alone")
    restart(network, ORG2_PEER)
    waiting_when_caught_up(network, 1)
    network.control.stop(ORG1_PEER)
    done = run_to_the_end(network)
    assert [one["result"] for one in done] == ["done"]
    assert count(network, "alone") == 1
    restart(network, ORG1_PEER)
    closed = run_to_the_end(network)
    assert [one["result"] for one in closed] == ["closed"]
    assert count(network, "alone") == 1
    assert waiting(network) == []


def test_without_the_hint_nothing_happens_while_a_peer_is_away(network: RunningNetwork) -> None:
    network.control.stop(ORG2_PEER)
    organization = network.topology.organization("Org1MSP")
    with network.connections.gateway(organization, "User1") as gateway:
        contract = gateway.get_network(CHANNEL).get_contract("registry")
        with pytest.raises(EndorseError):
            contract.submit("book", "never")
    restart(network, ORG2_PEER)
    assert count(network, "never") == 0
    assert waiting(network) == []


def test_the_command_shows_the_rules(network: RunningNetwork) -> None:
    def said(*words: str) -> str:
        done = subprocess.run(
            command(network, "rules", *words),
            capture_output=True,
            check=True,
            timeout=60,
            text=True,
        )
        return done.stdout

    rule = "registry.registry.booked.supply.Supply:follow"
    (listed,) = json.loads(said("list", CHANNEL, "--json"))
    assert (listed["id"], listed["state"], listed["unavailable"]) == (rule, "active", "defer")
    assert said("list", CHANNEL).split("\t")[:3] == ["active", "100", "registry/registry.booked"]
    assert said("graph", CHANNEL).splitlines()[0] == "registry/registry.booked"
    said("withdraw", CHANNEL, rule, "--as", "Org2MSP/Admin")
    assert said("list", CHANNEL).startswith("declared\t")
    content = said("propose", CHANNEL, rule, "--as", "Org1MSP/Admin").strip()
    assert f"Org1MSP, Org2MSP ({content})" in said("list", CHANNEL)
    said("approve", CHANNEL, rule, content, "--as", "Org1MSP/Admin")
    said("approve", CHANNEL, rule, content, "--as", "Org2MSP/Admin")
    assert said("list", CHANNEL).startswith("active\t")
