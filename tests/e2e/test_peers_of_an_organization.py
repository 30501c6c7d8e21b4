"""An organization with two peers: one stops, the other takes over; one returns and is found again.

Also what peers know of each other: who has a package, and who endorses what.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.support import official_client
from tests.support.networks import RunningNetwork, running, two_organizations_three_peers
from tests.support.sdk_clients import CHANNEL, Clients, contract_of
from tests.support.uneven import deploy_unevenly, write_project
from tongban.network.readiness import wait_until_healthy
from tongban.protos import common_pb2, transaction_pb2
from tongban.protos.identities_pb2 import SerializedIdentity
from tongban.sdk import (
    Contract,
    EndorseError,
    Outcome,
    StatusCode,
    Timeouts,
    Transaction,
)
from tongban.sdk.core.flows import Committed

pytestmark = pytest.mark.slow

PEER0, PEER1 = "peer0.org1.example.com", "peer1.org1.example.com"
OTHER = "peer0.org2.example.com"
FOUND_SECONDS_MAX = 6.0
"""From a peer's health until others ask it: one announcement interval, and a little."""

SECONDS_MAX = 60.0
MANY = 600

PUT = """
from tongban.contracts import Context, Contract, submit

class Putter(Contract):
    @submit(name="Put")
    def put(self, ctx: Context, key: str, value: str) -> str:
        ctx.stub.put_state(key, value.encode())
        return value
"""
STAMPED = PUT.replace("value.encode()", "(value + ' at {0}').encode()")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    root = tmp_path_factory.mktemp("peers")
    with running(two_organizations_three_peers(), root / "network") as found:
        both = ["Org1MSP", "Org2MSP"]

        def deploy(name: str, policy: str, **more: list[str]) -> None:
            folder = write_project(root / name, name, PUT)
            deploy_unevenly(found, CHANNEL, dict.fromkeys(both, folder), policy, **more)

        deploy("both", "AND('Org1MSP.peer','Org2MSP.peer')")
        deploy("either", "OR('Org1MSP.peer','Org2MSP.peer')", without=[PEER1])
        deploy("pair", "OutOf(2,'Org1MSP.peer','Org1MSP.peer')")
        stamped = {
            msp_id: write_project(root / f"stamped{msp_id}", "stamped", STAMPED.format(msp_id))
            for msp_id in both
        }
        deploy_unevenly(found, CHANNEL, stamped, "AND('Org1MSP.peer','Org2MSP.peer')")
        yield found


@pytest.fixture(params=[True, False], ids=["stream", "unary"])
def clients(request: pytest.FixtureRequest, network: RunningNetwork) -> Iterator[Clients]:
    found = Clients(network, "blocking", stream=request.param)
    yield found
    found.close()
    everybody_up(network)


def everybody_up(network: RunningNetwork) -> None:
    """All nodes run, and every gateway finds every peer."""
    network.control.start(*network.peer_names())
    wait_until_healthy(network.topology, network.control)
    with_each_other = Clients(network, "blocking", stream=False)
    for org, peer in ((0, 0), (0, 1), (1, 0)):
        contract = contract_of(with_each_other.connect(org, peer=peer), "pair")
        eventually(lambda: endorse(contract), SECONDS_MAX)  # noqa: B023, called at once
        contract = contract_of(with_each_other.connect(org, peer=peer), "both")
        eventually(lambda: endorse(contract), SECONDS_MAX)  # noqa: B023
    with_each_other.close()


def eventually(call: Callable[[], object], seconds_max: float) -> float:
    """Call until it endorses; how many seconds that took."""
    started = time.monotonic()
    while True:
        try:
            call()
        except EndorseError:
            if time.monotonic() - started > seconds_max:
                raise
            time.sleep(0.05)
        else:
            return time.monotonic() - started


def endorse(contract: Contract) -> Transaction:
    return contract.new_proposal("Put", secrets.token_hex(6), "v").endorse()


