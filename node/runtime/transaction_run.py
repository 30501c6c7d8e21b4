"""Runs the chaincode that a proposal calls, and those that it calls in turn.

On the same channel a callee reads and writes in its caller's simulation; on another channel it gets
one of its own, of which nothing is kept. A chaincode that is still running in a transaction cannot
be entered again by it. Source: fabric core/chaincode/chaincode_support.go and handler.go
(HandleInvokeChaincode), whose texts are kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tongban.node.core.errors import AccessDenied, UnknownIdentity
from tongban.node.core.identity import Identity
from tongban.node.core.policy import SignaturePolicy, SignatureVerifier
from tongban.node.core.proposal import ParsedProposal
from tongban.node.core.simulation.queries import TOTAL_QUERY_LIMIT
from tongban.node.core.simulation.simulator import Simulator
from tongban.node.runtime.access import AccessControl
from tongban.node.runtime.chaincodes import ChaincodeLookup, ResolvedChaincode
from tongban.node.runtime.channel_access import ChannelAccess, PeerChannels
from tongban.node.runtime.contract_host import (
    ContractCall,
    ContractHost,
    ContractReportedFailure,
    ContractResult,
    Response,
    StateCalls,
    Timestamp,
)
from tongban.node.runtime.session import Session, open_session
from tongban.node.runtime.state_calls import CallScope, NamespaceCalls
from tongban.node.runtime.syscc.call import ERROR, SystemCall, SystemChaincodes
from tongban.protos.errors import TongbanError

INITIALIZED_KEY = "\x00\U0010ffffinitialized"
"""Where a chaincode's namespace keeps the version that was initialized (fabric
core/chaincode/chaincode_support.go)."""


class InvocationRefused(TongbanError):
    """A chaincode cannot be invoked, or not in this way."""


@dataclass(frozen=True, slots=True)
class RunServices:
    """What running chaincode needs of the peer."""

    channels: PeerChannels
    access: AccessControl
    chaincodes: ChaincodeLookup
    host: ContractHost
    verifier: SignatureVerifier
    system: SystemChaincodes
    query_limit: int = TOTAL_QUERY_LIMIT


class TransactionRun:
    """One proposal while it is simulated."""

    def __init__(
        self, services: RunServices, proposal: ParsedProposal, signed_proposal: bytes
    ) -> None:
        self._services = services
        self._proposal = proposal
        self._signed_proposal = signed_proposal
        self._running: set[tuple[str, str]] = set()

    async def call_system(
        self,
        name: str,
        args: Sequence[bytes],
        identity: Identity,
        channel: ChannelAccess | None,
        simulator: Simulator | None,
    ) -> Response:
        """The answer of a system chaincode."""
        call = SystemCall(tuple(args), self._proposal, identity, channel, simulator)
        place = self._enter("" if channel is None else channel.channel_id, name)
        try:
            return await self._services.system[name].invoke(call)
        finally:
            self._running.discard(place)

    async def call_contract(
        self,
        session: Session,
        chaincode: ResolvedChaincode,
        args: tuple[bytes, ...],
        is_init: bool,
        restart: Callable[[], Session],
    ) -> ContractResult:
        """The answer of a contract. The host's first attempt runs in ``session``, each further one
        in what ``restart`` gives.

        Raises:
            ContractFault, ContractReportedFailure: it gave none.
            InvocationRefused: it is running in this transaction already.
        """
        proposal = self._proposal
        channel_id = session.channel.channel_id
        call = ContractCall(
            package_id=chaincode.package_id,
            chaincode_name=chaincode.name,
            channel_id=channel_id,
            tx_id=proposal.tx_id,
            args=args,
            is_init=is_init,
            creator=proposal.creator,
            nonce=proposal.nonce,
            timestamp=Timestamp(*proposal.timestamp),
            signed_proposal=self._signed_proposal,
            transient=proposal.transient,
        )

        def open_calls(opened: Session) -> NamespaceCalls:
            return self._open_calls(opened, chaincode.name, is_init)

        attempts = _Attempts(session, open_calls, restart)
        place = self._enter(channel_id, chaincode.package_id)
        try:
            return await self._services.host.execute(call, attempts.begin)
        finally:
            attempts.close()
            self._running.discard(place)

    def resolve(self, session: Session, name: str) -> ResolvedChaincode:
        """What a name means. Raises ChaincodeUnavailable."""
        config = session.channel.config
        return self._services.chaincodes.resolve(config, session.snapshot, session.simulator, name)

    def _open_calls(self, session: Session, namespace: str, is_init: bool) -> NamespaceCalls:
        config = session.channel.config

        def is_member(policy: bytes) -> bool:
            compiled = SignaturePolicy.parse(policy, config.msps)
            return compiled.evaluate([session.identity]).satisfied

        async def invoke(name: str, channel: str, args: Sequence[bytes]) -> Response:
            return await self._invoke_from(session, name, channel, args)

        scope = CallScope(
            namespace,
            config.channel_id,
            self._proposal.tx_id,
            is_init,
            config.application_capabilities,
            is_member,
            self._services.query_limit,
        )
        return NamespaceCalls(session.simulator, session.snapshot, scope, invoke)

    async def _invoke_from(
        self, caller: Session, name: str, channel_id: str, args: Sequence[bytes]
    ) -> Response:
        """The answer of a chaincode that a running one calls. ``name`` may be ``name/channel``
        and ``name:version``, as Fabric's chaincode writes it."""
        name, _, named_channel = name.partition("/")
        name = name.partition(":")[0]
        own = caller.channel.channel_id
        target = named_channel or channel_id or own
        if target != own:
            return await self._invoke_elsewhere(target, name, args)
        if name not in self._services.system:
            self._check_invocation(caller.channel, caller.identity)
        return await self._invoke_in(caller, name, args)

    async def _invoke_elsewhere(
        self, channel_id: str, name: str, args: Sequence[bytes]
    ) -> Response:
        channel = self._services.channels.find(channel_id)
        if channel is None:
            if name not in self._services.system:
                raise InvocationRefused(f"Failed to get policy manager for channel [{channel_id}]")
            raise InvocationRefused(f"failed to find ledger for channel: {channel_id}")
        try:
            identity = channel.config.msps.deserialize(self._proposal.creator)
        except UnknownIdentity as error:
            raise AccessDenied(f"access denied for channel [{channel_id}]: {error}") from None
        if name not in self._services.system:
            self._check_invocation(channel, identity)
        session = open_session(channel, self._proposal.tx_id, identity)
        try:
            return await self._invoke_in(session, name, args)
        finally:
            session.snapshot.close()

    async def _invoke_in(self, session: Session, name: str, args: Sequence[bytes]) -> Response:
        try:
            if name in self._services.system:
                return await self.call_system(
                    name, args, session.identity, session.channel, session.simulator
                )
            return await self._invoke_contract(session, name, args)
        except ContractReportedFailure as error:
            return Response(ERROR, error.reported)
        except TongbanError as error:
            raise InvocationRefused(f"execute failed: {error}") from None

    async def _invoke_contract(
        self, session: Session, name: str, args: Sequence[bytes]
    ) -> Response:
        channel_id = session.channel.channel_id
        try:
            chaincode = self.resolve(session, name)
        except TongbanError as error:
            raise InvocationRefused(
                f"invalid invocation: [channel {channel_id}] failed to get chaincode container "
                f"info for {name}: {error}"
            ) from None
        check_initialized(session.simulator, chaincode, is_init=False)
        checkpoint = session.simulator.checkpoint()

        def restart() -> Session:
            session.simulator.roll_back(checkpoint)
            return session

        result = await self.call_contract(session, chaincode, tuple(args), False, restart)
        return result.response

    def _check_invocation(self, channel: ChannelAccess, identity: Identity) -> None:
        proposal = self._proposal
        resource = "peer/ChaincodeToChaincode"
        self._services.access.check(resource, channel.config, identity, proposal)
        if not self._services.verifier.verify(
            identity, proposal.proposal_bytes, proposal.signature
        ):
            raise AccessDenied(f"access denied for channel [{channel.channel_id}]")

    def _enter(self, channel_id: str, runner: str) -> tuple[str, str]:
        """A Go peer knows one context per channel, transaction and package. Whoever has entered
        discards what this returns from those that are running."""
        place = (channel_id, runner)
        if place in self._running:
            raise InvocationRefused(
                f"error sending: txid: {self._proposal.tx_id}({channel_id}) exists"
            )
        self._running.add(place)
        return place


