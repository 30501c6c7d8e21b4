"""The channels of a peer: opened at start, joined later, closed at the end."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

from tongban.node.core.channel import ChannelConfig
from tongban.node.core.errors import ChannelExists, InvalidConfig, UnknownChannel
from tongban.node.core.policy import SignatureVerifier
from tongban.node.runtime.block_processor import BlockProcessor
from tongban.node.runtime.channel import Channel, channel_directories
from tongban.node.runtime.private_values import PrivateValues
from tongban.node.storage.ledger import Ledger
from tongban.node.storage.transient import TransientStore
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import Block

OnJoined = Callable[[Channel], None]
"""Starts what a channel needs: its follower, its route to the orderers."""


class Channels:
    """Implements ``channel_access.PeerChannels``."""

    def __init__(
        self, data: Path, msp_id: str, verifier: SignatureVerifier, pool: Executor
    ) -> None:
        self._data = data
        self._msp_id = msp_id
        self._verifier = verifier
        self._pool = pool
        self._open: dict[str, Channel] = {}
        self._on_joined: OnJoined | None = None

    def when_joined(self, call: OnJoined) -> None:
        """``call`` is called for every channel that is open and for those joined later."""
        self._on_joined = call
        for channel in self._open.values():
            call(channel)

    def open_all(self) -> None:
        """Open every channel in the data directory. Recovery may take a while; it blocks."""
        for channel_id, directory in channel_directories(self._data):
            if channel_id not in self._open:
                self._open[channel_id] = self._open_one(channel_id, directory, None)

    def join_at_start(self, genesis: bytes) -> None:
        """Open the channel that this block 0 starts, and make its ledger if there is none.

        Raises:
            InvalidConfig: the channel exists here with another block 0.
        """
        channel_id = ChannelConfig.from_genesis(parse(Block, genesis)).channel_id
        channel = self._open.get(channel_id)
        if channel is None:
            directory = self._data / "channels" / channel_id
            self._open[channel_id] = self._open_one(channel_id, directory, genesis)
        elif parse(Block, channel.get_block(0)).header != parse(Block, genesis).header:
            raise InvalidConfig(
                f"genesis block of {channel_id}",
                "the channel exists here with another one; give the block it was joined with, or "
                "use another data directory",
            )

    async def join(self, channel_id: str, genesis: bytes) -> None:
        if channel_id in self._open:
            raise ChannelExists(channel_id)
        await asyncio.to_thread(self.join_at_start, genesis)
        if self._on_joined is not None:
            self._on_joined(self._open[channel_id])

    def find(self, channel_id: str) -> Channel | None:
        return self._open.get(channel_id)

    def get(self, channel_id: str) -> Channel:
        """Raises UnknownChannel."""
        channel = self._open.get(channel_id)
        if channel is None:
            raise UnknownChannel(channel_id)
        return channel

    def channel_ids(self) -> list[str]:
        return sorted(self._open)

    def all(self) -> list[Channel]:
        return [self._open[channel_id] for channel_id in self.channel_ids()]

    def close(self) -> None:
        for channel in self._open.values():
            channel.close()

    def _open_one(self, channel_id: str, directory: Path, genesis: bytes | None) -> Channel:
        private = PrivateValues(TransientStore.open(directory / "transient"), self._msp_id)
        processor = BlockProcessor(channel_id, self._verifier, self._pool, private.find)
        ledger = Ledger.open(directory / "ledger", processor.revalidate)
        if ledger.height == 0:
            if genesis is None:
                reason = "its ledger is empty; start once with its genesis block, or remove it"
                raise InvalidConfig(str(directory), reason)
            ledger.commit(processor.genesis(genesis).commit)
        envelope = ledger.config_envelope()
        assert envelope is not None, "a ledger with block 0 has a configuration"
        processor.start_from(envelope)
        return Channel(channel_id, ledger, processor, self._verifier, private)
