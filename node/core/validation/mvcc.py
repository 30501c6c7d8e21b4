"""Whether what a transaction read is still so: versions of keys, and results of range queries.

Read against the state before the block merged with the changes of the valid transactions before
this one in the block (fabric core/ledger/kvledger/txmgmt/validation/validator.go).
"""

from collections.abc import Iterable, Iterator

from tongban.node.core.range_summary import MAX_DEGREE_MIN, RangeSummary
from tongban.node.core.rwset_reader import MerkleSummary, RangeQuery, Read, TxRwSet
from tongban.node.core.state import StateReader, UpdateBatch, Version, hashed_namespace
from tongban.node.core.transaction import Code
from tongban.protos.transaction_pb2 import TxValidationCode

_VALID = TxValidationCode.VALID


def validate_reads(rwset: TxRwSet, state: StateReader, updates: UpdateBatch) -> Code:
    """VALID, MVCC_READ_CONFLICT or PHANTOM_READ_CONFLICT: the first conflict, by namespace in the
    order of the set; in each public reads, then range queries, then hashed reads."""
    for part in rwset.namespaces:
        if part.reads and not _are_current(part.namespace, part.reads, state, updates):
            return TxValidationCode.MVCC_READ_CONFLICT
        for query in part.range_queries:
            if not _is_repeatable(part.namespace, query, state, updates):
                return TxValidationCode.PHANTOM_READ_CONFLICT
        for collection in part.collections:
            if collection.reads and not _are_current(
                hashed_namespace(part.namespace, collection.collection),
                collection.reads,
                state,
                updates,
            ):
                return TxValidationCode.MVCC_READ_CONFLICT
    return _VALID


def _are_current(
    namespace: str, reads: Iterable[Read], state: StateReader, updates: UpdateBatch
) -> bool:
    """A key that the block has changed before conflicts even if its version would fit."""
    changed = updates.values.get(namespace, ())
    for key, version in reads:
        if key in changed:
            return False
        committed = state.get(namespace, key)
        if (None if committed is None else committed.version) != version:
            return False
    return True


def _is_repeatable(
    namespace: str, query: RangeQuery, state: StateReader, updates: UpdateBatch
) -> bool:
    results = scan_with_updates(namespace, query, state, updates)
    if query.summary is None:
        return _equal_results(query.reads, results)
    return _equal_summary(query.summary, results)


def _equal_results(reads: Iterable[Read], results: Iterator[tuple[bytes, Version]]) -> bool:
    """A listed result without a version equals nothing; a Go peer crashes at one."""
    for key, version in reads:
        if version is None or next(results, None) != (key, version):
            return False
    return next(results, None) is None


def _equal_summary(expected: MerkleSummary, results: Iterator[tuple[bytes, Version]]) -> bool:
    if expected.max_degree < MAX_DEGREE_MIN:
        return False
    found = RangeSummary(expected.max_degree)
    for key, version in results:
        found.add(key, version)
        if not found.pending and not found.may_become(expected):
            return False
    return found.finish() == expected


def scan_with_updates(
    namespace: str, query: RangeQuery, state: StateReader, updates: UpdateBatch
) -> Iterator[tuple[bytes, Version]]:
    """Keys and versions in the query's range, as they are after the changes so far. A range that
    was not exhausted ends with its end key, whatever that is: also when the end is empty and the
    scan went to the end of the namespace (fabric …/validation/combined_iterator.go)."""
    start, end = query.start, query.end
    changed = updates.values.get(namespace, {})
    pending = iter(
        sorted(key for key in changed if start <= key and (not end or key < end)) if changed else ()
    )
    ahead = next(pending, None)
    for key, value in state.scan(namespace, start, end):
        while ahead is not None and ahead < key:
            new = changed[ahead]
            if new is not None:
                yield ahead, new.version
            ahead = next(pending, None)
        if ahead == key:
            new = changed[key]
            ahead = next(pending, None)
            if new is not None:
                yield key, new.version
        else:
            yield key, value.version
    while ahead is not None:
        new = changed[ahead]
        if new is not None:
            yield ahead, new.version
        ahead = next(pending, None)
    if not query.exhausted:
        last = changed[end] if end in changed else state.get(namespace, end)
        if last is not None:
            yield end, last.version
