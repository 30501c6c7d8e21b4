"""From an invocation to an outcome: finds the function, converts, runs the hooks, shapes errors.

What a contract raises reaches the client as a response: a ContractError with its own status and
message, anything else as status 500 with class and text, its traceback in the log only. Nothing a
failing function wrote is kept. A contract may also return a Response with an error status; then
its writes stay in the endorsed set, as on Fabric.
"""

import importlib
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

from tongban.contracts import canonical, reactions
from tongban.contracts.canonical import NotCanonical
from tongban.contracts.context import Context, RulesHook
from tongban.contracts.contract import Chaincode, Contract, unknown_function_text
from tongban.contracts.conversion import Compiler
from tongban.contracts.emission import Rules
from tongban.contracts.errors import ContractDefinitionError, ContractError
from tongban.contracts.function import Function, compile_functions
from tongban.contracts.limits import ERROR_CHARACTERS_MAX
from tongban.contracts.metadata import (
    METADATA_FUNCTION,
    SYSTEM_CONTRACT,
    ContractDescription,
    build_metadata,
)
from tongban.contracts.rules import SYSTEM_CONTRACT as RULES_CONTRACT
from tongban.contracts.rules import DeclaredReaction, Description
from tongban.contracts.runtime.bridge import Invocation, Outcome, Response, StateBridge
from tongban.contracts.values import to_json
from tongban.protos.errors import TongbanError

_log = logging.getLogger("tongban.contracts")


RESERVED = (SYSTEM_CONTRACT, RULES_CONTRACT)
"""Names that no contract of a package can have."""


class LoadedContract(NamedTuple):
    """One contract of a package, ready to be called."""

    name: str
    contract: Contract
    functions: Mapping[str, Function]


class ContractSet:
    """The contracts of one package. Used by many transactions at once; keeps nothing of them."""

    def __init__(
        self,
        kinds: Sequence[type[Contract]],
        title: str = "contracts",
        version: str = "",
        rules: Callable[[], RulesHook] | None = None,
    ) -> None:
        """Compile these contract classes.

        Raises:
            ContractDefinitionError: one of them cannot be loaded as it is written.
        """
        compiler = Compiler()
        self.contracts: dict[str, LoadedContract] = {}
        for kind in kinds:
            loaded = _load(kind, compiler)
            if loaded.name in self.contracts or loaded.name in RESERVED:
                raise ContractDefinitionError(kind.__name__, f"the name {loaded.name} is taken")
            self.contracts[loaded.name] = loaded
        self.default = _default_of(self.contracts, title)
        self.rules = rules
        """Makes the rules hook of a transaction."""
        self.metadata = build_metadata(
            title,
            version,
            {
                name: ContractDescription(
                    loaded.functions,
                    inspect.getdoc(type(loaded.contract)) or "",
                    loaded.contract.version,
                    loaded.contract.department,
                )
                for name, loaded in self.contracts.items()
            },
            self.default,
            compiler.schemas,
        )
        self._metadata_bytes = canonical.encode(self.metadata)
        self.department = _department_of(self.contracts.values(), title)
        """MSP id of the department that answers for the package; empty if it does not say."""
        self.description = to_json(_describe(self.contracts.values(), self.department))

    def invoke(self, call: Invocation, bridge: StateBridge) -> Outcome:
        """How the invocation ends. Raises only what the bridge raises to end a transaction."""
        return _conclude(self._answer, call, bridge, self.rules)

    def find(self, name: str) -> tuple[LoadedContract | None, str]:
        """The contract that ``Contract:function`` names (None if unknown) and the function."""
        contract_name, _, function_name = name.rpartition(":")
        return self.contracts.get(contract_name or self.default), function_name

    def find_function(self, name: str) -> Function | None:
        """The function with this full name, ``Contract:function``."""
        contract_name, _, function_name = name.rpartition(":")
        loaded = self.contracts.get(contract_name)
        return loaded.functions.get(function_name) if loaded is not None else None

    def run(self, ctx: Context, name: str, args: Sequence[bytes]) -> Response:
        """Run the function with this full name, reaction or not."""
        contract_name, _, ctx.function = name.rpartition(":")
        loaded = self.contracts[contract_name]
        return _run(ctx, loaded, loaded.functions[ctx.function], args)

    def _answer(self, ctx: Context) -> Response:
        name = _function_name(ctx)
        loaded, ctx.function = self.find(name)
        if loaded is None:
            return self._answer_system(name, ctx)
        function = loaded.functions.get(ctx.function)
        if function is None:
            return loaded.contract.unknown_transaction(ctx) or Response(200, "", b"")
        if function.reactions:
            raise ContractError(
                "ACCESS_DENIED",
                f"{ctx.function} runs when an event is emitted; clients cannot call it",
            )
        return _run(ctx, loaded, function, ctx.stub.args[1:])

    def _answer_system(self, name: str, ctx: Context) -> Response:
        contract_name = name.rpartition(":")[0]
        if contract_name == RULES_CONTRACT and self.rules is not None:
            response = reactions.answer(self, ctx, ctx.function)
            if response is None:
                raise ContractError("", unknown_function_text(ctx.function))
            return response
        if contract_name != SYSTEM_CONTRACT:
            raise ContractError("", f"Contract name is not known: {contract_name[:200]}")
        if ctx.function != METADATA_FUNCTION:
            raise ContractError("", unknown_function_text(ctx.function))
        return Response(200, "", self._metadata_bytes)


