"""Calling a contract, on asyncio."""

import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence

from ..core import flows
from ..core.calls import Call, ContractAddress, to_call
from ..core.commands import Flow
from ..core.deferring import CommittedOrDeferred, Deferral, submit_or_defer
from ..core.flows import Committed
from ..core.pipeline import Outcome
from ..core.proposal import NONCE_BYTES, Moment, ProposalBuilder
from .runner import run_many
from .steps import Client, Commit, Proposal

IN_FLIGHT_DEFAULT = 256
"""Transactions of ``submit_many`` under way; more gains nothing on two cores."""


class Contract:
    """A contract on a channel.

    >>> result = await contract.submit("CreateAsset", "a1", "blue", 5)  # doctest: +SKIP
    >>> json.loads(await contract.evaluate("ReadAsset", "a1"))  # doctest: +SKIP
    {'ID': 'a1', 'Color': 'blue', 'Size': 5}

    Arguments that are ``str`` or ``bytes`` travel as themselves, all others as canonical JSON.
    """

    def __init__(self, address: ContractAddress, client: Client) -> None:
        self.address = address
        self._client = client
        party = client.party
        self._builder = ProposalBuilder(
            address.channel_id, address.chaincode_name, party.creator, party.tls_certificate_hash
        )

    def new_proposal(
        self,
        function: str,
        *args: object,
        transient: Mapping[str, object] | None = None,
        endorsing_organizations: Sequence[str] = (),
        idempotency_key: str | None = None,
    ) -> Proposal:
        """A proposal with a transaction id of its own, not signed yet."""
        call = Call(
            function,
            args,
            transient or {},
            endorsing_organizations,
            idempotency_key=idempotency_key,
        )
        return self._propose(call)

    async def evaluate(
        self,
        function: str,
        *args: object,
        transient: Mapping[str, object] | None = None,
        target_organizations: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> bytes:
        """What the function returns on one peer. Nothing is ordered.

        Raises:
            EvaluateError: no peer answered, or the contract refused.
        """
        call = Call(function, args, transient or {}, target_organizations)
        return await self._propose(call).evaluate(timeout_s)

    async def submit(
        self,
        function: str,
        *args: object,
        transient: Mapping[str, object] | None = None,
        endorsing_organizations: Sequence[str] = (),
        retries: int = 0,
        idempotency_key: str | None = None,
    ) -> bytes:
        """What the function returned, after the transaction was committed as valid.

        Lost races for a key (read conflicts, and endorsers that have read different versions) are
        tried again ``retries`` times, each time as a new transaction under the same
        ``idempotency_key``, which travels as the transient entry ``idempotency-key``.

        Raises:
            EndorseError, SubmitError, CommitStatusError: a step failed.
            CommitError: it was found invalid, the last time too.
        """
        call = Call(
            function, args, transient or {}, endorsing_organizations, retries, idempotency_key
        )
        return (await self._client.run(self._submit_flow(call))).result

    async def submit_or_defer(
        self,
        call: Call,
        defer: Sequence[str],
        *,
        endorsing_organizations: Sequence[str] = (),
    ) -> CommittedOrDeferred:
        """Submit; if peers that must endorse cannot be reached, submit so that the reactions of
        the chaincodes ``defer`` are run later, where their rules allow it. The answer says which
        it was. ``endorsing_organizations`` are for the second case.

        Raises:
            EndorseError, SubmitError, CommitStatusError, CommitError: as ``submit``.
        """
        client = self._client
        deferral = Deferral(defer, endorsing_organizations)
        return await client.run(
            submit_or_defer(self._propose, call, deferral, client.party, client.timeouts)
        )

    async def submit_async(
        self,
        function: str,
        *args: object,
        transient: Mapping[str, object] | None = None,
        endorsing_organizations: Sequence[str] = (),
    ) -> Commit:
        """Return when an orderer has accepted; the verdict is asked for later, with ``status``.

        Raises:
            EndorseError, SubmitError: a step failed.
        """
        call = Call(function, args, transient or {}, endorsing_organizations)
        transaction = await self._propose(call).endorse()
        return await transaction.submit()

    async def submit_many(
        self,
        calls: Iterable[Call | Sequence[object]] | AsyncIterable[Call | Sequence[object]],
        *,
        in_flight: int = IN_FLIGHT_DEFAULT,
    ) -> AsyncIterator[Outcome[Committed]]:
        """Submit many calls and yield how each ended, as it ends, with its place in the input.

        Each call is a ``Call`` or ``(function, argument, …)``. Input is read only as fast as
        outcomes are taken: at most ``in_flight`` calls are under way or waiting to be taken.
        """
        flow = self._submit_flow
        pending: Iterable[Flow[Committed]] | AsyncIterable[Flow[Committed]]
        if isinstance(calls, AsyncIterable):
            pending = (flow(to_call(item)) async for item in calls)
        else:
            pending = (flow(to_call(item)) for item in calls)
        async for outcome in run_many(pending, self._client.transport, in_flight):
            yield outcome

    def _submit_flow(self, call: Call) -> Flow[Committed]:
        client = self._client
        return flows.submit_with_retries(
            lambda: self._propose(call), client.party, client.timeouts, call.retries
        )

    def _propose(self, call: Call) -> Proposal:
        moment = Moment(os.urandom(NONCE_BYTES), time.time_ns())
        invocation = self.address.invocation(call)
        return Proposal.build(self._builder, invocation, moment).of(self._client)
