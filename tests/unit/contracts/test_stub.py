"""What a contract sees of the ledger and of its caller."""

import base64
import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from tongban.contracts import (
    ClientIdentity,
    Context,
    Contract,
    ContractError,
    KeyEndorsement,
    Role,
    submit,
)
from tongban.contracts.composite import create_composite_key, split_composite_key
from tongban.contracts.endorsement import all_of
from tongban.contracts.responses import payload_of
from tongban.contracts.runtime.bridge import Response, StateRefused
from tongban.contracts.stub import moment_of
from tongban.contracts.testing import Ledger, NondeterminismError
from tongban.protos.policies_pb2 import SignaturePolicyEnvelope


class Probe(Contract):
    """Runs whatever function a test gives it."""

    script: Any = None

    @submit
    def run(self, ctx: Context) -> None:
        type(self).script(ctx)


class Other(Contract):
    @submit
    def add(self, ctx: Context, key: str, fail: bool) -> str:
        ctx.stub.put_state(key, b"other")
        ctx.stub.set_event("lost")
        if fail:
            raise ContractError("NO", "其他", {"key": key}, status=403)
        return f"{ctx.client.mspid} {ctx.tx_id}"

    @submit
    def again(self, ctx: Context, depth: int) -> str:
        if depth == 0:
            return "bottom"
        response = ctx.stub.invoke_chaincode("Other", ["again", str(depth - 1)])
        if response.status >= 400:
            raise ContractError("", response.message)
        return response.payload.decode()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def _run(ledger: Ledger, script: Any, **options: Any) -> list[Any]:
    found: list[Any] = []

    def keeping(ctx: Context) -> None:
        found.clear()
        result = script(ctx)
        found.append(result)

    Probe.script = staticmethod(keeping)
    ledger.deploy(Probe).using(**options).run()
    return found


def _seed(ledger: Ledger, *keys: str) -> None:
    def write(ctx: Context) -> None:
        for key in keys:
            ctx.stub.put_state(key, f"value of {key}".encode())

    _run(ledger, write)


def test_a_function_does_not_see_its_own_writes(ledger: Ledger) -> None:
    def script(ctx: Context) -> list[bytes]:
        ctx.stub.put_state("a", b"2")
        ctx.stub.delete_state("b")
        return [*ctx.stub.get_multiple(["a", "b"]), ctx.stub.get_state("a")]

    _seed(ledger, "a", "b")
    assert _run(ledger, script) == [[b"value of a", b"value of b", b"value of a"]]
    assert ledger.values("Probe") == {"a": b"2"}


def test_an_empty_value_is_a_delete_and_the_last_write_holds(ledger: Ledger) -> None:
    def script(ctx: Context) -> None:
        ctx.stub.put_state("a", b"1")
        ctx.stub.put_state("a", b"")
        ctx.stub.delete_state("b")
        ctx.stub.put_state("b", b"2")

    _seed(ledger, "a", "b")
    _run(ledger, script)
    assert ledger.values("Probe") == {"b": b"2"}


def test_ranges_leave_out_their_end_and_composite_keys(ledger: Ledger) -> None:
    _seed(ledger, "a", "b", "c", create_composite_key("t", ["x", "1"]))

    def script(ctx: Context) -> list[list[str]]:
        stub = ctx.stub
        return [
            [row.key for row in rows]
            for rows in (
                stub.get_state_by_range("", ""),
                stub.get_state_by_range("a", "c"),
                stub.get_state_by_range("b", ""),
                stub.get_state_by_range("d", ""),
                stub.get_state_by_partial_composite_key("t"),
                stub.get_state_by_partial_composite_key("t", ["x"]),
                stub.get_state_by_partial_composite_key("t", ["y"]),
                stub.get_state_by_partial_composite_key(""),
            )
        ]

    composite = "\x00t\x00x\x001\x00"
    assert _run(ledger, script) == [
        [["a", "b", "c"], ["a", "b"], ["b", "c"], [], [composite], [composite], [], []]
    ]


def test_a_closed_range_gives_no_more_rows(ledger: Ledger) -> None:
    _seed(ledger, "a", "b")

    def script(ctx: Context) -> list[str]:
        with ctx.stub.get_state_by_range("", "") as rows:
            first = next(rows).key
        return [first, *(row.key for row in rows)]

    assert _run(ledger, script) == [["a"]]


