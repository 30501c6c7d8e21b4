"""From a call to its answer: addressing, hooks, errors, metadata, and mistakes found at load."""

import json
import logging
import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from tongban.contracts import (
    Chaincode,
    Context,
    Contract,
    ContractDefinitionError,
    ContractError,
    ReactionOutcome,
    Response,
    evaluate,
    split_message,
    submit,
)
from tongban.contracts.dispatch import ContractSet, load_package
from tongban.contracts.testing import DeployedContract, Ledger
from tongban.contracts.types import ResidentId

if TYPE_CHECKING:
    from collections.abc import Hashable


@dataclass
class Line:
    item: str
    price: Decimal


class Shop(Contract):
    """Sells things."""

    @submit
    def sell(self, ctx: Context, lines: list[Line], note: str = "none") -> Decimal:
        """Sells the lines.

        And more.
        """
        ctx.stub.put_state("note", note.encode())
        return sum((line.price for line in lines), Decimal(0))

    @evaluate(name="Peek")
    def peek(self, ctx: Context) -> str:
        ctx.stub.put_state("note", b"changed")
        return "never"

    @submit
    def refuse(self, ctx: Context, code: str, text: str, status: int) -> None:
        ctx.stub.put_state("refused", b"1")
        ctx.stub.set_event("refused")
        raise ContractError(code, text, {"余": [1]}, status=status)

    @submit
    def answer(self, ctx: Context, status: int) -> Response:
        ctx.stub.put_state("answered", b"1")
        return Response(status, "as asked", b"payload")

    @submit
    def fail(self, ctx: Context, kind: str) -> None:
        ctx.stub.put_state("failed", b"1")
        match kind:
            case "exit":
                sys.exit(3)
            case "recursion":
                self.fail(ctx, kind)
            case "surrogate":
                raise ValueError("\ud800" + "长" * 5000)
            case "identifier":
                ResidentId("110105194912310021")
        raise KeyError(kind)

    @submit
    def lie(self, ctx: Context) -> int:
        ctx.stub.put_state("lied", b"1")
        return "not a number"  # type: ignore[return-value]

    @submit
    def lie_raw(self, ctx: Context) -> Response:
        return "no response"  # type: ignore[return-value]

    @evaluate
    def whoami(self, ctx: Context) -> str:
        return ctx.function

    def helper(self, ctx: Context) -> None:
        """Not marked, so out of reach."""


class Hooks(Contract):
    name = "org.example:hooks"
    version = "2.1"

    def before_transaction(self, ctx: Context) -> None:
        if ctx.stub.transient.get("block"):
            raise ContractError("BLOCKED", "before")
        ctx.stub.put_state("before", ctx.function.encode())

    def after_transaction(self, ctx: Context, result: object) -> None:
        if result == "bad":
            raise ContractError("BAD", "after")
        ctx.stub.put_state("after", str(result).encode())

    def unknown_transaction(self, ctx: Context) -> Response:
        ctx.stub.put_state("unknown", ctx.function.encode())
        return Response(payload=b"so what")

    @submit
    def echo(self, ctx: Context, text: str) -> str:
        return text


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def shop(ledger: Ledger) -> DeployedContract:
    return ledger.deploy(Shop, Hooks, name="shop")


CALLS: list[tuple[tuple[str | bytes, ...], int, str, bytes]] = [
    (("sell", '[{"item":"a","price":"1.50"}]'), 200, "", b'"1.50"'),
    (("sell", "[]", "x"), 200, "", b'"0"'),
    (("Shop:sell", "[]"), 200, "", b'"0"'),
    ((":sell", "[]"), 200, "", b'"0"'),
    (("org.example:hooks:echo", "喂"), 200, "", "喂".encode()),
    (("whoami",), 200, "", b"whoami"),
    (("sell",), 500, "Expected 2 parameters, but 0 have been supplied", b""),
    (("sell", "1", "2", "3"), 500, "Expected 2 parameters, but 3 have been supplied", b""),
    (("nothing",), 500, "You've asked to invoke a function that does not exist: nothing", b""),
    (("Shop:",), 500, "You've asked to invoke a function that does not exist: ", b""),
    (("",), 500, "You've asked to invoke a function that does not exist: ", b""),
    (("peek",), 500, "You've asked to invoke a function that does not exist: peek", b""),
    (("helper",), 500, "You've asked to invoke a function that does not exist: helper", b""),
    (("__init__",), 500, "You've asked to invoke a function that does not exist: __init__", b""),
    ((b"\xff",), 500, "You've asked to invoke a function that does not exist: �", b""),
    (("Bank:sell",), 500, "Contract name is not known: Bank", b""),
    (("a:b:sell",), 500, "Contract name is not known: a:b", b""),
    (
        ("org.hyperledger.fabric:Other",),
        500,
        "You've asked to invoke a function that does not exist: Other",
        b"",
    ),
]