def check_initialized(simulator: Simulator, chaincode: ResolvedChaincode, *, is_init: bool) -> None:
    """Return if the chaincode may be invoked now; note it down if this initializes it.

    Raises:
        InvocationRefused: it must be initialized first, has been already, or cannot be.
    """
    name = chaincode.name
    is_needed = False
    if chaincode.init_required:
        version = simulator.get_state(name, INITIALIZED_KEY)
        is_needed = version != chaincode.version.encode()
    if not is_init:
        if is_needed:
            raise InvocationRefused(
                f"invalid invocation: chaincode '{name}' has not been initialized for this "
                "version, must call as init first"
            )
        return
    check_may_initialize(chaincode.name, chaincode.init_required)
    if not is_needed:
        raise InvocationRefused(
            f"invalid invocation: chaincode '{name}' is already initialized but called as init"
        )
    simulator.put_state(name, INITIALIZED_KEY, chaincode.version.encode())


def check_may_initialize(name: str, init_required: bool) -> None:
    """Return if a chaincode has an initialization at all. Raises InvocationRefused otherwise."""
    if not init_required:
        raise InvocationRefused(
            f"invalid invocation: chaincode '{name}' does not require initialization but called "
            "as init"
        )


class _Attempts:
    """Gives the host a simulation each time it begins."""

    def __init__(
        self,
        session: Session,
        open_calls: Callable[[Session], NamespaceCalls],
        restart: Callable[[], Session],
    ) -> None:
        self._session = session
        self._open_calls = open_calls
        self._restart = restart
        self._calls: NamespaceCalls | None = None

    def begin(self) -> StateCalls:
        if self._calls is not None:
            self._calls.close()
            self._session = self._restart()
        self._calls = self._open_calls(self._session)
        return self._calls

    def close(self) -> None:
        """No request is answered any more."""
        if self._calls is not None:
            self._calls.close()
