"""Endorses proposals: checks them, runs what they call on a snapshot, and signs the outcome.

Free of transport: a service hands in a SignedProposal and returns what comes out. Source of the
order of steps and of all texts: fabric core/endorser/endorser.go.
"""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tongban.node.core import endorsement
from tongban.node.core.endorsement import Endorsed, Outcome
from tongban.node.core.errors import AccessDenied, Overloaded
from tongban.node.core.identity import Identity
from tongban.node.core.lifecycle.approvals import DEFAULT_ENDORSEMENT_PLUGIN
from tongban.node.core.proposal import (
    ClockRules,
    Delivery,
    ExpiryReader,
    ParsedProposal,
    ProposalRefused,
    check_clock,
    check_form,
    compute_hash,
    open_proposal,
    read_proposal,
    refuse_creator,
    refuse_duplicate,
    refuse_unknown_channel,
    refuse_unknown_creator,
)
from tongban.node.core.received import ReceivedProposal
from tongban.node.core.simulation.private_configs import attach_configs
from tongban.node.core.simulation.simulator import SimulationResults
from tongban.node.runtime.channel_access import ChannelAccess
from tongban.node.runtime.contract_host import ContractFault, ContractReportedFailure, Response
from tongban.node.runtime.session import Session, open_session
from tongban.node.runtime.transaction_run import (
    InvocationRefused,
    RunServices,
    TransactionRun,
    check_initialized,
    check_may_initialize,
)
from tongban.protos.errors import TongbanError
from tongban.protos.proposal_response_pb2 import ProposalResponse
from tongban.protos.signing import Signer

SERVICE = "/protos.Endorser"

CONCURRENCY_LIMIT = 2_500
"""Proposals in work at once (fabric sampleconfig/core.yaml, peer.limits.concurrency)."""

