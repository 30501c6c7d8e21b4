"""Our SDK on a network of real processes: both drivers, over the stream and in unary calls."""

import json
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from tests.support.networks import RunningNetwork, running
from tests.support.sdk_clients import CHANNEL, Clients, contract_of
from tongban.network.topology import load_profile
from tongban.protos.common_pb2 import TRANSACTIONS_FILTER
from tongban.protos.signing import load_private_key, to_low_s
from tongban.protos.transaction_pb2 import TxValidationCode
from tongban.sdk import (
    Checkpointer,
    CommitError,
    CommitStatusError,
    Contract,
    DigestSigner,
    EndorseError,
    ErrorDetail,
    EvaluateError,
    EventsError,
    FileCheckpointer,
    Gateway,
    Identity,
    InMemoryCheckpointer,
    SigningIdentity,
    StatusCode,
    SubmitError,
    Timeouts,
)

pytestmark = pytest.mark.slow

BOTH = "AND('Org1MSP.peer','Org2MSP.peer')"
SECONDS_MAX = 30.0
MANY = 2_000
OWNER = "汤姆 Tom"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    with running(load_profile("two-org"), tmp_path_factory.mktemp("sdk")) as found:
        found.deploy(CHANNEL, "samples/asset_transfer", BOTH)
        found.deploy(CHANNEL, "samples/program", BOTH)
        found.deploy(CHANNEL, "tests/support/counter", BOTH)
        yield found


@pytest.fixture(params=["blocking", "asyncio"])
def driver(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=[True, False], ids=["stream", "unary"])
def clients(
    request: pytest.FixtureRequest, network: RunningNetwork, driver: Any
) -> Iterator[Clients]:
    found = Clients(network, driver, stream=request.param)
    yield found
    found.close()


@pytest.fixture
def gateway(clients: Clients) -> Gateway:
    return clients.connect()


@pytest.fixture
def basic(gateway: Gateway) -> Contract:
    return contract_of(gateway, "basic")


def new_name() -> str:
    return f"asset-{secrets.token_hex(6)}"


def create(name: str) -> tuple[str, ...]:
    return ("CreateAsset", name, "yellow", "5", OWNER, "1300")


def program(*operations: dict[str, Any]) -> tuple[str, str]:
    return "run", json.dumps({"ops": list(operations)})


def is_there(basic: Contract, name: str) -> bool:
    return bool(basic.evaluate("AssetExists", name) == b"true")


def test_a_submitted_asset_can_be_read(clients: Clients, gateway: Gateway, basic: Contract) -> None:
    name = new_name()
    basic.submit(*create(name))
    assert json.loads(basic.evaluate("ReadAsset", name))["Owner"] == OWNER
    assert gateway.is_streaming is clients.stream


def test_every_step_can_be_taken_by_itself(gateway: Gateway, basic: Contract) -> None:
    name = new_name()
    proposal = basic.new_proposal(*create(name))
    assert proposal.evaluate() == b""
    transaction = proposal.endorse()
    assert not is_there(basic, name)
    commit = transaction.submit()
    status = commit.status()
    assert (status.code, status.is_valid) == (TxValidationCode.VALID, True)
    assert status.transaction_id == proposal.transaction_id == transaction.transaction_id
    asked = gateway.get_network(CHANNEL).commit_status(proposal.transaction_id)
    assert asked == status
    assert is_there(basic, name)


def test_the_verdict_is_asked_for_later(basic: Contract) -> None:
    name = new_name()
    commit = basic.submit_async(*create(name))
    assert commit.result == b""
    assert commit.status().is_valid
    assert commit.status().block_number > 0
    assert is_there(basic, name)


def test_another_organization_may_ask_for_the_verdict(clients: Clients, basic: Contract) -> None:
    commit = basic.submit_async(*create(new_name()))
    other = clients.connect(1).get_network(CHANNEL)
    assert other.commit_status(commit.transaction_id) == commit.status()


