"""What a range query read, in full or as a Merkle summary.

Up to the degree, the rows are kept as they are. Beyond it, each group of degree + 1 rows is
hashed, and hashes are hashed in groups again, so that a scan of any length leaves at most degree
hashes in the read set. Validation builds the same summary from the state and compares
(fabric core/ledger/kvledger/txmgmt/rwsetutil/query_results_helper.go).
"""

from typing import NamedTuple

from tongban.node.core.state import Version
from tongban.protos import kvrwset_pb2
from tongban.protos.digest import sha256

MERKLE_DEGREE = 50
"""Rows kept as they are; hashes kept at one level of the tree
(fabric core/ledger/kvledger/txmgmt/txmgr/query_executor.go)."""


class MerkleSummary(NamedTuple):
    """The hashes at the top of the tree."""

    max_degree: int
    max_level: int
    """1 is the level of the hashes of rows."""

    max_level_hashes: tuple[bytes, ...]


class RangeReads:
    """Collects the rows of one range query."""

    __slots__ = ("_degree", "_levels", "_pending")

    def __init__(self, degree: int = MERKLE_DEGREE) -> None:
        assert degree >= 2, "a tree of degree 1 would not shrink"
        self._degree = degree
        self._pending: list[tuple[str, Version]] = []
        self._levels: list[list[bytes]] = []
        """Hashes not yet combined, level 1 first."""

    def add(self, key: str, version: Version) -> None:
        """One more row was read."""
        self._pending.append((key, version))
        if len(self._pending) > self._degree:
            self._hash_pending()

    def finish(self) -> tuple[list[tuple[str, Version]], MerkleSummary | None]:
        """The rows, if they are few; otherwise no rows and their summary. Call it once."""
        if not self._levels:
            return self._pending, None
        if self._pending:
            self._hash_pending()
        self._combine_upwards()
        return [], MerkleSummary(self._degree, len(self._levels), tuple(self._levels[-1]))

    def _hash_pending(self) -> None:
        reads = kvrwset_pb2.QueryReads()
        for key, version in self._pending:
            add_read(reads.kv_reads.add(), key, version)
        self._pending = []
        self._append(0, sha256(reads.SerializeToString()))

    def _append(self, level: int, digest: bytes) -> None:
        while True:
            if level == len(self._levels):
                self._levels.append([])
            hashes = self._levels[level]
            hashes.append(digest)
            if len(hashes) <= self._degree:
                return
            digest = sha256(b"".join(hashes))
            self._levels[level] = []
            level += 1

    def _combine_upwards(self) -> None:
        for level in range(len(self._levels) - 1):
            hashes = self._levels[level]
            if not hashes:
                continue
            self._levels[level] = []
            self._levels[level + 1].append(
                hashes[0] if len(hashes) == 1 else sha256(b"".join(hashes))
            )
        top = self._levels[-1]
        if len(top) > self._degree:
            self._levels[-1] = []
            self._levels.append([sha256(b"".join(top))])


def add_read(read: kvrwset_pb2.KVRead, key: str, version: Version | None) -> None:
    """Fill in a read; a key that was absent has no version at all, which differs from (0, 0)."""
    read.key = key
    if version is not None:
        read.version.SetInParent()
        read.version.block_num, read.version.tx_num = version
