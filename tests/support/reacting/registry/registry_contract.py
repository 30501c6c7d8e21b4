"""Books cases, which other departments follow."""

from tongban.contracts import Context, Contract, emits, submit


class Registry(Contract):
    department = "Org1MSP"

    @emits("registry.booked")
    @submit
    def book(self, ctx: Context, case: str) -> list[str]:
        """Book a case; returns how the reactions went."""
        ctx.stub.put_state(case, b"booked")
        outcomes = ctx.emit("registry.booked", {"case": case})
        return [outcome.outcome.value for outcome in outcomes]
