"""One channel of a peer: its ledger, its configuration, and everybody who waits for its blocks.

Blocks are judged and stored one after the other; whoever is told of a block is told after it is on
disk. The ledger's writer thread does the waiting for the disk.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tongban.node.core.block import parse_block
from tongban.node.core.channel import ChannelConfig, policy_for
from tongban.node.core.channel.acl import refusal_of
from tongban.node.core.errors import AccessDenied, ShuttingDown
from tongban.node.core.events import chaincode_events
from tongban.node.core.gateway.layouts import LayoutFinder
from tongban.node.core.gateway.plan import Layout
from tongban.node.core.lifecycle.state_layout import LIFECYCLE_NAMESPACE
from tongban.node.core.lru import LruCache
from tongban.node.core.policy import SignatureVerifier, SignedBy, evaluate_signatures
from tongban.node.runtime.block_processor import BlockProcessor, ProcessedBlock
from tongban.node.runtime.block_source import ChannelBlocks
from tongban.node.runtime.commits import CommitFeed, CommitStatus
from tongban.node.runtime.gateway.ports import OrderingRoute
from tongban.node.runtime.private_values import PrivateValues
from tongban.node.storage.layout import TxLocation
from tongban.node.storage.ledger import Ledger
from tongban.node.storage.snapshot import StateSnapshot
from tongban.protos.chaincode_event_pb2 import ChaincodeEvent
from tongban.protos.proposal_response_pb2 import ChaincodeInterest
from tongban.protos.transientstore_pb2 import TxPvtReadWriteSetWithConfigInfo

EVENTS_OF_BLOCKS_MAX = 64
"""Blocks whose events stay in memory, since many clients read the newest ones."""

EVENTS_BYTES_MAX = 256 * 1024
"""Bytes of the events of one block that stay in memory; larger ones are read from the block again,
so that no channel's events take more than 16 MiB."""

LAYOUTS_MAX = 1_024
"""Interests whose layouts stay in memory. Most calls of a chaincode have the same few."""

_log = logging.getLogger(__name__)

OnCommitted = Callable[[ProcessedBlock], None]


