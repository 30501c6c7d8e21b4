"""Private values of this peer between endorsement and commit."""

from collections.abc import Sequence

from tongban.node.core.commit_input import CommitInput, PrivateSet
from tongban.node.core.private_selection import select_private
from tongban.node.core.validation.verdict import BlockVerdict, PrivateHash
from tongban.node.storage.transient import TransientStore
from tongban.protos.transientstore_pb2 import TxPvtReadWriteSetWithConfigInfo

PURGE_EVERY_BLOCKS = 1_000
"""How often values of transactions that never came are looked for."""


class PrivateValues:
    """What was endorsed with private writes and is not committed yet, for one channel."""

    def __init__(self, store: TransientStore, msp_id: str) -> None:
        self._store = store
        self._msp_id = msp_id
        self._held = store.tx_ids()

    def hold(self, tx_id: str, height: int, private: TxPvtReadWriteSetWithConfigInfo) -> None:
        """The values are durable. Blocks; ``height`` is that of the ledger now."""
        self._store.put(tx_id, height, private.SerializeToString())
        self._held.add(tx_id)

    def find(self, verdict: BlockVerdict) -> Sequence[PrivateSet]:
        """The values to keep with a block's valid transactions, in their order."""
        wanted: dict[int, list[PrivateHash]] = {}
        for item in verdict.private_hashes:
            wanted.setdefault(item.tx_num, []).append(item)
        found: list[PrivateSet] = []
        for tx_num, items in wanted.items():
            tx_id = verdict.tx_ids[tx_num]
            if tx_id is not None and tx_id in self._held:
                endorsed = [one.data for one in self._store.find(tx_id)]
                found.extend(select_private(items, endorsed, self._msp_id))
        return found

    def settle(self, commit: CommitInput) -> None:
        """The block is on disk: nothing waits for its transactions any more."""
        settled = self._held.intersection(tx_id for tx_id in commit.tx_ids if tx_id is not None)
        if settled:
            self._store.purge(settled)
            self._held -= settled
        if commit.number % PURGE_EVERY_BLOCKS == 0:
            self._store.purge_old(commit.number)

    def close(self) -> None:
        self._store.close()
