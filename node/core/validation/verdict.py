"""What came of validating a block, and what the ledger makes of it."""

from collections.abc import Sequence
from typing import NamedTuple

from tongban.node.core.block import METADATA_SLOTS, ParsedBlock, serialize_block
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.commit_hash import compute_block_commit_hash
from tongban.node.core.commit_input import (
    CommitInput,
    Expiry,
    HistoryEntry,
    PrivateSet,
    PurgedKey,
    StateKey,
)
from tongban.node.core.state import UpdateBatch
from tongban.node.core.transaction import Code
from tongban.protos.common_pb2 import BlockMetadataIndex as Slot
from tongban.protos.common_pb2 import Metadata


class PrivateHash(NamedTuple):
    """A transaction wrote private values to a collection; this is the digest of what it wrote."""

    tx_num: int
    namespace: str
    collection: str
    rwset_hash: bytes
    expires_at_block: int | None
    """None if the values stay for ever."""


class BlockVerdict(NamedTuple):
    """The judgement on every transaction of a block and the net effect of the valid ones."""

    flags: bytes
    """One validation code per transaction."""

    tx_ids: tuple[str | None, ...]
    """The ids under which the ledger lists the transactions, None where there is none. Ids of
    invalid transactions count as used."""

    updates: UpdateBatch
    history: tuple[HistoryEntry, ...]
    expiries: tuple[Expiry, ...]
    expired: tuple[StateKey, ...]
    purges: tuple[PurgedKey, ...]
    private_hashes: tuple[PrivateHash, ...]
    """Of valid transactions, in their order."""

    config: bytes | None
    """The serialized ConfigEnvelope, if the block changed the configuration."""

    channel: ChannelConfig
    """The configuration after this block."""

    config_refusal: str
    """Why a configuration in this block was not applied; empty if none was refused. A Go peer stops
    there, since the orderers went on with a configuration that it does not share."""

    @property
    def codes(self) -> list[Code]:
        return [Code(flag) for flag in self.flags]


def build_commit_input(
    block: ParsedBlock,
    verdict: BlockVerdict,
    previous_commit_hash: bytes,
    private_sets: Sequence[PrivateSet] = (),
) -> CommitInput:
    """The block with its final metadata, ready for the ledger. ``previous_commit_hash`` is that of
    the block before, empty for blocks 0 and 1."""
    commit_hash = b""
    if block.number:
        commit_hash = compute_block_commit_hash(
            verdict.flags, verdict.updates, previous_commit_hash
        )
    return CommitInput(
        number=block.number,
        block=_finish_block(block, verdict.flags, commit_hash),
        header_hash=block.header_hash,
        flags=verdict.flags,
        tx_ids=verdict.tx_ids,
        updates=verdict.updates,
        commit_hash=commit_hash,
        history=verdict.history,
        config=verdict.config,
        expiries=verdict.expiries,
        expired=verdict.expired,
        private_sets=private_sets,
        purges=verdict.purges,
    )


def _finish_block(block: ParsedBlock, flags: bytes, commit_hash: bytes) -> bytes:
    slots = list(block.metadata) + [b""] * (METADATA_SLOTS - len(block.metadata))
    slots[Slot.TRANSACTIONS_FILTER] = flags
    slots[Slot.COMMIT_HASH] = b""
    if commit_hash:
        slots[Slot.COMMIT_HASH] = Metadata(value=commit_hash).SerializeToString()
    return serialize_block(block, slots)
