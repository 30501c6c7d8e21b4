"""What every contract function gets as its first argument."""

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from tongban.contracts.client import ClientIdentity
from tongban.contracts.stub import Stub

if TYPE_CHECKING:
    from tongban.contracts.runtime.bridge import Invocation, StateBridge


class RulesHook(Protocol):
    """What carries rules between contracts; one is made for every transaction."""

    def emit(self, ctx: "Context", name: str, payload: object) -> None:
        """Tell the contracts that have a rule on ``name``, in this transaction."""
        ...

    def finish(self, ctx: "Context") -> None:
        """Called after the function returned normally and before its writes leave."""
        ...


class Context:
    """One transaction: the ledger (``stub``), who asks (``client``) and when (``timestamp``)."""

    def __init__(
        self, call: "Invocation", bridge: "StateBridge", rules: RulesHook | None = None
    ) -> None:
        self.stub = Stub(call, bridge)
        self.rules = rules
        """What ``emit`` of rules works with; None where the package has no rules."""
        self.function = ""
        """Name of the function that the client called."""

    @cached_property
    def client(self) -> ClientIdentity:
        """Who signed the proposal."""
        return ClientIdentity(self.stub.creator)

    @property
    def timestamp(self) -> datetime:
        """The proposal's time, UTC: the only clock a contract may look at."""
        return self.stub.timestamp

    @property
    def tx_id(self) -> str:
        return self.stub.tx_id

    @property
    def channel_id(self) -> str:
        return self.stub.channel_id