def test_pages_follow_their_bookmarks(ledger: Ledger) -> None:
    _seed(ledger, "a", "b", "c", create_composite_key("t", ["1"]), create_composite_key("t", ["2"]))

    def script(ctx: Context) -> list[Any]:
        first = ctx.stub.get_state_by_range_with_pagination("", "", 2)
        second = ctx.stub.get_state_by_range_with_pagination("", "", 2, first.bookmark)
        third = ctx.stub.get_state_by_partial_composite_key_with_pagination("t", [], 1)
        return [
            ([row.key for row in page.rows], page.bookmark, page.fetched)
            for page in (first, second, third)
        ]

    assert _run(ledger, script) == [
        [(["a", "b"], "c", 2), (["c"], "", 1), (["\x00t\x001\x00"], "\x00t\x002\x00", 1)]
    ]


def test_a_transaction_that_reads_pages_cannot_write(ledger: Ledger) -> None:
    def script(ctx: Context) -> None:
        ctx.stub.get_state_by_range_with_pagination("", "", 2)
        ctx.stub.put_state("a", b"1")

    with pytest.raises(ContractError, match="paginated query"):
        _run(ledger, script)
    assert ledger.values("Probe") == {} and ledger.height == 0


def test_history_tells_changes_newest_first(ledger: Ledger) -> None:
    _seed(ledger, "a")
    ledger.timestamp = datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    _run(ledger, lambda ctx: ctx.stub.delete_state("a"))
    entries = _run(ledger, lambda ctx: list(ctx.stub.get_history_for_key("a")))[0]
    assert [(entry.value, entry.is_delete) for entry in entries] == [
        (b"", True),
        (b"value of a", False),
    ]
    assert entries[0].timestamp == datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert _run(ledger, lambda ctx: list(ctx.stub.get_history_for_key("b"))) == [[]]


@pytest.mark.parametrize(
    ("call", "code", "text"),
    [
        (lambda s: s.put_state("", b"1"), "INVALID_KEY", "key must not be an empty string"),
        (lambda s: s.delete_state(""), "INVALID_KEY", "key must not be an empty string"),
        (lambda s: s.get_state_by_range("\x00a", ""), "INVALID_KEY", "null character"),
        (lambda s: s.get_state_by_range("", "\x00a"), "INVALID_KEY", "null character"),
        (lambda s: s.create_composite_key("a\x00", []), "INVALID_KEY", "U+0000"),
        (lambda s: s.create_composite_key("a", ["\U0010ffff"]), "INVALID_KEY", "U+10FFFF"),
        (lambda s: s.create_composite_key("a", ["\ud800"]), "INVALID_KEY", "no UTF-8"),
        (lambda s: s.split_composite_key("plain"), "INVALID_KEY", "expected a composite key"),
        (lambda s: s.split_composite_key("\x00"), "INVALID_KEY", "expected a composite key"),
        (lambda s: s.put_private_data("", "a", b"1"), "INVALID_COLLECTION", "collection"),
        (lambda s: s.get_private_data("", "a"), "INVALID_COLLECTION", "collection"),
        (lambda s: s.purge_private_data("c", ""), "INVALID_KEY", "key must not be"),
        (lambda s: s.set_event(""), "INVALID_EVENT", "event name"),
    ],
)
def test_a_wrong_request_is_refused_before_it_reaches_the_node(
    ledger: Ledger, call: Any, code: str, text: str
) -> None:
    def script(ctx: Context) -> None:
        ctx.stub.put_state("before", b"1")
        call(ctx.stub)

    with pytest.raises(ContractError) as refusal:
        _run(ledger, script)
    assert refusal.value.code == code and text in refusal.value.text
    assert ledger.values("Probe") == {}


@pytest.mark.parametrize("parts", [("t", []), ("t", ["a", "", "中"]), ("", [])])
def test_a_composite_key_comes_apart_as_it_was_put_together(parts: tuple[str, list[str]]) -> None:
    assert split_composite_key(create_composite_key(*parts)) == parts


