"""The desks of all departments: each with its own identity at its own peer.

What a desk submits is on every living peer when it has returned, so the next desk, at another
department, finds it there.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tongban.contracts.personal import KEY_BYTES, KEY_ENTRY
from tongban.network.connections import Connections
from tongban.network.topology import Organization
from tongban.sdk import CommitStatusError, EvaluateError, Timeouts, TransactionError
from tongban.sdk.aio import Gateway, Network
from tongban.sdk.core.calls import Call

RETRIES: Final = 8
"""Of a transaction that lost a race for a key."""

TIMEOUTS: Final = Timeouts(evaluate_s=30, endorse_s=60, submit_s=30, commit_status_s=60)

_REFUSAL: Final = re.compile(r"chaincode response [0-9]+, ([A-Z][A-Z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Desk:
    """Who works where."""

    organization: str
    user: str

    def __str__(self) -> str:
        return f"{self.organization}/{self.user}"


AGENT: Final = Desk("Bureau", "hall")
VERIFIER: Final = Desk("Police", "verifier")
ACCEPTOR: Final = Desk("Registry", "acceptor")
REVIEWER: Final = Desk("Registry", "reviewer")
REGISTRAR: Final = Desk("Registry", "registrar")
CLERK: Final = Desk("Power", "clerk")
JUDGE: Final = Desk("Court", "judge")
OFFICER: Final = Desk("Tax", "officer")
LENDER: Final = Desk("Bank", "lender")
ADMIN: Final = Desk("Bureau", "Admin")

DESKS: Final = (
    AGENT,
    VERIFIER,
    ACCEPTOR,
    REVIEWER,
    REGISTRAR,
    CLERK,
    JUDGE,
    OFFICER,
    LENDER,
    ADMIN,
)

ENTITLED: Final = ("Registry", "Bureau", "Police", "Power")
"""Departments that hold the key under which people are known."""


class Refused(Exception):
    """A contract refused. ``code`` is its word for why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Done:
    """A committed transaction."""

    transaction_id: str
    block_number: int
    result: bytes
    seconds: float
    was_deferred: bool


@dataclass(frozen=True, slots=True)
class Action:
    """What a desk does: one call of one contract."""

    chaincode: str
    function: str
    args: tuple[object, ...] = ()
    transient: Mapping[str, object] = field(default_factory=dict)
    is_keyed: bool = False
    """Whether the departments' key goes along."""


class Offices:
    """All desks, connected."""

    def __init__(self, connections: Connections, keys: Path, channel_id: str) -> None:
        self._connections = connections
        self._keys = keys
        self._channel_id = channel_id
        self._networks: dict[Desk, Network] = {}
        self._watches: dict[str, Network] = {}
        self._stack = AsyncExitStack()
        self._key_of: dict[str, bytes] = {}
        self.away: frozenset[str] = frozenset()
        """MSP ids of departments whose peers were taken off."""

    async def __aenter__(self) -> "Offices":
        for desk in DESKS:
            self._networks[desk] = await self._connect(desk)
        for organization in self._connections.topology.organizations:
            here = [desk for desk in DESKS if desk.organization == organization.group]
            if organization.peers and here:
                self._watches[organization.msp_id] = self._networks[here[0]]
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._stack.aclose()

    async def _connect(self, desk: Desk) -> Network:
        organization = self._connections.find_organization(desk.organization)
        host, peer = self._connections.entry_peer(organization)
        gateway = Gateway.connect(
            f"127.0.0.1:{peer.port}",
            self._connections.identity(organization, desk.user),
            tls=self._connections.tls(host, peer),
            timeouts=TIMEOUTS,
        )
        await self._stack.enter_async_context(gateway)
        return gateway.get_network(self._channel_id)

    async def submit(self, desk: Desk, action: Action) -> Done:
        """The action is committed, on every living peer.

        Raises:
            Refused: by the contract; nothing has changed.
        """
        chaincode, _, contract = action.chaincode.partition(":")
        called = self._networks[desk].get_contract(chaincode, contract or None)
        call = Call(action.function, action.args, self._transient(desk, action), retries=RETRIES)
        started = time.monotonic()
        try:
            done = await called.submit_or_defer(call, ("electricity",))
        except TransactionError as error:
            raise _refusal(error) from error
        seconds = time.monotonic() - started
        committed = done.committed
        await self.settle(committed.transaction_id)
        return Done(
            committed.transaction_id,
            committed.block_number,
            committed.result,
            seconds,
            bool(done.deferred),
        )

    async def submit_after(
        self, desk: Desk, action: Action, between: Callable[[], Awaitable[None]]
    ) -> str:
        """The action is endorsed, then ``between`` happens, then it is ordered. Returns the
        verdict's name.

        Raises:
            Refused: by the contract, when it was endorsed.
        """
        chaincode, _, contract = action.chaincode.partition(":")
        called = self._networks[desk].get_contract(chaincode, contract or None)
        transient = self._transient(desk, action)
        try:
            proposal = called.new_proposal(action.function, *action.args, transient=transient)
            transaction = await proposal.endorse()
            await between()
            status = await (await transaction.submit()).status()
        except TransactionError as error:
            raise _refusal(error) from error
        await self.settle(status.transaction_id)
        return status.code_name

    async def settle(self, transaction_id: str) -> None:
        """Every living peer has the verdict on the transaction."""
        watches = [net for msp_id, net in self._watches.items() if msp_id not in self.away]
        await asyncio.gather(*(net.commit_status(transaction_id) for net in watches))

    async def evaluate(self, desk: Desk, action: Action) -> bytes:
        """What the function answers at the desk's peer.

        Raises:
            Refused: by the contract.
        """
        chaincode, _, contract = action.chaincode.partition(":")
        called = self._networks[desk].get_contract(chaincode, contract or None)
        try:
            return await called.evaluate(
                action.function, *action.args, transient=self._transient(desk, action)
            )
        except EvaluateError as error:
            raise _refusal(error) from error

    def _transient(self, desk: Desk, action: Action) -> dict[str, object]:
        found = dict(action.transient)
        if action.is_keyed:
            found[KEY_ENTRY] = self.key_of(desk.organization)
        return found

    def key_of(self, group: str) -> bytes:
        """The department's own copy of the key."""
        if group not in self._key_of:
            path = key_path(self._keys, self._connections.find_organization(group))
            self._key_of[group] = path.read_bytes()
        return self._key_of[group]


def key_path(keys: Path, organization: Organization) -> Path:
    return keys / organization.msp_id / "subject.key"


def write_keys(keys: Path, organizations: Iterable[Organization], key: bytes) -> None:
    """Each entitled department has its own copy, readable by its owner only."""
    assert len(key) == KEY_BYTES
    for organization in organizations:
        if organization.group in ENTITLED:
            path = key_path(keys, organization)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(key)


def _refusal(error: TransactionError | EvaluateError) -> Exception:
    """The contract's refusal in an error, else the error itself."""
    if isinstance(error, CommitStatusError):
        return error
    for text in (error.message, *(detail.message for detail in error.details)):
        match = _REFUSAL.search(text)
        if match:
            return Refused(match.group(1))
    return error
