"""Decorated functions keep their types: ``mypy`` reports every unused ``type: ignore`` below."""

from typing import TYPE_CHECKING

from tongban.contracts import Context, Contract, submit
from tongban.contracts.samples.asset_transfer.asset_transfer import AssetTransfer

if TYPE_CHECKING:

    def check(contract: AssetTransfer, ctx: Context) -> None:
        """Never runs."""
        contract.create_asset(ctx, "a", "blue", 5, "Tom", 100)
        contract.create_asset(ctx, "a", "blue", "5", "Tom", 100)  # type: ignore[arg-type]
        contract.create_asset(ctx, "a")  # type: ignore[call-arg]
        exists: bool = contract.asset_exists(ctx, "a")
        text: str = contract.asset_exists(ctx, "a")  # type: ignore[assignment]
        print(exists, text)

    class Wrong(Contract):
        """Never runs."""

        @submit  # type: ignore[arg-type]
        def no_context(self) -> None:
            """The context is missing."""


def test_the_decorators_return_the_function_itself() -> None:
    def function(self: Contract, ctx: Context) -> None: ...

    assert submit(function) is function
    assert submit(name="other")(function) is function