def test_a_key_has_its_own_policy_until_it_is_removed(ledger: Ledger) -> None:
    policy = all_of(["Org2MSP", "Org1MSP"])

    def protect(ctx: Context) -> None:
        ctx.stub.put_state("a", b"1")
        ctx.stub.set_state_validation_parameter("a", policy)
        ctx.stub.set_state_validation_parameter("no value", policy)

    _run(ledger, protect)
    assert ledger.policy("Probe", "a") == policy and ledger.policy("Probe", "no value") == b""
    read = _run(ledger, lambda ctx: ctx.stub.get_state_validation_parameter("a"))
    assert read == [policy]
    _run(ledger, lambda ctx: ctx.stub.put_state("a", b"2"))
    assert ledger.policy("Probe", "a") == policy
    _run(ledger, lambda ctx: ctx.stub.set_state_validation_parameter("a", b""))
    assert ledger.policy("Probe", "a") == b"" and ledger.value("Probe", "a") == b"2"


def test_a_key_policy_has_the_bytes_of_fabrics_helper() -> None:
    # Recorded as a parameter of program 11 in tests/vectors/fabric-channel/endorsements.
    recorded = base64.b64decode("EgwSCggCEgIIABICCAEaDRILCgdPcmcxTVNQEAMaDRILCgdPcmcyTVNQEAM=")
    assert all_of(["Org2MSP", "Org1MSP"]) == recorded
    assert KeyEndorsement(recorded).organizations == ("Org1MSP", "Org2MSP")
    smaller = KeyEndorsement(recorded).remove("Org1MSP", "Nobody").policy()
    assert base64.b64encode(smaller) == b"EggSBggBEgIIABoNEgsKB09yZzJNU1AQAw=="
    member = SignaturePolicyEnvelope.FromString(KeyEndorsement().add(Role.MEMBER, "A").policy())
    assert member.identities[0].principal == b"\n\x01A"


@pytest.mark.parametrize(
    "policy", [b"\xff", base64.b64decode("GgQIAhIA"), b"\x1a\x05\x12\x03\x10\x01\x20"]
)
def test_a_policy_of_another_kind_is_refused(policy: bytes) -> None:
    with pytest.raises(ContractError, match="INVALID_POLICY"):
        KeyEndorsement(policy)


def test_private_values_have_hashes_and_stay_out_of_the_public_state(ledger: Ledger) -> None:
    def script(ctx: Context) -> None:
        ctx.stub.put_private_data("c", "a", ctx.stub.transient["secret"])
        ctx.stub.set_private_data_validation_parameter("c", "a", b"policy")

    _run(ledger, script, transient={"secret": b"s"})
    assert ledger.values("Probe") == {} and ledger.values("Probe", "c") == {"a": b"s"}

    def read(ctx: Context) -> list[Any]:
        stub = ctx.stub
        return [
            stub.get_private_data("c", "a"),
            stub.get_private_data("d", "a"),
            stub.get_multiple_private_data("c", ["b", "a"]),
            stub.get_private_data_hash("c", "a"),
            stub.get_private_data_hash("c", "b"),
            stub.get_private_data_validation_parameter("c", "a"),
            [row.key for row in stub.get_private_data_by_range("c", "", "")],
            list(stub.get_private_data_by_partial_composite_key("c", "t")),
        ]

    expected = [b"s", b"", [b"", b"s"], hashlib.sha256(b"s").digest(), b"", b"policy", ["a"], []]
    assert _run(ledger, read) == [expected]
    _run(ledger, lambda ctx: ctx.stub.purge_private_data("c", "a"))
    assert ledger.values("Probe", "c") == {}


def test_rich_queries_are_refused_as_by_a_peer_on_leveldb(ledger: Ledger) -> None:
    for query in (
        lambda ctx: ctx.stub.get_query_result("{}"),
        lambda ctx: ctx.stub.get_query_result_with_pagination("{}", 1),
        lambda ctx: ctx.stub.get_private_data_query_result("c", "{}"),
    ):
        with pytest.raises(ContractError, match="not supported for leveldb"):
            _run(ledger, query)


