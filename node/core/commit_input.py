"""What a validated block changes, in the form the ledger stores.

Validation produces it, the ledger writes it, and recovery produces it again from the stored block;
so it is plain data and says nothing about disks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tongban.node.core.state import UpdateBatch


class HistoryEntry(NamedTuple):
    """A valid transaction of this block wrote (or deleted) a public key."""

    namespace: str
    key: bytes
    tx_num: int


class Expiry(NamedTuple):
    """A key of a hashed namespace, written in this block, that lives for a limited time.

    It is due at the end of block ``expires_at_block``: the block of the write plus the collection's
    block-to-live plus one (fabric core/ledger/pvtdatapolicy/btlpolicy.go).
    """

    expires_at_block: int
    namespace: str
    key: bytes


class StateKey(NamedTuple):
    namespace: str
    key: bytes


class PrivateSet(NamedTuple):
    """Private writes of one transaction to one collection, as endorsed.

    ``rwset`` is a serialized ``kvrwset.KVRWSet`` whose digest the block holds. ``expires_at_block``
    is None if the collection keeps its values for ever.
    """

    tx_num: int
    namespace: str
    collection: str
    rwset: bytes
    expires_at_block: int | None = None


class PurgedKey(NamedTuple):
    """A private key whose earlier values a valid transaction wants forgotten, also those of the
    past."""

    tx_num: int
    namespace: str
    collection: str
    key_hash: bytes


@dataclass(frozen=True, slots=True)
class CommitInput:
    """Everything the ledger needs to make a block part of itself.

    ``block`` is a serialized ``common.Block`` with its final metadata (flags and commit hash).
    ``tx_ids`` has one entry per transaction, None where there is no id. ``commit_hash`` is empty
    for block 0. ``config`` is the serialized ConfigEnvelope if the block changed the configuration.
    ``expired`` are the keys that were due at this block and that neither an earlier block nor this
    one overwrote.
    """

    number: int
    block: bytes
    header_hash: bytes
    flags: bytes
    tx_ids: Sequence[str | None]
    updates: UpdateBatch
    commit_hash: bytes = b""
    history: Sequence[HistoryEntry] = ()
    config: bytes | None = None
    expiries: Sequence[Expiry] = ()
    expired: Sequence[StateKey] = ()
    private_sets: Sequence[PrivateSet] = ()
    purges: Sequence[PurgedKey] = ()
