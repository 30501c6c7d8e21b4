"""The first block of a channel: taken as it is, since nothing before it could vouch for it.

Whoever joins a channel chooses to trust this block; it must only be whole
(fabric core/peer/peer.go, createChannel).
"""

from tongban.node.core.block import BlockRefused, ParsedBlock
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.state import (
    CONFIG_KEY,
    CONFIG_NAMESPACE,
    UpdateBatch,
    Version,
    VersionedValue,
)
from tongban.node.core.validation.verdict import BlockVerdict
from tongban.protos.codec import parse
from tongban.protos.configtx_pb2 import ConfigEnvelope
from tongban.protos.digest import compute_data_hash
from tongban.protos.transaction_pb2 import TxValidationCode


def accept_genesis(block: ParsedBlock) -> BlockVerdict:
    """The verdict on block 0, with the channel's first configuration.

    Raises:
        BlockRefused: it is not a first block, or its data is not what its header says.
        InvalidConfig, UnsupportedCapability, MalformedMessage: its configuration cannot be used.
    """
    _check_whole(block)
    transaction = block.transactions[0]
    assert transaction.header is not None
    envelope = parse(ConfigEnvelope, transaction.data)
    channel = ChannelConfig.from_envelope(envelope, transaction.header.channel_id)
    channel.check_supported()
    updates = UpdateBatch()
    updates.put(CONFIG_NAMESPACE, CONFIG_KEY, VersionedValue(transaction.data, Version(0, 0)))
    return BlockVerdict(
        flags=bytes([TxValidationCode.VALID]),
        tx_ids=(transaction.index_id,),
        updates=updates,
        history=(),
        expiries=(),
        expired=(),
        purges=(),
        private_hashes=(),
        config=transaction.data,
        channel=channel,
        config_refusal="",
    )


def _check_whole(block: ParsedBlock) -> None:
    if block.number != 0 or block.previous_hash:
        raise BlockRefused(block.number, "expected number 0 and no previous hash")
    if not block.is_config:
        raise BlockRefused(0, "expected one configuration transaction and nothing else")
    data_hash = compute_data_hash(block.data)
    if data_hash != block.data_hash:
        raise BlockRefused(
            0, f"the data hashes to {data_hash.hex()}, the header says {block.data_hash.hex()}"
        )