def endorsers(transaction: Transaction) -> set[str]:
    """Names in the certificates of those who endorsed."""
    payload = common_pb2.Payload.FromString(transaction.message)
    (action,) = transaction_pb2.Transaction.FromString(payload.data).actions
    endorsed = transaction_pb2.ChaincodeActionPayload.FromString(action.payload).action
    names = set()
    for endorsement in endorsed.endorsements:
        identity = SerializedIdentity.FromString(endorsement.endorser)
        subject = x509.load_pem_x509_certificate(identity.id_bytes).subject
        names.add(str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value))
    return names


def test_the_other_peer_takes_over_when_one_is_stopped(
    network: RunningNetwork, clients: Clients
) -> None:
    contract = contract_of(clients.connect(1), "both")
    for stopped, other in ((PEER0, PEER1), (PEER1, PEER0)):
        network.control.stop(stopped)
        started = time.monotonic()
        transaction = endorse(contract)
        assert endorsers(transaction) == {other, OTHER}
        assert transaction.submit().status().is_valid
        assert time.monotonic() - started < 5
        for _ in range(5):
            assert endorsers(endorse(contract)) == {other, OTHER}
        network.control.start(stopped)
        wait_until_healthy(network.topology, network.control)
        pair = contract_of(clients.connect(1), "pair")
        assert eventually(lambda: endorse(pair), FOUND_SECONDS_MAX) < FOUND_SECONDS_MAX  # noqa: B023


def test_a_peer_that_was_killed_is_found_again_soon(
    network: RunningNetwork, clients: Clients
) -> None:
    pair = contract_of(clients.connect(1), "pair")
    assert endorsers(endorse(pair)) == {PEER0, PEER1}
    network.control.kill(PEER1)
    with pytest.raises(EndorseError):
        endorse(pair)
    wait_until_healthy(network.topology, network.control)
    eventually(lambda: endorse(pair), FOUND_SECONDS_MAX)


def test_a_policy_may_need_two_peers_of_one_organization(
    network: RunningNetwork, clients: Clients
) -> None:
    pair = contract_of(clients.connect(), "pair")
    transaction = endorse(pair)
    assert endorsers(transaction) == {PEER0, PEER1}
    assert transaction.submit().status().is_valid
    network.control.stop(PEER1)
    with pytest.raises(EndorseError) as caught:
        endorse(pair)
    assert caught.value.code is StatusCode.ABORTED
    assert [(d.msp_id, d.address.split(":")[0]) for d in caught.value.details] == [
        ("Org1MSP", PEER1)
    ]
    with pytest.raises(EndorseError) as caught:
        endorse(pair)
    assert caught.value.code is StatusCode.FAILED_PRECONDITION
    assert caught.value.message == (
        "failed to select a set of endorsers that satisfy the endorsement policy due to "
        "unavailability of peers: [Org1MSP needs 2, has 1]"
    )


def test_a_peer_without_the_package_is_not_asked(network: RunningNetwork, clients: Clients) -> None:
    either = contract_of(clients.connect(peer=1), "either")
    for _ in range(5):
        assert endorsers(endorse(either)) == {PEER0}
    assert either.evaluate("Put", "k", "seen") == b"seen"
    network.control.stop(PEER0)
    assert endorsers(endorse(either)) == {OTHER}, "the first endorser is down"
    assert either.evaluate("Put", "k", "seen") == b"seen"