class RawContractSet:
    """A package of one Chaincode class, which gets every call as it came."""

    def __init__(self, kind: type[Chaincode]) -> None:
        self._chaincode = kind()
        self.metadata: dict[str, Any] = {}

    def invoke(self, call: Invocation, bridge: StateBridge) -> Outcome:
        """How the invocation ends."""
        return _conclude(self._chaincode.invoke, call, bridge, None)


def load_package(
    names: Iterable[str], title: str = "", version: str = ""
) -> ContractSet | RawContractSet:
    """The contracts that these modules define, in the order of modules and definitions. Classes
    whose name begins with ``_`` are left out.

    Raises:
        ContractDefinitionError: there is none, or one cannot be loaded as it is written.
        ImportError: a module cannot be found; other errors of its own code pass through.
    """
    modules = [importlib.import_module(name) for name in names]
    found = [kind for module in modules for kind in _classes_of(module)]
    raw = [kind for kind in found if issubclass(kind, Chaincode)]
    shown = title or ", ".join(module.__name__ for module in modules)
    if raw and len(found) > 1:
        raise ContractDefinitionError(
            raw[0].__name__, "a package with a Chaincode class can have no other contract"
        )
    if raw:
        return RawContractSet(raw[0])
    contracts = [kind for kind in found if issubclass(kind, Contract)]
    return ContractSet(contracts, shown, version, rules=Rules)


def _run(
    ctx: Context, loaded: LoadedContract, function: Function, args: Sequence[bytes]
) -> Response:
    ctx.stub.is_read_only = not function.is_submit
    ctx.declared_events = function.emits
    loaded.contract.before_transaction(ctx)
    values = function.decode(args)
    result = getattr(loaded.contract, function.method_name)(ctx, *values)
    loaded.contract.after_transaction(ctx, result)
    return function.respond(result)


def _describe(contracts: Iterable[LoadedContract], department: str) -> Description:
    declared: list[DeclaredReaction] = []
    events: set[str] = set()
    for loaded in contracts:
        for name, function in sorted(loaded.functions.items()):
            events.update(function.emits)
            for one in function.reactions:
                full_name = f"{loaded.name}:{name}"
                declared.append(
                    DeclaredReaction(
                        one.event,
                        one.source,
                        one.refused,
                        one.unavailable,
                        one.order,
                        full_name,
                        function.emits,
                    )
                )
    return Description(department, tuple(sorted(events)), tuple(declared))


