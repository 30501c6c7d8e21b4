"""The stages of a transaction."""

from dataclasses import dataclass, replace
from typing import Self, TypeVar

from ..core import flows
from ..core.commands import Flow, Ticket, Timeouts
from ..core.flows import CommitStatus
from ..core.prepared import Prepared
from ..core.signable import Party, SignableCommit, SignableProposal, SignableTransaction
from ..core.transport import Transport
from .runner import Tick, run

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks, through what, and how long each step may take."""

    party: Party
    transport: Transport
    timeouts: Timeouts
    tick: Tick

    def run(self, flow: Flow[T]) -> T:
        return run(flow, self.transport, self.tick)


class Proposal(SignableProposal):
    """A call that can be endorsed or evaluated."""

    _client: Client

    def of(self, client: Client) -> Self:
        """The same, to be carried by this client."""
        self._client = client
        return self

    def evaluate(self, timeout_s: float | None = None) -> bytes:
        """What the function returns on one peer. Nothing is ordered.

        Raises:
            EvaluateError: no peer answered, or the contract refused.
        """
        client = self._client
        limit_s = client.timeouts.evaluate_s if timeout_s is None else timeout_s
        return client.run(flows.evaluate(self, client.party, limit_s))

    def endorse(self, timeout_s: float | None = None) -> "Transaction":
        """The transaction, endorsed by as many as its policy asks for.

        Raises:
            EndorseError: the endorsements were not collected.
        """
        client = self._client
        limit_s = client.timeouts.endorse_s if timeout_s is None else timeout_s
        payload, prepared = client.run(flows.endorse(self, client.party, limit_s))
        return Transaction(payload, prepared).of(client)


class Transaction(SignableTransaction):
    """An endorsed call that can be submitted."""

    _client: Client

    def of(self, client: Client) -> Self:
        """The same, to be carried by this client."""
        self._client = client
        return self

    def submit(self, timeout_s: float | None = None) -> "Commit":
        """Return when an orderer has accepted the transaction.

        Raises:
            SubmitError: none said so.
        """
        client = self._client
        timeouts = client.timeouts
        if timeout_s is not None:
            timeouts = replace(timeouts, submit_s=timeout_s)
        ticket = client.run(flows.submit(self, client.party, timeouts))
        return Commit.build(self.transaction_id, self.channel_id, client.party).of(
            client, ticket, self.prepared
        )


class Commit(SignableCommit):
    """A submitted transaction whose verdict can be asked for."""

    _client: Client
    _ticket: Ticket | None
    _prepared: Prepared | None

    def of(
        self, client: Client, ticket: Ticket | None = None, prepared: Prepared | None = None
    ) -> Self:
        """The same, to be carried by this client."""
        self._client = client
        self._ticket = ticket
        self._prepared = prepared
        return self

    @property
    def result(self) -> bytes | None:
        """What the function returned; None when this was read back from bytes."""
        return None if self._prepared is None else self._prepared.result

    def status(self, timeout_s: float | None = None) -> CommitStatus:
        """The verdict, valid or not, once the peer has committed the block.

        Raises:
            CommitStatusError: it could not be learnt in time.
        """
        client = self._client
        limit_s = client.timeouts.commit_status_s if timeout_s is None else timeout_s
        return client.run(flows.commit_status(self, self._ticket, client.party, limit_s))
