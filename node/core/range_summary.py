"""The Merkle summary of a range query's results: the same at simulation and at validation.

Results are gathered; one more than the degree makes a leaf, the SHA-256 of them serialized. A level
with more hashes than the degree is combined into one hash of the next level
(fabric core/ledger/kvledger/txmgmt/rwsetutil/query_results_helper.go).
"""

from tongban.node.core.rwset_reader import MerkleSummary
from tongban.node.core.state import Version
from tongban.protos.digest import sha256
from tongban.protos.kvrwset_pb2 import KVRead, QueryReads
from tongban.protos.kvrwset_pb2 import Version as VersionMessage

MAX_DEGREE = 50
"""Results in a leaf less one, and hashes on a level; the value every Fabric peer simulates with
(fabric core/ledger/kvledger/txmgmt/txmgr/query_executor.go)."""

MAX_DEGREE_MIN = 2
"""Below this there is no tree; a summary that claims it matches nothing."""


class RangeSummary:
    """Takes results one by one. Up to ``max_degree`` results need no summary."""

    __slots__ = ("_levels", "_max_degree", "_pending")

    def __init__(self, max_degree: int = MAX_DEGREE) -> None:
        if max_degree < MAX_DEGREE_MIN:
            raise ValueError(f"expected a degree of at least {MAX_DEGREE_MIN}, found {max_degree}")
        self._max_degree = max_degree
        self._pending: list[KVRead] = []
        self._levels: list[list[bytes]] = [[]]

    def add(self, key: bytes, version: Version) -> None:
        """Take the next result. ``key`` is the UTF-8 of a public key."""
        self._pending.append(
            KVRead(
                key=key.decode(),
                version=VersionMessage(block_num=version.block_num, tx_num=version.tx_num),
            )
        )
        if len(self._pending) > self._max_degree:
            self._add_leaf()

    @property
    def pending(self) -> list[KVRead]:
        """The results that are in no leaf: all of them as long as :meth:`finish` gives None."""
        return self._pending

    def may_become(self, expected: MerkleSummary) -> bool:
        """Whether further results could still lead to ``expected``. Levels only grow, and the top
        one is only appended to, so a difference there is final."""
        if len(self._levels) != expected.max_level:
            return len(self._levels) < expected.max_level
        top = self._levels[-1]
        return not top or (
            len(top) <= len(expected.hashes) and top[-1] == expected.hashes[len(top) - 1]
        )

    def finish(self) -> MerkleSummary | None:
        """The summary, or None if the results were few enough to be listed. To be called once."""
        if len(self._levels) == 1 and not self._levels[0]:
            return None
        if self._pending:
            self._add_leaf()
        levels = self._levels
        for level in range(len(levels) - 1):
            hashes = levels[level]
            if hashes:
                levels[level + 1].append(_combine(hashes) if len(hashes) > 1 else hashes[0])
        top = levels[-1]
        if len(top) > self._max_degree:
            return MerkleSummary(self._max_degree, len(levels) + 1, (_combine(top),))
        return MerkleSummary(self._max_degree, len(levels), tuple(top))

    def _add_leaf(self) -> None:
        leaf = sha256(QueryReads(kv_reads=self._pending).SerializeToString())
        self._pending = []
        self._levels[0].append(leaf)
        level = 0
        while len(self._levels[level]) > self._max_degree:
            combined = _combine(self._levels[level])
            self._levels[level] = []
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(combined)


def _combine(hashes: list[bytes]) -> bytes:
    return sha256(b"".join(hashes))
