"""The test kit: deploy a contract into a ledger in memory and call it like a client.

    ledger = Ledger()
    contract = ledger.deploy(AssetTransfer)
    contract.CreateAsset("a1", "blue", 5, "Tom", 100)
    assert contract.AssetExists("a1") is True

A ``@submit`` function is simulated and its writes committed at once, so the next call sees them;
an ``@evaluate`` function leaves nothing. Arguments and results go through the same conversions as
on a peer. What the contract refuses is raised as a ContractError. Every submit is simulated twice;
if the two differ, the contract would not be endorsed alike by two peers, and
NondeterminismError says where.

Emulated: state, ranges, pages, composite keys, history, key metadata, private values and hashes,
events, transient data, identities, calls between contracts. Not emulated: endorsement policies,
read conflicts, collection membership, limits of time and memory.
"""

import copy
import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tongban.contracts import canonical
from tongban.contracts.contract import Chaincode, Contract
from tongban.contracts.dispatch import ContractSet, RawContractSet
from tongban.contracts.emission import Rules
from tongban.contracts.endorsement import VALIDATION_PARAMETER
from tongban.contracts.function import Function
from tongban.contracts.memory import MemoryBridge, MemoryState, Simulation
from tongban.contracts.responses import payload_of
from tongban.contracts.runtime.bridge import Invocation, Outcome, Response, StateRefused, Write
from tongban.contracts.testing_client import LedgerClient, build_signed_proposal
from tongban.protos.digest import compute_tx_id

FIRST_TIMESTAMP = datetime(2019, 6, 17, 1, 0, tzinfo=UTC)
"""Time of the first transaction, unless the test says otherwise."""


class NondeterminismError(AssertionError):
    """Two simulations of the same call differ, so two peers would endorse different things."""


@dataclass(frozen=True, slots=True)
class CommittedEvent:
    """An event of a committed transaction."""

    tx_id: str
    chaincode_name: str
    name: str
    payload: bytes

    def json(self) -> Any:
        """The payload, if it is JSON."""
        return canonical.decode(self.payload.decode("utf-8"))