class Channel:
    """Implements what the endorser, the gateway and the deliver services ask of a channel."""

    def __init__(
        self,
        channel_id: str,
        ledger: Ledger,
        processor: BlockProcessor,
        verifier: SignatureVerifier,
        private: PrivateValues,
    ) -> None:
        """``ledger`` holds at least block 0, and ``processor`` has its configuration."""
        self.channel_id = channel_id
        self.verifier = verifier
        self._private = private
        self._ledger = ledger
        self._processor = processor
        self._writer = ThreadPoolExecutor(1, f"ledger-{channel_id}")
        self._events: LruCache[int, Sequence[ChaincodeEvent]] = LruCache(EVENTS_OF_BLOCKS_MAX)
        self._layouts = _no_layouts()
        self._on_committed: list[OnCommitted] = []
        self._orderers: OrderingRoute | None = None
        self._current: StateSnapshot | None = None
        """What all simulations between two blocks share."""
        self.feed = CommitFeed()
        self.blocks = ChannelBlocks(ledger.height, ledger.get_block, lambda: self.config)

    @property
    def config(self) -> ChannelConfig:
        return self._processor.config

    @property
    def height(self) -> int:
        return self.blocks.height

    @property
    def commit_hash(self) -> bytes:
        return self._ledger.commit_hash

    @property
    def last_header_hash(self) -> bytes:
        return self._ledger.last_header_hash

    @property
    def config_block_num(self) -> int:
        return self._ledger.config_block_num

    @property
    def orderers(self) -> OrderingRoute:
        assert self._orderers is not None, "the route to the orderers is set before serving"
        return self._orderers

    def use_orderers(self, route: OrderingRoute) -> None:
        self._orderers = route

    def when_committed(self, call: OnCommitted) -> None:
        """``call`` is called after every block, on the event loop."""
        self._on_committed.append(call)

    async def commit_block(self, raw: bytes) -> None:
        """Judge the next block and make it part of the ledger.

        Raises:
            BlockRefused, MalformedMessage: nothing changed; ask another orderer.
            CorruptLedgerError, StorageFailure: the node must stop.
        """
        with self._ledger.snapshot() as before:
            processed = await self._processor.process(
                raw, self._ledger.height, self._ledger.last_header_hash, before
            )
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer, self._store, processed)
        self._tell(processed)

    def _store(self, processed: ProcessedBlock) -> None:
        self._ledger.commit(processed.commit)
        self._private.settle(processed.commit)

    def _tell(self, processed: ProcessedBlock) -> None:
        commit, number = processed.commit, processed.commit.number
        if processed.verdict.config_refusal:
            _log.error(
                "channel=%s block=%d configuration not applied: %s",
                self.channel_id,
                number,
                processed.verdict.config_refusal,
            )
        if commit.config is not None or LIFECYCLE_NAMESPACE in commit.updates.values:
            self._layouts = _no_layouts()
        self._drop_snapshot()
        self._keep_events(number, chaincode_events(processed.block, commit.flags))
        self.blocks.advance(number, commit.block)
        self.feed.publish(number, zip(commit.tx_ids, commit.flags, strict=True))
        for call in self._on_committed:
            call(processed)

    async def hold_private(self, tx_id: str, private: TxPvtReadWriteSetWithConfigInfo) -> None:
        """The private values of an endorsement are durable here. Handing them to other peers is
        not part of this release: only what this organization endorsed itself is kept."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer, self._private.hold, tx_id, self.height, private)

    def snapshot(self) -> StateSnapshot:
        current = self._current
        if current is None:
            current = self._current = self._ledger.snapshot()
        return current.share()

    def _drop_snapshot(self) -> None:
        """Simulations from here on see what has been committed meanwhile."""
        current, self._current = self._current, None
        if current is not None:
            current.close()

    def has_tx(self, tx_id: str) -> bool:
        return self._ledger.has_tx(tx_id)

    def find_transaction(self, tx_id: str) -> TxLocation | None:
        return self._ledger.find_transaction(tx_id)

    def find_block_num(self, header_hash: bytes) -> int | None:
        return self._ledger.find_block_num(header_hash)

    def find_position(self, tx_id: str) -> tuple[int, int] | None:
        """Block and place in the block of a committed transaction."""
        found = self._ledger.find_transaction(tx_id)
        return None if found is None else (found.block_num, found.tx_num)

    def get_block(self, number: int) -> bytes:
        return self.blocks.find_recent_block(number) or self._ledger.get_block(number)

    def orderer_msp_id(self, address: str) -> str:
        return self.config.orderer_msp_id(address)

    def check_access(self, resource: str, signed: SignedBy) -> None:
        """Raises AccessDenied unless the channel's policy for the resource is satisfied."""
        config = self.config
        policy = policy_for(config, resource)
        verdict = evaluate_signatures(policy, [signed], config.msps, self.verifier)
        if not verdict.satisfied:
            raise AccessDenied(refusal_of(config, resource, verdict.reason))

    def layouts(self, interest: ChaincodeInterest, protect_transient: bool = False) -> list[Layout]:
        key = (interest.SerializeToString(deterministic=True), protect_transient)
        found = self._layouts.find(key)
        if found is None:
            with self._ledger.snapshot() as state:
                found = LayoutFinder(self.config, state).layouts(interest, protect_transient)
            self._layouts.put(key, found)
        return found

    def subscribe(self, tx_id: str) -> asyncio.Future[CommitStatus]:
        verdict = self.feed.subscribe(tx_id)
        found = self._ledger.find_transaction(tx_id)
        # A block that is on disk and not told of yet is not in what simulations see either.
        if found is not None and found.block_num < self.height:
            verdict.set_result(CommitStatus(found.code, found.block_num))
        return verdict

    def unsubscribe(self, tx_id: str, verdict: asyncio.Future[CommitStatus]) -> None:
        self.feed.unsubscribe(tx_id, verdict)

    async def wait_for_block(self, number: int) -> None:
        while number >= self.height and not self.blocks.is_closed:
            await self.blocks.wait_for(number)
        if self.blocks.is_closed:
            raise ShuttingDown("the node is shutting down")

    async def chaincode_events(self, number: int) -> Sequence[ChaincodeEvent]:
        """Events of the valid transactions of a committed block, in block order."""
        found = self._events.find(number)
        if found is None:
            found = await asyncio.to_thread(self._read_events, number)
            self._keep_events(number, found)
        return found

    def _read_events(self, number: int) -> Sequence[ChaincodeEvent]:
        block = parse_block(self._ledger.get_block(number))
        return chaincode_events(block, block.flags)

    def _keep_events(self, number: int, events: Sequence[ChaincodeEvent]) -> None:
        if sum(event.ByteSize() for event in events) <= EVENTS_BYTES_MAX:
            self._events.put(number, events)

    def close(self) -> None:
        """Sessions end and the ledger is closed after what it is writing."""
        self.blocks.close()
        self._writer.shutdown(wait=True)
        self._drop_snapshot()
        self._ledger.close()
        self._private.close()


def _no_layouts() -> LruCache[tuple[bytes, bool], list[Layout]]:
    return LruCache(LAYOUTS_MAX)


def channel_directories(data: Path) -> Iterator[tuple[str, Path]]:
    """The ledgers in a peer's data directory: channel id and folder."""
    root = data / "channels"
    if root.is_dir():
        for directory in sorted(root.iterdir()):
            if directory.is_dir() and not directory.name.startswith("."):
                yield directory.name, directory
