"""Which hashed keys live for a limited time, and which reach its end with a block.

A key written in block N to a collection with block-to-live b leaves the state at the end of block
N+b+1, unless it was written again meanwhile. The removal is no part of the commit hash, but later
reads depend on it (fabric core/ledger/kvledger/txmgmt/pvtstatepurgemgmt/purge_mgr.go).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from tongban.node.core.commit_input import Expiry, StateKey
from tongban.node.core.state import UpdateBatch, split_namespace

_NEVER = 0xFFFF_FFFF_FFFF_FFFF
"""The largest block number; what would expire later, or exactly there, never does."""


class ExpirySchedule(Protocol):
    """What earlier blocks scheduled."""

    def find_expired(self, block_num: int) -> Iterable[StateKey]:
        """The keys whose time ends with this block and that no earlier block wrote again."""
        ...


class NothingExpires:
    """The schedule of a channel on which nothing was ever scheduled."""

    def find_expired(self, block_num: int) -> Iterable[StateKey]:
        return ()


BlocksToLive = Callable[[str, str], int]
"""Block-to-live of (namespace, collection) as defined before the block; 0 means for ever."""


def expires_at(block_num: int, blocks_to_live: int) -> int | None:
    """The block at whose end a key written in ``block_num`` goes; None if it stays."""
    if blocks_to_live == 0:
        return None
    block = block_num + blocks_to_live + 1
    return block if block < _NEVER else None


def schedule(block_num: int, updates: UpdateBatch, lives: BlocksToLive) -> Iterator[Expiry]:
    """What this block's hashed writes add to the schedule."""
    for stored, changes in updates.values.items():
        namespace, collection, hashed = split_namespace(stored)
        if collection is None or not hashed:
            continue
        block = expires_at(block_num, lives(namespace, collection))
        if block is None:
            continue
        for key, value in changes.items():
            if value is not None:
                yield Expiry(block, stored, key)


def spare_written(expired: Iterable[StateKey], updates: UpdateBatch) -> Iterator[StateKey]:
    """The expired keys that the block itself does not write."""
    return (key for key in expired if not updates.touches(key.namespace, key.key))