class Ledger:
    """One channel in memory, on one imaginary peer that endorses and commits at once."""

    def __init__(
        self,
        channel_id: str = "testchannel",
        *,
        timestamp: datetime = FIRST_TIMESTAMP,
        is_checking_determinism: bool = True,
    ) -> None:
        self.channel_id = channel_id
        self.timestamp = timestamp
        """Time of the next transaction; moves a second on with each call. Set it at will."""
        self.client = self.identity("Org1MSP")
        """Who calls, unless a call says otherwise."""
        self.events: list[CommittedEvent] = []
        """Events of committed transactions in order."""
        self.height = 0
        """Committed transactions so far."""
        self.last_writes: list[tuple[str, Write]] = []
        """Writes of the last committed transaction in their order, each with its chaincode."""
        self._state = MemoryState()
        self._packages: dict[str, ContractSet | RawContractSet] = {}
        self._is_checking_determinism = is_checking_determinism
        self._nonces: dict[str, bytes] = {}

    def fork(self) -> "Ledger":
        """A ledger with the same contracts and state that goes on by itself, for tests that
        begin alike."""
        twin = copy.copy(self)
        twin.events, twin.last_writes = list(self.events), list(self.last_writes)
        twin._state = copy.deepcopy(self._state)
        twin._packages, twin._nonces = dict(self._packages), dict(self._nonces)
        return twin

    @staticmethod
    def identity(
        mspid: str,
        name: str = "user",
        *,
        roles: Sequence[str] = ("client",),
        attributes: Mapping[str, str] | None = None,
    ) -> LedgerClient:
        """A client of an organization with a certificate of its own making."""
        return LedgerClient.create(mspid, name, tuple(roles), dict(attributes or {}))

    def deploy(
        self, *kinds: type[Contract] | type[Chaincode], name: str = ""
    ) -> "DeployedContract":
        """The contracts under one chaincode name (by default the first one's), ready for calls.
        Deploying under a name again upgrades the code and keeps the state."""
        chaincode_name = name or getattr(kinds[0], "name", "") or kinds[0].__name__
        return self.deploy_package(_package_of(kinds), chaincode_name)

    def deployed(self, name: str) -> "DeployedContract":
        """The chaincode of this name that is deployed here already."""
        return DeployedContract(self, name, self._packages[name], CallOptions(self.client))

    def deploy_package(
        self, package: ContractSet | RawContractSet, name: str
    ) -> "DeployedContract":
        """A package that was loaded with ``load_package``, under a chaincode name."""
        self._packages[name] = package
        return DeployedContract(self, name, package, CallOptions(self.client))

    def value(self, chaincode_name: str, key: str, collection: str = "") -> bytes:
        """The committed value, ``b""`` if there is none."""
        stored = self._state.find((chaincode_name, collection), key)
        return stored.value if stored is not None else b""

    def values(self, chaincode_name: str, collection: str = "") -> dict[str, bytes]:
        """All committed keys and values of a chaincode, composite keys included."""
        return {
            row.key: row.value for row in self._state.rows((chaincode_name, collection), "", "")
        }

    def policy(self, chaincode_name: str, key: str, collection: str = "") -> bytes:
        """The key's own endorsement policy, ``b""`` if none."""
        stored = self._state.find((chaincode_name, collection), key)
        return stored.metadata.get(VALIDATION_PARAMETER, b"") if stored is not None else b""

    def submit(self, name: str, args: Sequence[bytes], options: "CallOptions") -> Response:
        """Simulate and, if the status is below 400, commit."""
        call = self._invocation(name, args, options)
        outcome, writes = self._simulate(call)
        if self._is_checking_determinism:
            _verify_same((outcome, writes), self._simulate(call))
        if outcome.status < 400:
            self._commit(call, outcome, writes)
        return Response(outcome.status, outcome.message, outcome.payload)

    def evaluate(self, name: str, args: Sequence[bytes], options: "CallOptions") -> Response:
        """Simulate only."""
        outcome, _ = self._simulate(self._invocation(name, args, options))
        return Response(outcome.status, outcome.message, outcome.payload)

    def _invocation(self, name: str, args: Sequence[bytes], options: "CallOptions") -> Invocation:
        moment = options.timestamp or self.timestamp
        self.timestamp += timedelta(seconds=1)
        nonce = hashlib.sha256(f"{self.channel_id} {len(self._nonces)}".encode()).digest()[:24]
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        tx_id = compute_tx_id(nonce, options.client.creator)
        self._nonces[tx_id] = nonce
        return Invocation(
            chaincode_name=name,
            channel_id=self.channel_id,
            tx_id=tx_id,
            args=tuple(args),
            is_init=options.is_init,
            transient=dict(options.transient),
            creator=options.client.creator,
            timestamp_seconds=since // timedelta(seconds=1),
            timestamp_nanos=since % timedelta(seconds=1) // timedelta(microseconds=1) * 1000,
            decorations={},
        )

    def _simulate(self, call: Invocation) -> "_Simulated":
        def proposal() -> bytes:
            return build_signed_proposal(call, self._nonces[call.tx_id])

        simulation = Simulation(self._state, self.channel_id, self._invoke, proposal)
        outcome = self._invoke(simulation, call.chaincode_name, call.args, call, 0)
        assert outcome is not None
        try:
            simulation.add(call.chaincode_name, outcome.writes)
        except StateRefused as error:
            return Outcome(500, str(error), b""), []
        return outcome, simulation.writes

    def _invoke(
        self, simulation: Simulation, name: str, args: Sequence[bytes], call: Invocation, depth: int
    ) -> Outcome | None:
        package = self._packages.get(name)
        if package is None:
            return None
        inner = replace(call, chaincode_name=name, args=tuple(args))
        return package.invoke(inner, MemoryBridge(simulation, inner, depth))

    def _commit(
        self, call: Invocation, outcome: Outcome, writes: Sequence[tuple[str, Write]]
    ) -> None:
        for chaincode in dict.fromkeys(name for name, _ in writes):
            own = [write for name, write in writes if name == chaincode]
            self._state.apply(chaincode, own, call)
        if outcome.event is not None:
            self.events.append(
                CommittedEvent(
                    call.tx_id, call.chaincode_name, outcome.event.name, outcome.event.payload
                )
            )
        self.last_writes = list(writes)
        self.height += 1


@dataclass(frozen=True, slots=True)
class CallOptions:
    """Who calls, and what goes with the call beside its arguments."""

    client: LedgerClient
    transient: Mapping[str, bytes] = field(default_factory=dict)
    timestamp: datetime | None = None
    is_init: bool = False