def test_only_the_last_event_of_a_transaction_counts(ledger: Ledger) -> None:
    def script(ctx: Context) -> None:
        ctx.stub.set_event("first", b"1")
        ctx.stub.set_event("second", b'{"a":1}')

    _run(ledger, script)
    assert [(event.name, event.json()) for event in ledger.events] == [("second", {"a": 1})]


def test_the_proposal_tells_who_when_and_where(ledger: Ledger) -> None:
    clerk = ledger.identity(
        "RegistryMSP", "clerk", attributes={"hall": "海淀"}, roles=("client", "x")
    )
    moment = datetime(2019, 6, 17, 8, 30, 0, 123456, tzinfo=UTC)

    def script(ctx: Context) -> dict[str, Any]:
        stub = ctx.stub
        return {
            "channel": (stub.channel_id, ctx.channel_id, stub.chaincode_name),
            "time": (ctx.timestamp, stub.timestamp_parts),
            "client": (ctx.client.mspid, ctx.client.attributes, ctx.client.organizational_units),
            "roles": (ctx.client.has_role("client"), ctx.client.has_role("admin")),
            "id": ctx.client.id,
            "args": stub.args,
            "init": stub.is_init,
            "binding": len(stub.binding),
            "proposal": bool(stub.signed_proposal),
            "function": ctx.function,
        }

    found = _run(ledger, script, client=clerk, timestamp=moment, is_init=True)[0]
    assert found == {
        "channel": ("testchannel", "testchannel", "Probe"),
        "time": (moment, (1560760200, 123456000)),
        "client": ("RegistryMSP", {"hall": "海淀"}, ("client", "x")),
        "roles": (True, False),
        "id": "x509::CN=clerk,OU=x,OU=client::CN=ca.RegistryMSP",
        "args": (b"Probe:run",),
        "init": True,
        "binding": 32,
        "proposal": True,
        "function": "run",
    }


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (
            lambda c: c.require_organization("Org1MSP"),
            "expected a client of Org1MSP, found Org2MSP",
        ),
        (lambda c: c.require_role("admin", "peer"), "expected role admin or peer, found client"),
        (lambda c: c.require_attribute("hall", "x"), "expected attribute hall=x, found absent"),
    ],
)
def test_a_caller_without_the_right_is_refused(ledger: Ledger, check: Any, text: str) -> None:
    stranger = ledger.identity("Org2MSP")
    with pytest.raises(ContractError) as refusal:
        _run(ledger, lambda ctx: check(ctx.client), client=stranger)
    assert refusal.value.code == "ACCESS_DENIED" and refusal.value.text == text


def test_a_caller_with_the_right_passes(ledger: Ledger) -> None:
    def script(ctx: Context) -> None:
        ctx.client.require_organization("Org1MSP", "Org2MSP")
        ctx.client.require_role("client")
        ctx.client.require_attribute("hall", "x")
        with pytest.raises(ContractError, match="another value"):
            ctx.client.require_attribute("hall", "y")

    clerk = ledger.identity("Org2MSP", attributes={"hall": "x"})
    assert _run(ledger, script, client=clerk) == [None]


def test_a_called_contract_writes_in_its_own_namespace_and_loses_its_event(
    ledger: Ledger,
) -> None:
    ledger.deploy(Other)

    def script(ctx: Context) -> tuple[Response, bool]:
        response = ctx.stub.invoke_chaincode("Other", ["add", "k", "false"])
        return response, response.payload.decode() == f"Org1MSP {ctx.tx_id}"

    response, is_same_transaction = _run(ledger, script)[0]
    assert response.status == 200 and is_same_transaction
    assert ledger.values("Other") == {"k": b"other"} and ledger.values("Probe") == {}
    assert ledger.events == [] and ledger.height == 1


def test_a_called_contract_that_refuses_leaves_nothing_and_tells_its_caller(
    ledger: Ledger,
) -> None:
    ledger.deploy(Other)

    def script(ctx: Context) -> Response:
        ctx.stub.put_state("mine", b"1")
        return ctx.stub.invoke_chaincode("Other", [b"add", "k", "true"])

    response = _run(ledger, script)[0]
    assert (response.status, response.message) == (403, "NO: 其他")
    assert ledger.values("Other") == {} and ledger.values("Probe") == {"mine": b"1"}