def test_no_answer_is_lost_when_the_gateway_is_killed(
    network: RunningNetwork, clients: Clients
) -> None:
    timeouts = Timeouts(endorse_s=30, submit_s=30, commit_status_s=60)
    contract = contract_of(clients.connect(timeouts=timeouts), "both")
    prefix = secrets.token_hex(4)
    outcomes: list[Outcome[Committed]] = []
    for outcome in contract.submit_many(
        [("Put", f"{prefix}-{number}", str(number)) for number in range(MANY)], in_flight=64
    ):
        outcomes.append(outcome)
        if len(outcomes) == MANY // 4:
            network.control.kill(PEER0)
    assert sorted(outcome.index for outcome in outcomes) == list(range(MANY))
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if clients.stream:  # calls that began without a connection failed at once, and no others
        assert all(isinstance(error, EndorseError) for error in errors), errors
    wait_until_healthy(network.topology, network.control)
    other = clients.connect(1).get_network(CHANNEL)
    for outcome in outcomes:
        if outcome.error is None:
            committed = outcome.get()
            verdict = other.commit_status(committed.transaction_id)
            assert (verdict.is_valid, verdict.block_number) == (True, committed.block_number)
    eventually(lambda: contract.submit("Put", prefix, "again"), SECONDS_MAX)


def test_the_verdict_is_given_after_the_gateway_has_restarted(
    network: RunningNetwork, clients: Clients
) -> None:
    contract = contract_of(clients.connect(), "both")
    commits = [endorse(contract).submit() for _ in range(20)]
    network.control.kill(PEER0)
    wait_until_healthy(network.topology, network.control)
    for commit in commits:
        assert commit.status().is_valid


def test_events_go_on_after_the_gateway_has_restarted(
    network: RunningNetwork, clients: Clients
) -> None:
    blocks = clients.connect().get_network(CHANNEL).filtered_block_events(start_block=0)
    contract = contract_of(clients.connect(1), "both")
    with blocks:
        assert next(blocks).number == 0
        network.control.kill(PEER0)
        wait_until_healthy(network.topology, network.control)
        found: list[int] = []
        eventually(lambda: endorse(contract), SECONDS_MAX)
        last = endorse(contract).submit().status().block_number
        reader = threading.Thread(
            target=lambda: found.extend(next(blocks).number for _ in range(last))
        )
        reader.start()
        reader.join(SECONDS_MAX)
    assert found == list(range(1, last + 1))


MISMATCH = (
    "ProposalResponsePayloads do not match: write of stamped/k: Org1MSP has '户 at Org1MSP', "
    "Org2MSP has '户 at Org2MSP'. Likely cause: the contract's result depends on something outside "
    "the ledger: the clock, randomness, the order of a set, a float, the environment, or a "
    "different package."
)


def test_organizations_that_disagree_are_told_about_what(clients: Clients) -> None:
    with pytest.raises(EndorseError) as caught:
        contract_of(clients.connect(), "stamped").submit("Put", "k", "户")
    assert caught.value.code is StatusCode.ABORTED
    assert caught.value.message == (
        "failed to collect enough transaction endorsements, see attached details for more info"
    )
    (detail,) = caught.value.details
    assert (detail.msp_id, detail.address.split(":")[0]) == ("Org2MSP", OTHER)
    assert detail.message == MISMATCH


def test_the_official_client_is_told_the_same(network: RunningNetwork) -> None:
    organization = network.topology.organizations[0]
    tree = network.layout.tree_of(organization)
    msp = tree.user("User1") / "msp"
    with official_client.OfficialClient() as client:
        gateway = client.do(
            "connect",
            endpoint=f"localhost:{organization.peers[0].port}",
            hostAlias=PEER0,
            tlsRoot=str(tree.node("peer0") / "tls" / "ca.crt"),
            mspId="Org1MSP",
            certificate=str(next((msp / "signcerts").iterdir())),
            key=str(next((msp / "keystore").iterdir())),
        )["gateway"]
        with pytest.raises(official_client.ClientFailure) as caught:
            client.do(
                "submit",
                gateway=gateway,
                channel=CHANNEL,
                chaincode="stamped",
                name="Put",
                args=[official_client.encode("k"), official_client.encode("户")],
            )
    failure = caught.value
    assert (failure.name, failure.code) == ("EndorseError", StatusCode.ABORTED)
    (detail,) = failure.details
    assert (detail["mspId"], detail["message"]) == ("Org2MSP", MISMATCH)