@pytest.mark.parametrize(("args", "status", "message", "payload"), CALLS)
def test_a_call_finds_its_function_or_the_official_text(
    shop: DeployedContract,
    args: tuple[str, ...],
    status: int,
    message: str,
    payload: bytes,
) -> None:
    assert shop.respond(*args) == Response(status, message, payload)


REFUSALS: list[tuple[tuple[str, ...], int, str]] = [
    (("refuse", "SOLD_OUT", "卖完了", "500"), 500, "SOLD_OUT: 卖完了"),
    (("refuse", "SOLD_OUT", "", "404"), 404, "SOLD_OUT"),
    (("refuse", "", "卖完了", "599"), 599, "卖完了"),
    (("refuse", "sold out", "x", "500"), 500, "ValueError: expected a code of upper-case words"),
    (("refuse", "A", "x", "200"), 500, "ValueError: expected a status from 400 to 599, found 200"),
    (("sell", "{}"), 500, "INVALID_ARGUMENT: sell, lines: expected a list, found an object"),
    (
        ("sell", '[{"item":"a","price":1}]'),
        500,
        "INVALID_ARGUMENT: sell, lines[0].price: expected a decimal number as text",
    ),
    (("Peek",), 500, "READ_ONLY: "),
    (("fail", "x"), 500, "KeyError: 'x'"),
    (("fail", "exit"), 500, "SystemExit: 3"),
    (("fail", "recursion"), 500, "RecursionError: "),
    (("fail", "surrogate"), 500, "ValueError: ?长长"),
    (("fail", "identifier"), 500, "resident identity number: check character 1 in place 18"),
    (("lie",), 500, "INVALID_RESULT: lie, result: expected an integer, found text of 12"),
    (("lie_raw",), 500, "INVALID_RESULT: lie_raw: expected a Response, found str"),
    (("answer", "99"), 500, "INVALID_RESULT: expected a Response of status"),
]


@pytest.mark.parametrize(("args", "status", "start"), REFUSALS)
def test_a_refusal_reaches_the_client_and_leaves_nothing(
    ledger: Ledger, shop: DeployedContract, args: tuple[str, ...], status: int, start: str
) -> None:
    response = shop.respond(*args)
    assert response.status == status
    assert response.message.startswith(start), response.message
    assert len(response.message) <= 4096
    assert (ledger.values("shop"), ledger.events, ledger.height) == ({}, [], 0)


def test_a_refusal_carries_its_details_in_the_payload(shop: DeployedContract) -> None:
    with pytest.raises(ContractError) as refusal:
        shop.refuse("SOLD_OUT", "卖完了", 409)
    found = refusal.value
    assert (found.code, found.text, found.status) == ("SOLD_OUT", "卖完了", 409)
    assert found.details == {"余": [1]}
    payload = shop.respond("refuse", "SOLD_OUT", "卖完了", "409").payload
    assert payload == '{"code":"SOLD_OUT","details":{"余":[1]},"text":"卖完了"}'.encode()


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        ("SOLD_OUT: 卖完了\n全部", "SOLD_OUT", "卖完了\n全部"),
        ("SOLD_OUT", "SOLD_OUT", ""),
        ("KeyError: 'x'", "", "KeyError: 'x'"),
        ("The asset a does not exist", "", "The asset a does not exist"),
    ],
)
def test_a_message_is_taken_apart(message: str, code: str, text: str) -> None:
    assert split_message(message) == (code, text)