def key_of(clients: Clients, org: int) -> ec.EllipticCurvePrivateKey:
    """The key of User1 of an organization."""
    organization = clients.network.topology.organizations[org]
    keystore = clients.network.layout.tree_of(organization).user("User1") / "msp" / "keystore"
    key = load_private_key(next(keystore.iterdir()).read_bytes())
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def sign_digest(clients: Clients, digest: bytes) -> bytes:
    """What a device that holds the key of the first organization's User1 answers."""
    key = key_of(clients, 0)
    return to_low_s(key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))), key.curve)


def unsigning(clients: Clients) -> Identity:
    identity: Identity = clients.identity().identity
    return identity


def test_a_transaction_is_signed_outside_at_every_step(clients: Clients, basic: Contract) -> None:
    offline, name = clients.connect(identity=unsigning(clients)), new_name()
    made = contract_of(offline, "basic").new_proposal(*create(name))
    signature = sign_digest(clients, made.digest)
    endorsed = offline.new_proposal_from_bytes(made.bytes, signature).endorse()
    signature = sign_digest(clients, endorsed.digest)
    submitted = offline.new_transaction_from_bytes(endorsed.bytes, signature).submit()
    signature = sign_digest(clients, submitted.digest)
    status = offline.new_commit_from_bytes(submitted.bytes, signature).status()
    assert status.is_valid
    assert is_there(basic, name)


def test_a_device_may_sign_for_the_sdk(clients: Clients) -> None:
    signer = DigestSigner(unsigning(clients), lambda digest: sign_digest(clients, digest))
    basic = contract_of(clients.connect(identity=signer), "basic")
    name = new_name()
    basic.submit(*create(name))
    assert is_there(basic, name)


def emit(contract: Contract, name: str) -> tuple[str, int]:
    """Submit a transaction with an event; its id and its block."""
    status = contract.submit_async(*program({"op": "event", "name": name, "v": "payload"})).status()
    assert status.is_valid
    return status.transaction_id, status.block_number


def read(stream: Any, count: int) -> list[Any]:
    return [next(stream) for _ in range(count)]


def test_events_arrive_live(gateway: Gateway) -> None:
    contract, network = contract_of(gateway, "program"), gateway.get_network(CHANNEL)
    found: list[Any] = []
    with network.chaincode_events("program") as events:
        reader = threading.Thread(target=lambda: found.extend(read(events, 3)))
        reader.start()
        sent = []
        while reader.is_alive():  # the stream begins at some time after the thread
            sent.append(emit(contract, "live")[0])
            assert len(sent) < 200
        reader.join(SECONDS_MAX)
    first = sent.index(found[0].transaction_id)
    assert [event.transaction_id for event in found] == sent[first : first + 3]


def test_events_are_replayed_from_a_block(gateway: Gateway) -> None:
    contract, network = contract_of(gateway, "program"), gateway.get_network(CHANNEL)
    (first, block), (second, _) = emit(contract, "first"), emit(contract, "second")
    with network.chaincode_events("program", start_block=block) as events:
        found = read(events, 2)
    assert [(e.transaction_id, e.event_name) for e in found] == [
        (first, "first"),
        (second, "second"),
    ]
    assert (found[0].block_number, found[0].payload) == (block, b"payload")


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_checkpoint_resumes_behind_the_last_event_seen(
    gateway: Gateway, kind: str, tmp_path: Path
) -> None:
    contract, network = contract_of(gateway, "program"), gateway.get_network(CHANNEL)
    sent = [emit(contract, f"step{number}") for number in range(3)]
    path = tmp_path / "position.json"
    in_memory = InMemoryCheckpointer()

    def checkpointer() -> Checkpointer:
        return FileCheckpointer(path) if kind == "file" else in_memory

    keeper = checkpointer()
    with network.chaincode_events("program", start_block=sent[0][1], checkpoint=keeper) as events:
        for event in read(events, 2):
            keeper.checkpoint_chaincode_event(event)
    with network.chaincode_events(
        "program", start_block=sent[0][1], checkpoint=checkpointer()
    ) as events:
        (rest,) = read(events, 1)
    assert rest.transaction_id == sent[2][0]