def _department_of(contracts: Iterable[LoadedContract], title: str) -> str:
    found = sorted({loaded.contract.department for loaded in contracts} - {""})
    if len(found) > 1:
        raise ContractDefinitionError(
            title, f"expected one department for a package, found {' and '.join(found)}"
        )
    return found[0] if found else ""


def _classes_of(module: ModuleType) -> list[type]:
    return [
        value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, Contract | Chaincode)
        and value.__module__ == module.__name__
        and not name.startswith("_")
        and not inspect.isabstract(value)
    ]


def _load(kind: type[Contract], compiler: Compiler) -> LoadedContract:
    for name in ("name", "version", "department"):
        if not isinstance(getattr(kind, name), str):
            raise ContractDefinitionError(
                f"{kind.__name__}.{name}", "is the contract's own word, expected a text: rename it"
            )
    functions = compile_functions(kind, compiler)
    if not functions and kind.unknown_transaction is Contract.unknown_transaction:
        raise ContractDefinitionError(
            kind.__name__, "has no functions; mark some with @submit or @evaluate"
        )
    return LoadedContract(kind.name or kind.__name__, kind(), functions)


def _default_of(contracts: Mapping[str, LoadedContract], title: str) -> str:
    if not contracts:
        raise ContractDefinitionError(title, "expected a class derived from Contract, found none")
    claimed = [name for name, loaded in contracts.items() if loaded.contract.is_default]
    if len(claimed) > 1:
        raise ContractDefinitionError(title, f"{' and '.join(claimed)} both say is_default")
    return claimed[0] if claimed else next(iter(contracts))


def _function_name(ctx: Context) -> str:
    name = ctx.stub.args[0] if ctx.stub.args else b""
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        raise ContractError("", unknown_function_text(name.decode("utf-8", "replace"))) from None


def _conclude(
    answer: Callable[[Context], Response],
    call: Invocation,
    bridge: StateBridge,
    rules: Callable[[], RulesHook] | None,
) -> Outcome:
    ctx = Context(call, bridge, rules() if rules is not None else None)
    try:
        status, message, payload = _checked(answer(ctx))
        if ctx.rules is not None and status < 400:
            ctx.rules.finish(ctx)
    except ContractError as error:
        return Outcome(error.status, _shown(str(error)), _error_payload(error))
    except TongbanError as error:
        return Outcome(500, _shown(str(error)), b"")
    # The author's code may raise anything, and must not take the worker's other transactions
    # with it: this is the supervisor of one transaction.
    except (Exception, SystemExit) as error:
        _log.exception("%s failed in transaction %s", ctx.function or "contract", call.tx_id)
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return Outcome(500, _shown(text), b"")
    return Outcome(status, _shown(message), payload, bridge.writes.take(), bridge.writes.event)


def _checked(response: object) -> Response:
    if isinstance(response, Response):
        status, message, payload = response
        if (
            isinstance(status, int)
            and isinstance(message, str)
            and isinstance(payload, bytes)
            and 100 <= status <= 999
        ):
            return response
    raise ContractError(
        "INVALID_RESULT", "expected a Response of status (100 to 999), text and bytes"
    )


def _shown(text: str) -> str:
    """Text that a protobuf string can hold, of bounded length."""
    if not text:
        return text
    shown = text if len(text) <= ERROR_CHARACTERS_MAX else text[: ERROR_CHARACTERS_MAX - 1] + "…"
    return shown.encode("utf-8", "replace").decode("utf-8")


def _error_payload(error: ContractError) -> bytes:
    """Code, text and details for those who see the payload; empty for an error without code."""
    if not error.code and not error.details:
        return b""
    try:
        return canonical.encode({"code": error.code, "text": error.text, "details": error.details})
    except NotCanonical as reason:
        _log.warning("details of %s are no JSON and are dropped: %s", error.code, reason)
        return b""
