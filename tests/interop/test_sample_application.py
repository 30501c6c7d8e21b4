"""The calls of Fabric's sample applications, with the folders, names and variables they expect."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import official_client
from tests.support.networks import RunningNetwork, running
from tongban.network.topology import load_profile
from tongban.protos.transaction_pb2 import TxValidationCode

pytestmark = pytest.mark.slow

SECONDS_MAX = 120
ABORTED = 10
EITHER = "OR('Org1MSP.peer','Org2MSP.peer')"


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("interop") / "fabric-samples"


@pytest.fixture(scope="module")
def network(samples: Path) -> Iterator[RunningNetwork]:
    with running(load_profile("two-org"), samples / "test-network", sample=True) as found:
        found.deploy("mychannel", "samples/asset_transfer_events", EITHER)
        yield found


def run(samples: Path, network: RunningNetwork, *arguments: str) -> list[dict[str, Any]]:
    """What an application in the samples' tree printed. Only the port is not its default, since
    several tests may run on one machine."""
    official_client.install()
    source = samples / "asset-transfer-basic" / "application-gateway-javascript" / "src" / "app.js"
    source.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(official_client.DRIVER / "sample_application.js", source)
    port = network.topology.organizations[0].peers[0].port
    finished = subprocess.run(
        ["node", str(source), *arguments],
        env={
            "PATH": os.environ["PATH"],
            "NODE_PATH": str(official_client.DRIVER / "node_modules"),
            "PEER_ENDPOINT": f"localhost:{port}",
        },
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return [json.loads(line) for line in finished.stdout.splitlines()]


def test_the_profile_has_the_ports_of_the_samples() -> None:
    topology = load_profile("two-org")
    ports = [peer.port for organization in topology.organizations for peer in organization.peers]
    assert ports == [7051, 9051]


def test_the_basic_application_runs_with_its_defaults(
    samples: Path, network: RunningNetwork
) -> None:
    told = run(samples, network)
    names = ["InitLedger", "GetAllAssets", "CreateAsset", "TransferAsset", "ReadAsset"]
    assert [line["call"] for line in told] == [*names, "UpdateAsset"]
    _, everything, created, transferred, found, refused = told
    assert [asset["ID"] for asset in everything["result"]] == [f"asset{n}" for n in range(1, 7)]
    assert transferred["result"] == "Tom"
    assert (transferred["successful"], transferred["code"]) == (True, TxValidationCode.VALID)
    assert found["result"] == {
        "ID": created["id"],
        "Color": "yellow",
        "Size": 5,
        "Owner": "Saptha",
        "AppraisedValue": 1300,
    }
    assert (refused["failed"], refused["code"]) == ("EndorseError", ABORTED)
    (detail,) = refused["details"]
    assert detail["message"] == "chaincode response 500, The asset asset70 does not exist"
    assert refused["transactionId"]


def test_the_events_application_hears_and_replays_every_change(
    samples: Path, network: RunningNetwork
) -> None:
    created, heard, replayed = run(samples, network, "events")
    assert created["successful"]
    changes = [(name, asset["Owner"], asset["AppraisedValue"]) for name, asset in heard["events"]]
    assert changes == [
        ("CreateAsset", "Sam", 100),
        ("UpdateAsset", "Sam", 200),
        ("TransferAsset", "Mary", 200),
        ("DeleteAsset", "Mary", 200),
    ]
    assert replayed["events"] == heard["events"]
