"""Follows cases, and counts how often."""

from tongban.contracts import Context, Contract, ContractError, evaluate, on, submit


class Supply(Contract):
    department = "Org2MSP"

    @on("registry.booked", source="registry", refused="record", unavailable="defer")
    @submit
    def follow(self, ctx: Context, booked: dict[str, str]) -> None:
        """Each case has a count of its own, so that running twice would be seen."""
        case = booked["case"]
        count = int(ctx.stub.get_state(case) or b"0")
        if case.startswith("bad"):
            raise ContractError("BAD_CASE", "不予受理")
        ctx.stub.put_state(case, str(count + 1).encode())

    @evaluate
    def count(self, ctx: Context, case: str) -> int:
        """How often the case was followed."""
        return int(ctx.stub.get_state(case) or b"0")
