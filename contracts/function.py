"""Contract functions, compiled when a package is loaded: names, parameters and conversions.

Every mistake in a signature is found here, once, and names the function.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tongban.contracts.context import Context
from tongban.contracts.contract import MARK, Contract, FunctionMark
from tongban.contracts.conversion import Codec, Compiler, resolve_hints
from tongban.contracts.declarations import EMITS, REACTIONS, Reaction
from tongban.contracts.errors import ContractDefinitionError, ContractError, InvalidArgument
from tongban.contracts.runtime.bridge import Response
from tongban.contracts.scalars import Form, Mismatch

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter after the context."""

    name: str
    codec: Codec
    is_required: bool


@dataclass(frozen=True, slots=True)
class Function:
    """One function that clients can call."""

    name: str
    method_name: str
    is_submit: bool
    parameters: tuple[Parameter, ...]
    result: Codec | None
    """None if it returns a Response itself."""
    doc: str
    """First paragraph of its docstring."""

    required_count: int
    """Parameters without a default, which come first."""

    reactions: tuple[Reaction, ...] = ()
    """The events that it follows. Such a function is for rules, not for clients."""

    emits: tuple[str, ...] = ()
    """The events that it says it may emit, sorted."""

    def decode(self, args: Sequence[bytes]) -> list[Any]:
        """The values of the arguments.

        Raises:
            ContractError: too few or too many.
            InvalidArgument: one is not what its annotation says; names it.
        """
        count = len(self.parameters)
        if not self.required_count <= len(args) <= count:
            raise ContractError(
                "", f"Expected {count} parameters, but {len(args)} have been supplied"
            )
        values = []
        for parameter, data in zip(self.parameters, args, strict=False):
            try:
                values.append(parameter.codec.decode(data))
            except Mismatch as error:
                place = f"{parameter.name}{error.place}"
                raise InvalidArgument(self.name, place, error.reason) from None
        return values

    def encode_arguments(self, values: Sequence[Any]) -> list[bytes]:
        """The arguments that :meth:`decode` turns into these values.

        Raises:
            InvalidArgument: a value is not what the annotation says.
        """
        encoded = []
        for parameter, value in zip(self.parameters, values, strict=False):
            try:
                encoded.append(parameter.codec.encode(value))
            except Mismatch as error:
                place = f"{parameter.name}{error.place}"
                raise InvalidArgument(self.name, place, error.reason) from None
        return encoded

    def respond(self, value: Any) -> Response:
        """The response that carries what the function returned.

        Raises:
            ContractError: INVALID_RESULT, it is not what the function's annotation says.
        """
        if self.result is None:
            if not isinstance(value, Response):
                raise ContractError(
                    "INVALID_RESULT",
                    f"{self.name}: expected a Response, found {type(value).__name__}",
                )
            return value
        try:
            return Response(200, "", self.result.encode(value))
        except Mismatch as error:
            raise ContractError(
                "INVALID_RESULT", f"{self.name}, result{error.place}: {error.reason}"
            ) from None


def compile_functions(kind: type[Contract], compiler: Compiler) -> dict[str, Function]:
    """The functions of a contract class by the name that clients use.

    Raises:
        ContractDefinitionError: a signature cannot be honoured; names the function.
    """
    functions: dict[str, Function] = {}
    for method_name in dir(kind):
        method = inspect.getattr_static(kind, method_name)
        mark = getattr(method, MARK, None)
        if not isinstance(mark, FunctionMark):
            continue
        function = _compile_function(kind, method_name, method, mark, compiler)
        if mark.name in functions:
            raise ContractDefinitionError(
                f"{kind.__name__}.{method_name}", f"another function is also called {mark.name!r}"
            )
        functions[mark.name] = function
    return functions


def _compile_function(
    kind: type, method_name: str, method: Any, mark: FunctionMark, compiler: Compiler
) -> Function:
    place = f"{kind.__name__}.{method_name}"
    if not inspect.isfunction(method):
        raise ContractDefinitionError(place, "expected a plain method under the decorator")
    if inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method):
        raise ContractDefinitionError(
            place, "expected a plain function; async and yield have no place"
        )
    if not mark.name or ":" in mark.name:
        raise ContractDefinitionError(
            place, f"a name cannot be empty or hold ':', found {mark.name!r}"
        )
    hints = resolve_hints(method, place)
    declared = list(inspect.signature(method).parameters.values())
    _verify_context(declared, hints, place)
    parameters = []
    for parameter in declared[2:]:
        parameters.append(_compile_parameter(parameter, hints, place, compiler))
    function = Function(
        mark.name,
        method_name,
        mark.is_submit,
        tuple(parameters),
        _compile_result(hints, place, compiler),
        (inspect.getdoc(method) or "").split("\n\n", 1)[0].replace("\n", " "),
        sum(parameter.is_required for parameter in parameters),
        getattr(method, REACTIONS, ()),
        getattr(method, EMITS, ()),
    )
    _verify_reactions(function, place)
    return function


def _verify_reactions(function: Function, place: str) -> None:
    if not function.is_submit and (function.reactions or function.emits):
        raise ContractDefinitionError(place, "@on and @emits need @submit, not @evaluate")
    if function.reactions and len(function.parameters) != 1:
        raise ContractDefinitionError(
            place,
            f"@on needs one parameter after the context, the payload; "
            f"found {len(function.parameters)}",
        )


def _verify_context(
    declared: Sequence[inspect.Parameter], hints: dict[str, Any], place: str
) -> None:
    if len(declared) < 2 or any(one.kind not in _POSITIONAL for one in declared[:2]):
        raise ContractDefinitionError(place, "expected (self, ctx: Context, …)")
    context = hints.get(declared[1].name, Context)
    if not isinstance(context, type) or not issubclass(Context, context):
        raise ContractDefinitionError(
            place, f"expected the second parameter to be a Context, found {declared[1].name}"
        )


def _compile_parameter(
    parameter: inspect.Parameter, hints: dict[str, Any], place: str, compiler: Compiler
) -> Parameter:
    inner = f"{place}, parameter {parameter.name}"
    if parameter.kind not in _POSITIONAL:
        raise ContractDefinitionError(
            inner, "arguments come by position; *, ** and keyword-only have none"
        )
    if parameter.name not in hints:
        raise ContractDefinitionError(inner, "has no annotation; say what type it is")
    conversion = compiler.compile(hints[parameter.name], inner)
    if conversion.form is Form.NOTHING:
        raise ContractDefinitionError(inner, "None cannot be an argument's type")
    return Parameter(
        parameter.name, Codec(conversion), parameter.default is inspect.Parameter.empty
    )


def _compile_result(hints: dict[str, Any], place: str, compiler: Compiler) -> Codec | None:
    if "return" not in hints:
        raise ContractDefinitionError(place, "has no return annotation; say -> None if nothing")
    if hints["return"] is Response:
        return None
    return Codec(compiler.compile(hints["return"], f"{place}, result"))
