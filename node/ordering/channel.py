"""A channel as its orderer keeps it: the blocks on disk, the configuration, the queue before them.

Opening one is recovery: the height, the hash that the next block refers to and the configuration in
force are all read from the blocks.
"""

from pathlib import Path

from tongban.node.core.block_build import read_last_config_num
from tongban.node.core.blockcutter import BatchLimits
from tongban.node.core.broadcast_checks import Admission
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.errors import InvalidConfig
from tongban.node.core.policy import SignatureVerifier
from tongban.node.ordering.batcher import Batcher
from tongban.node.ordering.block_log import IndexedBlockLog
from tongban.node.ordering.engine import BlockLog
from tongban.node.ordering.solo import SoloEngine
from tongban.node.runtime.block_source import ChannelBlocks
from tongban.node.storage.files import Files
from tongban.node.storage.leveldb import SMALL_OPTIONS, LevelDBStore
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import Block
from tongban.protos.signing import Signer


class OrdererChannel:
    """One channel that this process orders alone."""

    def __init__(self, log: BlockLog, signer: Signer, pace_ms: float) -> None:
        """The log holds at least the genesis block."""
        self._log = log
        self.config = read_config(log)
        self.verifier = SignatureVerifier()
        self.admission = Admission(self.config)
        self.blocks = ChannelBlocks(log.height, log.get_block, lambda: self.config)
        self.engine = SoloEngine(log, signer, self.blocks.advance)
        limits = BatchLimits(
            count_max=self.config.batch_count_max,
            bytes_preferred_max=self.config.batch_bytes_preferred_max,
            timeout_ms=self.config.batch_timeout_ms,
            pace_ms=pace_ms,
        )
        self.queue = Batcher(self.engine, limits)

    @property
    def channel_id(self) -> str:
        return self.config.channel_id

    async def close(self) -> None:
        """Close the log once nothing is being written to it. Everything ordered is durable."""
        await self.engine.close()
        self._log.close()


def read_config(log: BlockLog) -> ChannelConfig:
    """The configuration in force at the end of the log.

    Raises:
        InvalidConfig: it cannot be run on.
        UnsupportedCapability: it asks for more than this version knows.
    """
    last = parse(Block, log.get_block(log.height - 1))
    config_block = parse(Block, log.get_block(read_last_config_num(last)))
    config = ChannelConfig.from_genesis(config_block)
    config.check_supported()
    return config


def open_log(files: Files, directory: Path) -> BlockLog:
    """The block log in ``directory``, which is made, durably, if it is not there."""
    blocks = directory / "blocks"
    files.make_dirs(directory)
    files.make_dirs(blocks)
    files.sync_dir(directory)
    files.sync_dir(directory.parent)
    index = LevelDBStore(directory / "index", SMALL_OPTIONS)
    return IndexedBlockLog(files, blocks, index, reindex=index.was_repaired)


def join(log: BlockLog, genesis: bytes) -> None:
    """The log begins with this genesis block.

    Raises:
        InvalidConfig: it begins with another one, or the block is none.
    """
    block = parse(Block, genesis)
    if block.header.number != 0:
        raise InvalidConfig("genesis block", f"expected number 0, found {block.header.number}")
    ChannelConfig.from_genesis(block).check_supported()
    if log.height == 0:
        log.append(0, genesis)
    elif log.get_block(0) != genesis:
        raise InvalidConfig(
            "genesis block",
            "the channel exists here with another genesis block; give the one it was joined "
            "with, or use another data directory",
        )
