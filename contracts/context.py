"""What every contract function gets as its first argument."""

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from tongban.contracts.client import ClientIdentity
from tongban.contracts.errors import ContractError
from tongban.contracts.stub import Stub

if TYPE_CHECKING:
    from tongban.contracts.rules import ReactionContext, ReactionOutcome
    from tongban.contracts.runtime.bridge import Invocation, StateBridge


class RulesHook(Protocol):
    """What carries rules between contracts; one is made for every transaction."""

    def emit(
        self, ctx: "Context", name: str, payload: object, key: str
    ) -> "tuple[ReactionOutcome, ...]":
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
        self.reaction: ReactionContext | None = None
        """What this function follows, if it runs by a rule (see ``on``)."""
        self.declared_events: tuple[str, ...] = ()
        """What the running function says it may emit; empty if it does not say."""

    def emit(self, name: str, payload: object, *, key: str = "") -> "tuple[ReactionOutcome, ...]":
        """Every contract with a rule on this event reacts now, in the rules' order, in this
        transaction; returns how each went.

        ``payload`` is a dataclass or a dict with a JSON form. It may come to lie on the ledger, so
        it holds no personal values. Reactions see the state as committed before this transaction,
        not what this function has written. With a ``key``, such as a case number and a version, a
        reaction happens once for this event and key, however often they are emitted.

        Raises:
            ContractError: a reaction with ``refused="abort"`` refused, with its code and text; or
                the event cannot be emitted. Catching it does not save the transaction.
        """
        if self.rules is None:
            raise ContractError("NO_RULES", "this package was loaded without rules")
        return self.rules.emit(self, name, payload, key)

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