WITHOUT_SIMULATION = frozenset({"cscc", "qscc"})
"""System chaincodes that read blocks and configuration, not state."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class EndorserOptions:
    """How an endorser is set up."""

    clock_rules: ClockRules = field(default_factory=ClockRules)
    concurrency_limit: int = CONCURRENCY_LIMIT
    now: Callable[[], datetime] = _now


class Endorser:
    """Endorses for one peer."""

    def __init__(
        self, services: RunServices, signer: Signer, options: EndorserOptions | None = None
    ) -> None:
        self._services = services
        self._signer = signer
        self._options = options if options is not None else EndorserOptions()
        self._expiry = ExpiryReader()
        self._in_work = 0

    @property
    def in_work(self) -> int:
        """Proposals being processed."""
        return self._in_work

    def process(self, received: ReceivedProposal) -> Coroutine[Any, Any, ProposalResponse]:
        """The answer to a proposal: endorsed, or a response that says why not.

        Raises:
            ProposalRefused: the call must fail; ``to_response`` gives the response that a caller
                in this process sees beside the error, if ``delivery`` says that there is one.
            Overloaded: too many proposals are in work.
        """
        return self._guarded(received, False)

    def evaluate(self, received: ReceivedProposal) -> Coroutine[Any, Any, ProposalResponse]:
        """As :meth:`process`, for who wants to know what the contract says and no endorsement:
        nothing is signed, and no private values are kept."""
        return self._guarded(received, True)

    async def _guarded(self, received: ReceivedProposal, is_evaluation: bool) -> ProposalResponse:
        if self._in_work >= self._options.concurrency_limit:
            raise Overloaded(SERVICE, self._options.concurrency_limit)
        self._in_work += 1
        try:
            return await self._process(received, is_evaluation)
        except ProposalRefused as refused:
            if refused.delivery is not Delivery.RESPONSE_ONLY:
                raise
            return refused.to_response()
        finally:
            self._in_work -= 1

    async def _process(self, received: ReceivedProposal, is_evaluation: bool) -> ProposalResponse:
        open_proposal(received)
        check_clock(received, self._options.now(), self._options.clock_rules, self._expiry)
        proposal = read_proposal(received)
        channel = None
        if proposal.channel_id:
            channel = self._services.channels.find(proposal.channel_id)
            if channel is None:
                raise refuse_unknown_channel(proposal.channel_id)
        check_form(proposal)
        identity = self._authenticate(proposal, channel)
        if channel is not None:
            self._check_on_channel(proposal, channel, identity)
        run = TransactionRun(self._services, proposal, received.signed.SerializeToString())
        attempt = _Attempt(self._services, run, proposal, identity, is_evaluation)
        try:
            version, outcome = await attempt.execute(channel)
        finally:
            attempt.close()
        # By its payload a gateway tells a contract's error from the peer's own.
        if is_evaluation and outcome.status < endorsement.ERROR:
            return ProposalResponse(response=endorsement.build_response(outcome))
        call = Endorsed(
            compute_hash(received),
            proposal.tx_id,
            proposal.channel_id,
            proposal.chaincode_name,
            version,
        )
        return endorsement.respond(call, outcome, self._signer)

    def _authenticate(self, proposal: ParsedProposal, channel: ChannelAccess | None) -> Identity:
        msps = self._services.access.local_msp if channel is None else channel.config.msps
        try:
            identity = msps.deserialize(proposal.creator)
        except TongbanError:
            raise refuse_unknown_creator(proposal) from None
        try:
            msps.validate(identity)
        except AccessDenied:
            raise refuse_creator(proposal, identity.mspid) from None
        if not self._services.verifier.verify(
            identity, proposal.proposal_bytes, proposal.signature
        ):
            raise refuse_creator(proposal, identity.mspid)
        return identity

    def _check_on_channel(
        self, proposal: ParsedProposal, channel: ChannelAccess, identity: Identity
    ) -> None:
        if channel.has_tx(proposal.tx_id):
            raise refuse_duplicate(proposal)
        if proposal.chaincode_name in self._services.system:
            return
        try:
            self._services.access.check("peer/Propose", channel.config, identity, proposal)
        except AccessDenied as error:
            raise ProposalRefused(str(error)) from None


class _Attempt:
    """The simulation of one proposal."""

    def __init__(
        self,
        services: RunServices,
        run: TransactionRun,
        proposal: ParsedProposal,
        identity: Identity,
        is_evaluation: bool,
    ) -> None:
        self._services = services
        self._is_evaluation = is_evaluation
        self._run = run
        self._proposal = proposal
        self._identity = identity
        self._session: Session | None = None

    def execute(self, channel: ChannelAccess | None) -> Awaitable[tuple[str, Outcome]]:
        """The chaincode's version and what it led to."""
        if self._proposal.chaincode_name in self._services.system:
            return self._execute_system(channel)
        if channel is None:
            raise self._undefined("could not get channel config for channel ''")
        return self._execute_contract(channel)

    def close(self) -> None:
        if self._session is not None:
            self._session.snapshot.close()

    async def _execute_system(self, channel: ChannelAccess | None) -> tuple[str, Outcome]:
        name = self._proposal.chaincode_name
        simulator = None
        if channel is not None and name not in WITHOUT_SIMULATION:
            self._session = open_session(channel, self._proposal.tx_id, self._identity)
            simulator = self._session.simulator
        try:
            if self._proposal.is_init:
                check_may_initialize(name, False)
            response = await self._run.call_system(
                name, self._proposal.args, self._identity, channel, simulator
            )
        except InvocationRefused as error:
            raise self._failed(str(error)) from None
        return endorsement.SYSTEM_VERSION, await self._finish(response, None)

    async def _execute_contract(self, channel: ChannelAccess) -> tuple[str, Outcome]:
        proposal = self._proposal
        session = self._session = open_session(channel, proposal.tx_id, self._identity)
        name = proposal.chaincode_name
        try:
            chaincode = self._run.resolve(session, name)
        except TongbanError as error:
            raise self._undefined(str(error)) from None

        def restart() -> Session:
            fresh = self._session = session.fresh(proposal.tx_id)
            check_initialized(
                fresh.simulator, self._run.resolve(fresh, name), is_init=proposal.is_init
            )
            return fresh

        try:
            check_initialized(session.simulator, chaincode, is_init=proposal.is_init)
            result = await self._run.call_contract(
                session, chaincode, proposal.args, proposal.is_init, restart
            )
        except ContractReportedFailure as error:
            raise _simulation_failed(str(error)) from None
        except (InvocationRefused, ContractFault) as error:
            raise self._failed(str(error)) from None
        if result.response.status < endorsement.ERROR_THRESHOLD:
            _check_plugin(chaincode.endorsement_plugin)
        event = None if result.event is None else (result.event.name, result.event.payload)
        return chaincode.version, await self._finish(result.response, event)

    async def _finish(self, response: Response, event: tuple[str, bytes] | None) -> Outcome:
        if self._session is None or (
            self._is_evaluation and not self._session.simulator.has_written
        ):
            return Outcome(*response, event, b"", None)
        try:
            results = self._session.simulator.results()
            if response.status < endorsement.ERROR_THRESHOLD and not self._is_evaluation:
                await self._hold_private(self._session, results)
        except TongbanError as error:
            raise _simulation_failed(str(error)) from None
        return Outcome(*response, event, results.public, results.interest)

    async def _hold_private(self, session: Session, results: SimulationResults) -> None:
        """Private values are kept, and given to whom they must be, before anything is signed."""
        if results.private is None:
            return
        attached = attach_configs(
            results.private,
            session.snapshot,
            session.snapshot.height,
            self._services.access.local_msp.mspid,
        )
        await session.channel.hold_private(self._proposal.tx_id, attached)

    def _undefined(self, reason: str) -> ProposalRefused:
        name, channel_id = self._proposal.chaincode_name, self._proposal.channel_id
        return ProposalRefused(
            f"make sure the chaincode {name} has been successfully defined on channel {channel_id} "
            f"and try again: {reason}",
            Delivery.RESPONSE_ONLY,
        )

    def _failed(self, reason: str) -> ProposalRefused:
        return _simulation_failed(f"failed to execute transaction {self._proposal.tx_id}: {reason}")


def _simulation_failed(reason: str) -> ProposalRefused:
    return ProposalRefused(f"error in simulation: {reason}", Delivery.RESPONSE_ONLY)


def _check_plugin(name: str) -> None:
    """Only the built-in way of endorsing exists here; others are code that a Go peer loads
    (fabric core/endorser/plugin_endorser.go)."""
    if name != DEFAULT_ENDORSEMENT_PLUGIN:
        raise ProposalRefused(
            f"endorsing with plugin failed: plugin with name {name} could not be used: plugin with "
            f"name {name} wasn't found",
            Delivery.RESPONSE_ONLY,
        )