def test_a_checkpoint_without_an_event_of_its_own_loses_none(gateway: Gateway) -> None:
    contract, network = contract_of(gateway, "program"), gateway.get_network(CHANNEL)
    silent = contract.submit_async(*program({"op": "put", "k": new_name(), "v": "x"})).status()
    sent = emit(contract, "after")
    keeper = InMemoryCheckpointer()
    keeper.checkpoint_transaction(silent.block_number, silent.transaction_id)
    with network.chaincode_events("program", checkpoint=keeper) as events:
        (found,) = read(events, 1)
    assert found.transaction_id == sent[0]


def test_blocks_arrive_whole_filtered_and_with_private_data(gateway: Gateway) -> None:
    network = gateway.get_network(CHANNEL)
    sent, number = emit(contract_of(gateway, "program"), "seen")
    with network.block_events(start_block=number) as blocks:
        (block,) = read(blocks, 1)
    flags = block.metadata.metadata[TRANSACTIONS_FILTER]
    assert (block.header.number, len(flags)) == (number, len(block.data.data))
    with network.filtered_block_events(start_block=number) as filtered:
        (short,) = read(filtered, 1)
    transactions = [t for t in short.filtered_transactions if t.txid == sent]
    assert [t.tx_validation_code for t in transactions] == [TxValidationCode.VALID]
    with network.block_and_private_data_events(start_block=number) as private:
        (whole,) = read(private, 1)
    assert whole.block == block


def test_a_checkpoint_of_blocks_goes_on_with_the_next(gateway: Gateway) -> None:
    contract, network = contract_of(gateway, "program"), gateway.get_network(CHANNEL)
    (_, first), (_, second) = emit(contract, "a"), emit(contract, "b")
    keeper = InMemoryCheckpointer()
    keeper.checkpoint_block(first)
    with network.block_events(checkpoint=keeper) as blocks:
        assert next(blocks).header.number == first + 1 <= second


def test_many_small_transactions_are_submitted_and_each_is_reported(gateway: Gateway) -> None:
    counter = contract_of(gateway, "counter")
    prefix = secrets.token_hex(4)
    calls = (("Put", f"{prefix}-{number}", str(number)) for number in range(MANY))
    outcomes = list(counter.submit_many(calls))
    assert sorted(outcome.index for outcome in outcomes) == list(range(MANY))
    assert len({outcome.get().transaction_id for outcome in outcomes}) == MANY
    for number in (0, MANY // 2, MANY - 1):
        assert counter.evaluate("Get", f"{prefix}-{number}") == str(number).encode()


def test_lost_races_are_tried_again(gateway: Gateway) -> None:
    counter, account = contract_of(gateway, "counter"), new_name()
    failures: list[Exception] = []

    def add() -> None:
        try:
            for _ in range(3):
                counter.submit("Add", account, retries=30, idempotency_key=secrets.token_hex(8))
        except Exception as error:  # for the assertion below, whatever it is
            failures.append(error)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS_MAX)
    assert failures == []
    assert counter.evaluate("Get", account) == b"12"


def details(error: Any) -> list[tuple[str, str]]:
    found: tuple[ErrorDetail, ...] = error.details
    return [(detail.msp_id, detail.message) for detail in found]


def test_a_refusing_contract_is_an_endorse_error_with_details(
    clients: Clients, basic: Contract
) -> None:
    name = new_name()
    basic.submit(*create(name))
    with pytest.raises(EndorseError) as caught:
        basic.submit(*create(name))
    error = caught.value
    assert (error.code, error.message) == (
        StatusCode.ABORTED,
        "failed to endorse transaction, see attached details for more info",
    )
    text = f"chaincode response 500, The asset {name} already exists"
    assert details(error) == [("Org1MSP", text)]
    peer = clients.network.topology.organizations[0].peers[0]
    assert error.details[0].address == f"peer0.org1.example.com:{peer.port}"
    assert len(error.transaction_id) == 64


def test_a_refused_query_is_an_evaluate_error_with_details(basic: Contract) -> None:
    with pytest.raises(EvaluateError) as caught:
        basic.evaluate("ReadAsset", "nothing")
    text = "chaincode response 500, The asset nothing does not exist"
    assert caught.value.code is StatusCode.UNKNOWN
    assert caught.value.message == f"evaluate call to endorser returned error: {text}"
    assert details(caught.value) == [("Org1MSP", text)]