class DeployedContract:
    """A chaincode on a test ledger. Its functions are methods, by the clients' names or by the
    names in Python; ``using`` gives the same with another client, transient data or time."""

    def __init__(
        self,
        ledger: Ledger,
        name: str,
        package: ContractSet | RawContractSet,
        options: CallOptions,
    ) -> None:
        self._ledger = ledger
        self._name = name
        self._package = package
        self._options = options

    def using(
        self,
        client: LedgerClient | None = None,
        *,
        transient: Mapping[str, bytes] | None = None,
        timestamp: datetime | None = None,
        is_init: bool = False,
    ) -> "DeployedContract":
        """The same contract, called otherwise."""
        options = CallOptions(
            client or self._options.client,
            self._options.transient if transient is None else transient,
            timestamp or self._options.timestamp,
            is_init,
        )
        return DeployedContract(self._ledger, self._name, self._package, options)

    def submit(self, function: str, *args: str | bytes) -> bytes:
        """The result's bytes, committed; arguments as a client sends them.

        Raises:
            ContractError: what the contract answered from status 400 on.
        """
        return payload_of(self._ledger.submit(self._name, _raw(function, args), self._options))

    def evaluate(self, function: str, *args: str | bytes) -> bytes:
        """The result's bytes, not committed.

        Raises:
            ContractError: what the contract answered from status 400 on.
        """
        return payload_of(self._ledger.evaluate(self._name, _raw(function, args), self._options))

    def respond(self, function: str | bytes, *args: str | bytes) -> Response:
        """The whole response to a submit, error or not."""
        return self._ledger.submit(self._name, _raw(function, args), self._options)

    @property
    def metadata(self) -> Any:
        """What ``org.hyperledger.fabric:GetMetadata`` answers."""
        return self._package.metadata

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        function = self._find(name)
        if function is None:
            raise AttributeError(f"{self._name} has no function {name!r}")
        return functools.partial(self._call, function[0], function[1])

    def contract(self, contract_name: str) -> "DeployedContract":
        """Another contract of the same package."""
        if (
            not isinstance(self._package, ContractSet)
            or contract_name not in self._package.contracts
        ):
            raise AttributeError(f"{self._name} has no contract {contract_name!r}")
        return _NamedContract(self, contract_name)

    def _find(self, name: str, contract_name: str = "") -> tuple[str, Function] | None:
        if not isinstance(self._package, ContractSet):
            return None
        contract_name = contract_name or self._package.default
        for function in self._package.contracts[contract_name].functions.values():
            if name in (function.name, function.method_name):
                return f"{contract_name}:{function.name}", function
        return None

    def _call(self, full_name: str, function: Function, *args: Any) -> Any:
        if len(args) > len(function.parameters):
            raise TypeError(
                f"{full_name} takes {len(function.parameters)} arguments, found {len(args)}"
            )
        encoded = [full_name.encode("utf-8"), *function.encode_arguments(args)]
        run = self._ledger.submit if function.is_submit else self._ledger.evaluate
        response = run(self._name, encoded, self._options)
        payload = payload_of(response)
        if function.result is None:
            return response
        return function.result.decode_result(payload)


class _NamedContract(DeployedContract):
    """A contract of a package that is not the default one."""

    def __init__(self, deployed: DeployedContract, contract_name: str) -> None:
        super().__init__(deployed._ledger, deployed._name, deployed._package, deployed._options)
        self._contract_name = contract_name

    def _find(self, name: str, contract_name: str = "") -> tuple[str, Function] | None:
        return super()._find(name, contract_name or self._contract_name)

    def using(self, *args: Any, **options: Any) -> DeployedContract:
        return _NamedContract(super().using(*args, **options), self._contract_name)


def _package_of(kinds: Sequence[type[Contract] | type[Chaincode]]) -> ContractSet | RawContractSet:
    raw = [kind for kind in kinds if issubclass(kind, Chaincode)]
    if raw:
        return RawContractSet(raw[0])
    contracts = [kind for kind in kinds if issubclass(kind, Contract)]
    return ContractSet(contracts, kinds[0].__name__, rules=Rules)


def _raw(function: str | bytes, args: Sequence[str | bytes]) -> list[bytes]:
    return [arg.encode("utf-8") if isinstance(arg, str) else arg for arg in (function, *args)]


_Simulated = tuple[Outcome, list[tuple[str, Write]]]


def _verify_same(first: _Simulated, second: _Simulated) -> None:
    (outcome, writes), (other_outcome, other_writes) = first, second
    for (chaincode, write), (_, other) in zip(writes, other_writes, strict=False):
        if write != other:
            raise NondeterminismError(
                f"two simulations differ in {chaincode}, key {write.key!r}: {write.value[:80]!r} "
                f"and {other.value[:80]!r} (key {other.key!r}); does the contract use a clock, "
                "random numbers, the order of a set, or state of its own?"
            )
    if len(writes) != len(other_writes):
        raise NondeterminismError(
            f"two simulations differ: {len(writes)} writes and {len(other_writes)} writes"
        )
    if replace(outcome, writes=()) != replace(other_outcome, writes=()):
        raise NondeterminismError(
            f"two simulations answer differently: {outcome.status} {outcome.message} "
            f"{outcome.payload[:80]!r} and {other_outcome.status} {other_outcome.message} "
            f"{other_outcome.payload[:80]!r}"
        )
