"""The class a contract author writes, and the marks on its functions.

    class Registry(Contract):
        @submit
        def book(self, ctx: Context, unit: RealEstateUnitCode, owner: str) -> None: ...

        @evaluate(name="ReadUnit")
        def read(self, ctx: Context, unit: RealEstateUnitCode) -> Record: ...

Clients call ``book``, or ``Registry:book`` where a package has several contracts. A function that
changes the ledger is marked ``@submit``, one that only reads ``@evaluate``; others are not
reachable from outside.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Concatenate, NamedTuple, ParamSpec, TypeVar, overload

from tongban.contracts.context import Context
from tongban.contracts.errors import ContractError
from tongban.contracts.limits import FUNCTION_NAME_CHARACTERS_MAX
from tongban.contracts.runtime.bridge import Response

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound="Contract")
Ctx = TypeVar("Ctx", bound=Context)

MARK = "__tongban_function__"


class FunctionMark(NamedTuple):
    """What a decorator leaves on a function."""

    name: str
    """As clients call it."""
    is_submit: bool


Method = Callable[Concatenate[C, Ctx, P], R]


@overload
def submit(function: Callable[Concatenate[C, Ctx, P], R], /) -> Method[C, Ctx, P, R]: ...
@overload
def submit(
    *, name: str = ""
) -> Callable[[Callable[Concatenate[C, Ctx, P], R]], Method[C, Ctx, P, R]]: ...
def submit(function: Any = None, /, *, name: str = "") -> Any:
    """Mark a function that changes the ledger. ``name`` is what clients call it, if not its own
    name. The function stays an ordinary method and can be called from others."""
    return _mark(function, name, is_submit=True)


@overload
def evaluate(function: Callable[Concatenate[C, Ctx, P], R], /) -> Method[C, Ctx, P, R]: ...
@overload
def evaluate(
    *, name: str = ""
) -> Callable[[Callable[Concatenate[C, Ctx, P], R]], Method[C, Ctx, P, R]]: ...
def evaluate(function: Any = None, /, *, name: str = "") -> Any:
    """Mark a function that only reads. A write in it is refused (code READ_ONLY)."""
    return _mark(function, name, is_submit=False)


def _mark(function: Any, name: str, is_submit: bool) -> Any:
    def mark(marked: Any) -> Any:
        setattr(marked, MARK, FunctionMark(name or marked.__name__, is_submit))
        return marked

    return mark if function is None else mark(function)


class Contract:
    """Base of contracts. One object serves all transactions at once, so it keeps no state:
    what lasts goes through ``ctx.stub``."""

    name: ClassVar[str] = ""
    """What stands before the colon in ``Name:function``; the class's own name if empty."""

    version: ClassVar[str] = ""
    """Shown in the metadata; the package's version if empty."""

    is_default: ClassVar[bool] = False
    """Whether a call without a contract name is for this one. If none says so, the first is."""

    department: ClassVar[str] = ""
    """MSP id of the department that answers for this contract. A rule needs its approval, so a
    contract that emits or reacts says it."""

    def before_transaction(self, ctx: Context) -> None:
        """Runs before every function of this contract. Raising refuses the transaction."""

    def after_transaction(self, ctx: Context, result: object) -> None:
        """Runs after a function returned ``result``, before the writes leave. Raising refuses
        the transaction."""

    def unknown_transaction(self, ctx: Context) -> Response | None:
        """Runs when the client names a function that does not exist; its arguments are in
        ``ctx.stub.args``. Refuses, unless overridden."""
        raise ContractError("", unknown_function_text(ctx.function))


class Chaincode:
    """Base of a package that takes its arguments raw: one class, one function, no conversion.

    For chaincode with a call format of its own. Such a package has no other contract.
    """

    def invoke(self, ctx: Context) -> Response:
        """Answer one call, whatever its arguments. Writes are kept also when the status is an
        error; to drop them, raise."""
        raise NotImplementedError


def unknown_function_text(function: str) -> str:
    """As in fabric-chaincode-node fabric-contract-api/lib/contract.js."""
    shown = function[:FUNCTION_NAME_CHARACTERS_MAX]
    return f"You've asked to invoke a function that does not exist: {shown}"