def test_an_unknown_function_is_named(basic: Contract) -> None:
    with pytest.raises(EvaluateError, match="function that does not exist: Vanish"):
        basic.evaluate("Vanish")


def test_an_unknown_chaincode_is_a_failed_precondition(gateway: Gateway) -> None:
    nobody = contract_of(gateway, "nobody")
    with pytest.raises(EndorseError) as endorsing:
        nobody.submit("Do")
    text = "No metadata was found for chaincode nobody in channel mychannel"
    assert endorsing.value.code is StatusCode.FAILED_PRECONDITION
    assert text in endorsing.value.message
    with pytest.raises(EvaluateError) as evaluating:
        nobody.evaluate("Do")
    assert evaluating.value.code is StatusCode.FAILED_PRECONDITION
    text = "no peers available to evaluate chaincode nobody in channel mychannel"
    assert evaluating.value.message == text


def test_an_unknown_channel_is_refused_by_every_call(gateway: Gateway) -> None:
    network = gateway.get_network("nowhere")
    contract = network.get_contract("basic")
    with pytest.raises(EndorseError) as endorsing:
        contract.submit("Do")
    assert endorsing.value.code is StatusCode.FAILED_PRECONDITION
    with pytest.raises(EvaluateError) as evaluating:
        contract.evaluate("Do")
    assert evaluating.value.code is StatusCode.UNAVAILABLE
    assert "failed to get config for channel [nowhere]" in evaluating.value.message
    with pytest.raises(CommitStatusError) as asking:
        network.commit_status("0" * 64)
    assert asking.value.code is StatusCode.PERMISSION_DENIED
    with network.chaincode_events("basic") as events, pytest.raises(EventsError) as reading:
        next(events)
    assert reading.value.code is StatusCode.PERMISSION_DENIED


def stranger(clients: Clients) -> Any:
    """A user of the second organization who claims to be of the first."""
    other = clients.identity(1)
    claimed = Identity("Org1MSP", other.identity.credentials)
    return SigningIdentity(claimed, key_of(clients, 1))


def test_a_stranger_is_denied_everywhere(clients: Clients, basic: Contract) -> None:
    name = new_name()
    gateway = clients.connect(identity=stranger(clients), reconnect_for_s=0)
    contract = contract_of(gateway, "basic")
    with pytest.raises(EvaluateError) as evaluating:
        contract.evaluate("ReadAsset", name)
    assert evaluating.value.code is StatusCode.FAILED_PRECONDITION
    assert "access denied: channel [mychannel] creator org" in evaluating.value.message
    with pytest.raises(EndorseError, match="access denied") as endorsing:
        contract.submit(*create(name))
    assert endorsing.value.code is StatusCode.ABORTED
    with pytest.raises(CommitStatusError) as asking:
        gateway.get_network(CHANNEL).commit_status("0" * 64)
    assert asking.value.code is StatusCode.PERMISSION_DENIED
    events = gateway.get_network(CHANNEL).chaincode_events("basic")
    with events, pytest.raises(EventsError) as reading:
        next(events)
    assert reading.value.code is StatusCode.PERMISSION_DENIED
    assert not is_there(basic, name)


def test_of_two_writers_of_a_key_one_gets_a_commit_error(basic: Contract) -> None:
    name = new_name()
    first, second = (basic.new_proposal(*create(name)).endorse() for _ in range(2))
    assert first.submit().status().is_valid
    status = second.submit().status()
    assert (status.code, status.code_name) == (
        TxValidationCode.MVCC_READ_CONFLICT,
        "MVCC_READ_CONFLICT",
    )


def test_a_lost_race_without_retries_is_a_commit_error(gateway: Gateway) -> None:
    counter, account = contract_of(gateway, "counter"), new_name()
    outcomes = list(counter.submit_many([("Add", account)] * 8, in_flight=8))
    errors = [o.error for o in outcomes if o.error is not None]
    assert errors, "eight at once cannot all win"
    for error in errors:
        assert isinstance(error, CommitError | EndorseError)
        if isinstance(error, CommitError):
            assert error.code == TxValidationCode.MVCC_READ_CONFLICT
            assert error.block_number > 0
    won = len(outcomes) - len(errors)
    assert counter.evaluate("Get", account) == str(won).encode()