def test_an_unexpected_error_leaves_its_traceback_in_the_log_only(
    shop: DeployedContract, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        response = shop.respond("fail", "x")
    assert "Traceback" not in response.message and "Traceback" in caplog.text


def test_an_answer_with_an_error_status_is_passed_on_as_it_is(shop: DeployedContract) -> None:
    assert shop.respond("answer", "503") == Response(503, "as asked", b"payload")
    assert shop.respond("answer", "201") == Response(201, "as asked", b"payload")


def test_hooks_run_around_a_function(ledger: Ledger, shop: DeployedContract) -> None:
    hooks = shop.contract("org.example:hooks")
    assert hooks.echo("hi") == "hi"
    assert ledger.values("shop") == {"before": b"echo", "after": b"hi"}


def test_a_hook_that_raises_refuses_the_transaction(ledger: Ledger, shop: DeployedContract) -> None:
    hooks = shop.contract("org.example:hooks")
    with pytest.raises(ContractError, match="BLOCKED"):
        hooks.using(transient={"block": b"1"}).echo("hi")
    with pytest.raises(ContractError, match="BAD"):
        hooks.echo("bad")
    assert ledger.values("shop") == {}


def test_an_unknown_function_is_the_contracts_to_answer(
    ledger: Ledger, shop: DeployedContract
) -> None:
    assert shop.submit("org.example:hooks:lost", "x") == b"so what"
    assert ledger.values("shop") == {"unknown": b"lost"}


def test_metadata_follows_the_contract_schema(shop: DeployedContract) -> None:
    metadata = json.loads(shop.evaluate("org.hyperledger.fabric:GetMetadata"))
    assert set(metadata) == {"$schema", "info", "contracts", "components"}
    assert metadata["info"] == {"title": "Shop", "version": ""}
    assert list(metadata["contracts"]) == ["Shop", "org.example:hooks", "org.hyperledger.fabric"]
    assert metadata["contracts"]["org.example:hooks"]["info"]["version"] == "2.1"
    described = metadata["contracts"]["Shop"]
    assert described["name"] == "Shop" and described["default"] is True
    by_name = {transaction["name"]: transaction for transaction in described["transactions"]}
    assert by_name["sell"] == {
        "name": "sell",
        "description": "Sells the lines.",
        "tag": ["submit", "SUBMIT"],
        "parameters": [
            {
                "name": "lines",
                "required": True,
                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
            },
            {"name": "note", "required": False, "schema": {"type": "string"}},
        ],
        "returns": {
            "type": "string",
            "format": "decimal",
            "pattern": "^-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?$",
        },
    }
    assert by_name["Peek"]["tag"] == ["evaluate", "EVALUATE"]
    assert "returns" not in by_name["refuse"]
    assert metadata["components"]["schemas"]["Line"] == {
        "$id": "Line",
        "type": "object",
        "additionalProperties": False,
        "properties": {"item": {"type": "string"}, "price": by_name["sell"]["returns"]},
        "required": ["item", "price"],
    }


def _contract(**members: Any) -> type[Contract]:
    return type("Bad", (Contract,), members)


def _function(**annotations: Any) -> Any:
    def function(self: Contract, ctx: Context, value: Any) -> None: ...

    function.__annotations__ = {"ctx": Context, "value": str, "return": None} | annotations
    return submit(function)


def _no_annotation() -> Any:
    def function(self, ctx, value) -> None: ...  # type: ignore[no-untyped-def]

    return submit(function)


def _no_return() -> Any:
    def function(self, ctx: Context): ...  # type: ignore[no-untyped-def]

    return submit(function)


def _no_context() -> Any:
    def function(self) -> None: ...  # type: ignore[no-untyped-def]

    return submit(function)  # type: ignore[arg-type]


def _star() -> Any:
    def function(self: Contract, ctx: Context, *values: str) -> None: ...

    return submit(function)


def _async() -> Any:
    async def function(self: Contract, ctx: Context) -> None: ...

    return submit(function)


def _type_checking() -> Any:
    def function(self: Contract, ctx: Context, value: "Hashable") -> None: ...

    return submit(function)


def _colon() -> Any:
    def function(self: Contract, ctx: Context) -> None: ...

    return submit(name="a:b")(function)


BAD_FUNCTIONS: list[tuple[Any, str]] = [
    (_function(value=set[str]), "Bad.f, parameter value: set"),
    (_function(value=None), "parameter value: None cannot be an argument"),
    (_function(ctx=int), "expected the second parameter to be a Context"),
    (_function(**{"return": complex}), "Bad.f, result: complex has no JSON form"),
    (_no_annotation(), "parameter value: has no annotation"),
    (_no_return(), "has no return annotation"),
    (_no_context(), "expected .self, ctx: Context"),
    (_star(), "parameter values: arguments come by position"),
    (_async(), "async and yield have no place"),
    (_type_checking(), "Bad.f: an annotation cannot be resolved"),
    (_colon(), "a name cannot be empty or hold ':'"),
]


@pytest.mark.parametrize(("function", "reason"), BAD_FUNCTIONS)
def test_a_signature_that_cannot_be_honoured_is_found_at_load(function: Any, reason: str) -> None:
    with pytest.raises(ContractDefinitionError, match=reason) as refusal:
        ContractSet([_contract(f=function)])
    assert "Bad.f" in str(refusal.value)


def test_a_static_method_is_no_contract_function() -> None:
    def function(self: Contract, ctx: Context) -> None: ...

    with pytest.raises(ContractDefinitionError, match="plain method"):
        ContractSet([_contract(f=submit(staticmethod(function)))])  # type: ignore[arg-type,unused-ignore]


def test_contracts_that_contradict_each_other_are_found_at_load() -> None:
    class Twin(Shop):
        name = "Shop"

    class First(Shop):
        is_default = True

    class Second(Shop):
        is_default = True

    class Empty(Contract):
        pass

    class Same(Contract):
        @submit(name="a")
        def one(self, ctx: Context) -> None: ...

        @submit(name="a")
        def two(self, ctx: Context) -> None: ...

    for kinds, reason in (
        ([Shop, Twin], "the name Shop is taken"),
        ([First, Second], "both say is_default"),
        ([Empty], "has no functions"),
        ([Same], "another function is also called 'a'"),
        ([], "found none"),
    ):
        with pytest.raises(ContractDefinitionError, match=reason):
            ContractSet(kinds)
    assert ContractSet([Shop, First]).default == "First"


def test_a_package_is_loaded_from_its_modules(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loaded_one.py").write_text(
        "from tongban.contracts import *\n"
        "class _Base(Contract):\n"
        "    @evaluate\n"
        "    def hi(self, ctx: Context) -> str:\n"
        "        return type(self).__name__\n"
        "class One(_Base): pass\n"
        "class Two(_Base): pass\n"
    )
    (tmp_path / "loaded_raw.py").write_text(
        "from tongban.contracts import Chaincode\nclass Raw(Chaincode): pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    package = load_package(["loaded_one"], "title", "1.0")
    assert isinstance(package, ContractSet)
    assert list(package.contracts) == ["One", "Two"] and package.default == "One"
    assert package.metadata["info"] == {"title": "title", "version": "1.0"}
    deployed = Ledger().deploy_package(package, "loaded")
    assert deployed.evaluate("Two:hi") == b"Two"
    with pytest.raises(ContractDefinitionError, match="no other contract"):
        load_package(["loaded_raw", "loaded_one"])
    with pytest.raises(ImportError):
        load_package(["loaded_nowhere"])


def test_a_chaincode_gets_every_call_as_it_came() -> None:
    class Raw(Chaincode):
        def invoke(self, ctx: Context) -> Response:
            ctx.stub.put_state("seen", b" ".join(ctx.stub.args))
            return Response(payload=b"done")

    ledger = Ledger()
    raw = ledger.deploy(Raw)
    assert raw.submit("a:b", b"\xff") == b"done"
    assert ledger.value("Raw", "seen") == b"a:b \xff"


def test_a_rules_hook_is_made_for_each_transaction_and_finishes_only_good_ones() -> None:
    class Hook:
        def __init__(self) -> None:
            self.emitted: list[str] = []
            self.finished = 0
            made.append(self)

        def emit(
            self, ctx: Context, name: str, payload: object, key: str
        ) -> tuple[ReactionOutcome, ...]:
            self.emitted.append(name)
            return ()

        def finish(self, ctx: Context) -> None:
            self.finished += 1
            ctx.stub.set_event("emitted", ",".join(self.emitted).encode())

    class Emitting(Contract):
        @submit
        def go(self, ctx: Context, fail: bool) -> None:
            ctx.emit("gone", {})
            if fail:
                raise ContractError("NO", "no")

    made: list[Hook] = []
    ledger = Ledger(is_checking_determinism=False)
    deployed = ledger.deploy_package(ContractSet([Emitting], rules=Hook), "emitting")
    deployed.go(False)
    with pytest.raises(ContractError):
        deployed.go(True)
    assert [hook.finished for hook in made] == [1, 0]
    assert [event.payload for event in ledger.events] == [b"gone"]
