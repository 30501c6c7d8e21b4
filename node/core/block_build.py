"""An orderer's block: header, the five metadata slots, and the orderer's signature over both.

The orderer signs the metadata value, its own signature header and the header
(fabric orderer/common/multichannel/blockwriter.go). The consenter metadata has the form that Raft
orderers write, so that tools which read it find what they expect.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tongban.node.core.block import METADATA_SLOTS
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import (
    Block,
    BlockData,
    BlockHeader,
    BlockMetadata,
    LastConfig,
    Metadata,
    MetadataSignature,
    OrdererBlockMetadata,
    SignatureHeader,
)
from tongban.protos.digest import compute_data_hash, compute_header_hash, encode_block_header
from tongban.protos.errors import MalformedMessage
from tongban.protos.raft_metadata_pb2 import BlockMetadata as RaftBlockMetadata
from tongban.protos.signing import Signer


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """What the next block must know of the blocks before it."""

    height: int
    """Number of blocks; the number of the next one."""
    header_hash: bytes
    """Of the last block."""
    last_config_num: int
    """Number of the last block that holds a channel configuration."""


def read_chain_end(block: Block) -> ChainEnd:
    """The end of a chain whose last block is ``block``."""
    header = block.header
    return ChainEnd(
        header.number + 1,
        compute_header_hash(header.number, header.previous_hash, header.data_hash),
        read_last_config_num(block),
    )


def read_last_config_num(block: Block) -> int:
    """Number of the last config block as of ``block``, as its signed metadata slot says.

    Raises:
        MalformedMessage: the metadata cannot be read.
    """
    if not block.metadata.metadata:
        raise MalformedMessage("block metadata", f"block {block.header.number} has no slots")
    signed = parse(Metadata, block.metadata.metadata[0])
    return parse(OrdererBlockMetadata, signed.value).last_config.index


def build_block(
    end: ChainEnd, envelopes: Sequence[bytes], signer: Signer, nonce: bytes, log_position: int
) -> Block:
    """The signed block that follows ``end`` with these serialized envelopes.

    ``log_position`` is where the ordering engine has the batch, in the place of the Raft index.
    """
    data_hash = compute_data_hash(envelopes)
    header_bytes = encode_block_header(end.height, end.header_hash, data_hash)
    value = _metadata_value(end.last_config_num, log_position)
    signature_header = SignatureHeader(creator=signer.creator, nonce=nonce).SerializeToString()
    signature = MetadataSignature(
        signature_header=signature_header,
        signature=signer.sign(value + signature_header + header_bytes),
    )
    last_config = LastConfig(index=end.last_config_num).SerializeToString()
    slots = [b""] * METADATA_SLOTS
    slots[0] = Metadata(value=value, signatures=[signature]).SerializeToString()
    slots[1] = Metadata(value=last_config).SerializeToString()
    return Block(
        header=BlockHeader(number=end.height, previous_hash=end.header_hash, data_hash=data_hash),
        data=BlockData(data=envelopes),
        metadata=BlockMetadata(metadata=slots),
    )


def _metadata_value(last_config_num: int, log_position: int) -> bytes:
    raft = RaftBlockMetadata(consenter_ids=[1], next_consenter_id=2, raft_index=log_position)
    consenter = Metadata(value=raft.SerializeToString()).SerializeToString()
    return OrdererBlockMetadata(
        last_config=LastConfig(index=last_config_num), consenter_metadata=consenter
    ).SerializeToString()