def test_a_wrong_signature_under_a_transaction_is_a_submit_error(
    gateway: Gateway, basic: Contract
) -> None:
    name = new_name()
    endorsed = basic.new_proposal(*create(name)).endorse()
    forged = gateway.new_transaction_from_bytes(endorsed.bytes, b"forged")
    with pytest.raises(SubmitError) as caught:
        forged.submit()
    assert caught.value.code is StatusCode.ABORTED
    text = "received unsuccessful response from orderer: status=FORBIDDEN"
    assert text in caught.value.message
    assert not is_there(basic, name)


def test_a_wrong_signature_under_a_question_is_a_commit_status_error(
    gateway: Gateway, basic: Contract
) -> None:
    commit = basic.submit_async(*create(new_name()))
    assert commit.status().is_valid
    forged = gateway.new_commit_from_bytes(commit.bytes, b"forged")
    with pytest.raises(CommitStatusError) as caught:
        forged.status()
    assert caught.value.code is StatusCode.PERMISSION_DENIED


def test_deadlines_pass_in_every_step(clients: Clients, gateway: Gateway) -> None:
    counter = contract_of(gateway, "counter")
    slow = ("Spin", "20000000")
    with pytest.raises(EvaluateError) as evaluating:
        counter.new_proposal(*slow).evaluate(timeout_s=0.3)
    assert evaluating.value.code is StatusCode.DEADLINE_EXCEEDED
    with pytest.raises(EndorseError) as endorsing:
        counter.new_proposal(*slow).endorse(timeout_s=0.3)
    assert endorsing.value.code is StatusCode.DEADLINE_EXCEEDED
    with pytest.raises(CommitStatusError) as asking:
        gateway.get_network(CHANNEL).commit_status("0" * 64, timeout_s=0.3)
    assert asking.value.code is StatusCode.DEADLINE_EXCEEDED
    hasty = clients.connect(timeouts=Timeouts(endorse_s=0.001))
    with pytest.raises(EndorseError) as hurrying:
        contract_of(hasty, "basic").submit(*create(new_name()))
    assert hurrying.value.code is StatusCode.DEADLINE_EXCEEDED


def test_organizations_without_peers_are_named(basic: Contract) -> None:
    name = new_name()
    with pytest.raises(EndorseError) as caught:
        basic.submit(*create(name), endorsing_organizations=["Org1MSP", "Org9MSP", "Org8MSP"])
    assert caught.value.code is StatusCode.UNAVAILABLE
    text = "failed to find any endorsing peers for org(s): Org9MSP, Org8MSP"
    assert caught.value.message == text
    assert not is_there(basic, name)


def test_named_organizations_endorse_and_no_others(clients: Clients, basic: Contract) -> None:
    name = new_name()
    with pytest.raises(CommitError) as caught:
        basic.submit(*create(name), endorsing_organizations=["Org2MSP"])
    assert caught.value.code == TxValidationCode.ENDORSEMENT_POLICY_FAILURE
    basic.submit(*create(name), endorsing_organizations=["Org2MSP", "Org1MSP"])
    clients.network.wait_for_equal_heights(CHANNEL)
    found = basic.evaluate("ReadAsset", name, target_organizations=["Org2MSP"])
    assert json.loads(found)["ID"] == name


def test_transient_data_reaches_the_contract_and_not_the_ledger(gateway: Gateway) -> None:
    contract, key = contract_of(gateway, "program"), new_name()
    secret = secrets.token_hex(16)
    put = program({"op": "put", "k": key, "v": "x"}, {"op": "get", "k": key})
    proposal = contract.new_proposal(*put, transient={"secret": secret})
    transaction = proposal.endorse()
    assert secret.encode() in proposal.bytes
    assert secret.encode() not in transaction.bytes
    assert transaction.submit().status().is_valid
    read_back = program({"op": "put", "k": key, "t": "secret"}, {"op": "get", "k": key})
    shown = contract.evaluate(*read_back, transient={"secret": secret})
    assert shown.startswith(b"0 put\n1 get ")
