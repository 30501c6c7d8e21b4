"""Three small departments whose contracts follow each other."""

from dataclasses import dataclass

from tongban.contracts import Context, Contract, ContractError, emits, evaluate, on, submit


@dataclass(frozen=True, slots=True)
class Booked:
    case: str
    account: str


class Property(Contract):
    """Books transfers."""

    department = "RegistryMSP"

    @emits("property.booked")
    @submit
    def book(self, ctx: Context, case: str, account: str) -> list[str]:
        ctx.stub.put_state(case, b"booked")
        outcomes = ctx.emit("property.booked", Booked(case, account), key=f"{case} {account}")
        return [f"{one.target} {one.outcome} {one.code}{one.result}" for one in outcomes]

    @emits("property.touched")
    @submit
    def touch(self, ctx: Context, case: str) -> list[str]:
        ctx.stub.put_state(case, b"touched")
        outcomes = ctx.emit("property.touched", {"case": case})
        return [f"{one.target} {one.outcome}" for one in outcomes]

    @emits("property.touched")
    @submit
    def swallow(self, ctx: Context, case: str) -> str:
        ctx.stub.put_state(case, b"swallowed")
        try:
            ctx.emit("property.touched", {"case": case})
        except ContractError:
            return "swallowed"
        return "nothing to swallow"


class Electricity(Contract):
    """Follows with its accounts."""

    department = "PowerMSP"

    @on("property.booked", source="property", refused="record", unavailable="defer", order=10)
    @emits("electricity.transferred")
    @submit
    def follow(self, ctx: Context, booked: Booked) -> str:
        ctx.stub.put_state(booked.account, booked.case.encode())
        if booked.account == "arrears":
            raise ContractError("ARREARS", "欠费")
        ctx.emit("electricity.transferred", {"account": booked.account})
        return booked.account

    @on("property.touched", source="property", refused="abort")
    @submit
    def touched(self, ctx: Context, payload: dict[str, str]) -> None:
        assert ctx.reaction is not None
        if payload["case"] == "bad":
            raise ContractError("NO_TOUCH", "not that one")
        ctx.stub.put_state("touched", ctx.reaction.origin_tx_id.encode())

    @evaluate
    def account(self, ctx: Context, account: str) -> str:
        return ctx.stub.get_state(account).decode()


class Archive(Contract):
    """Notes everything."""

    department = "BureauMSP"

    @on("electricity.transferred", source="electricity", unavailable="defer")
    @submit
    def note(self, ctx: Context, payload: dict[str, str]) -> None:
        if payload["account"] == "secret":
            raise ContractError("NO_NOTE", "not noted")
        ctx.stub.put_state(payload["account"], b"noted")

    @on("property.booked", source="property", order=20)
    @submit
    def note_booking(self, ctx: Context, booked: Booked) -> None:
        ctx.stub.put_state(f"booking {booked.case}", b"noted")