def test_a_called_contracts_refusal_can_be_passed_on(ledger: Ledger) -> None:
    ledger.deploy(Other)
    assert _run(ledger, lambda ctx: ctx.stub.call("Other", "add", "k", "false"))[0].startswith(
        b"Org"
    )

    def script(ctx: Context) -> None:
        ctx.stub.put_state("mine", b"1")
        ctx.stub.call("Other", "add", "l", "true")

    with pytest.raises(ContractError) as refusal:
        _run(ledger, script)
    found = refusal.value
    assert (found.code, found.text, found.details, found.status) == (
        "NO",
        "其他",
        {"key": "l"},
        403,
    )
    assert ledger.values("Probe") == {} and ledger.values("Other") == {"k": b"other"}


@pytest.mark.parametrize(
    ("payload", "details"),
    [
        (b"", {}),
        (b"\xff", {}),
        (b"[]", {}),
        (b'{"details":1}', {}),
        (b'{"details":{"a":1}}', {"a": 1}),
    ],
)
def test_a_refusal_of_any_form_can_be_read(payload: bytes, details: dict[str, int]) -> None:
    with pytest.raises(ContractError) as refusal:
        payload_of(Response(700, "CODE: text", payload))
    assert (refusal.value.details, refusal.value.status) == (details, 599)


@pytest.mark.parametrize("creator", [b"", b"\xff", b"\n\x01A", b"\n\x01A\x12\x03abc"])
def test_a_creator_without_certificate_is_refused_when_it_is_asked_for(creator: bytes) -> None:
    with pytest.raises(ContractError, match="INVALID_IDENTITY"):
        _ = ClientIdentity(creator).certificate


def test_nothing_of_a_called_contract_stays_when_its_caller_refuses(ledger: Ledger) -> None:
    ledger.deploy(Other)

    def script(ctx: Context) -> None:
        ctx.stub.invoke_chaincode("Other", ["add", "k", "false"])
        raise ContractError("NO", "after all")

    with pytest.raises(ContractError, match="after all"):
        _run(ledger, script)
    assert ledger.values("Other") == {} and ledger.height == 0


def test_calls_that_lead_nowhere_are_refused(ledger: Ledger) -> None:
    ledger.deploy(Other)
    for arguments, text in (
        (("Nobody", ["x"]), "Nobody not found"),
        (("Other", ["again", "3"], "otherchannel"), "one channel"),
    ):
        with pytest.raises(ContractError, match=text):
            _run(ledger, lambda ctx, a=arguments: ctx.stub.invoke_chaincode(*a))
    answer = _run(ledger, lambda ctx: ctx.stub.invoke_chaincode("Other", ["again", "3"]))[0]
    assert answer.payload == b"bottom"
    deep = _run(ledger, lambda ctx: ctx.stub.invoke_chaincode("Other", ["again", "40"]))[0]
    assert deep.status == 500 and deep.message == "contracts call each other more than 16 deep"


def test_a_contract_that_would_be_endorsed_differently_is_found(ledger: Ledger) -> None:
    counter = iter(range(100))
    for script, text in (
        (lambda ctx: ctx.stub.put_state("a", str(next(counter)).encode()), "key 'a'"),
        (
            lambda ctx: [ctx.stub.put_state("a", b"") for _ in range(next(counter) % 2 + 1)],
            "1 writes and 2 writes|2 writes and 1 writes",
        ),
        (lambda ctx: ctx.stub.set_event(str(next(counter))), "answer differently"),
    ):
        with pytest.raises(NondeterminismError, match=text):
            _run(ledger, script)
    assert ledger.height == 0 and ledger.values("Probe") == {}


def test_a_proposal_from_outside_the_calendar_is_refused() -> None:
    with pytest.raises(ContractError, match="INVALID_PROPOSAL"):
        moment_of(2**62, 0)
    assert moment_of(-1, 0) == datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_a_node_that_refuses_is_heard_by_the_contract(ledger: Ledger) -> None:
    def script(ctx: Context) -> str:
        with pytest.raises(StateRefused) as refusal:
            ctx.stub.invoke_chaincode("Nobody", [])
        return str(refusal.value)

    assert _run(ledger, script) == ["chaincode Nobody not found"]
