"""Clients that keep a network busy and write down everything that they were told."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.support.networks import RunningNetwork
from tongban.network.topology import Node, Organization
from tongban.protos.transaction_pb2 import TxValidationCode
from tongban.sdk import CommitError, EndorseError, StatusCode, SubmitError, Tls, TransactionError
from tongban.sdk.aio import Gateway
from tongban.sdk.aio.contract import Contract
from tongban.sdk.aio.steps import Transaction
from tongban.sdk.core.transport import StreamChoice
from tongban.sdk.errors import CommitStatusError

CHANNEL = "mychannel"
CONTRACT = "counter"
SOURCE = "tests/support/counter"
PAUSE_SECONDS = 0.1
"""After a refusal."""


@dataclass
class Told:
    """What the clients were told of each transaction, by transaction id."""

    codes: dict[str, int] = field(default_factory=dict)
    """Verdicts."""
    unknown: set[str] = field(default_factory=set)
    """Perhaps ordered; no verdict was learnt."""
    unordered: set[str] = field(default_factory=set)
    """Failed before an orderer could have had them."""
    sums: dict[str, list[int]] = field(default_factory=dict)
    """What ``Add`` returned in committed transactions, by account."""
    refusals: Counter[str] = field(default_factory=Counter)
    progress: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with every valid transaction."""

    @property
    def valid_count(self) -> int:
        return sum(1 for code in self.codes.values() if code == TxValidationCode.VALID)

    def tell(self, tx_id: str, code: int) -> None:
        """A verdict was given. The same transaction never has two."""
        assert self.codes.setdefault(tx_id, code) == code, f"two verdicts on {tx_id}"
        self.unknown.discard(tx_id)
        if code == TxValidationCode.VALID:
            self.progress.set()

    def fail(self, error: TransactionError) -> None:
        tx_id = error.transaction_id
        name = type(error).__name__
        if isinstance(error, CommitError):
            self.tell(tx_id, error.code)
            name = error.code_name
        elif isinstance(error, EndorseError):
            self.unordered.add(tx_id)
        elif tx_id not in self.codes:
            self.unknown.add(tx_id)
        self.refusals[f"{name} {StatusCode(error.code).name}"] += 1


def connect(
    network: RunningNetwork,
    organization: Organization,
    peer: Node,
    *,
    user: str = "User1",
    stream: StreamChoice = "auto",
) -> Gateway:
    """A client of an organization at one of its peers."""
    connections = network.connections
    tls: Tls = connections.tls(organization, peer)
    identity = connections.identity(organization, user)
    return Gateway.connect(f"127.0.0.1:{peer.port}", identity, tls=tls, stream=stream)


def counter_of(gateway: Gateway) -> Contract:
    return gateway.get_network(CHANNEL).get_contract(CONTRACT)


async def keep_adding(contract: Contract, account: str, told: Told) -> None:
    """Add to one account, a transaction after the other, step by step, until cancelled. When an
    orderer gave no answer, the same envelope is handed in again."""
    while True:
        try:
            transaction = await contract.new_proposal("Add", account).endorse()
            status = await _submit_until_known(transaction, told)
        except TransactionError as error:
            told.fail(error)
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        told.tell(transaction.transaction_id, status)
        if status == TxValidationCode.VALID:
            told.sums.setdefault(account, []).append(int(transaction.result))


async def _submit_until_known(transaction: Transaction, told: Told) -> int:
    told.unknown.add(transaction.transaction_id)
    while True:
        try:
            commit = await transaction.submit()
            return (await commit.status(timeout_s=10)).code
        except (SubmitError, CommitStatusError) as error:
            told.refusals[f"{type(error).__name__} {error.code.name}"] += 1
            await asyncio.sleep(PAUSE_SECONDS)


async def keep_putting(contract: Contract, prefix: str, told: Told, in_flight: int = 8) -> None:
    """Put new keys in a pipeline until cancelled."""

    def calls() -> Iterator[tuple[str, str, str]]:
        for number in itertools.count():
            yield ("Put", f"{prefix}-{number}", str(number))

    async for outcome in contract.submit_many(calls(), in_flight=in_flight):
        if isinstance(outcome.error, TransactionError):
            told.fail(outcome.error)
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            told.tell(outcome.get().transaction_id, TxValidationCode.VALID)
