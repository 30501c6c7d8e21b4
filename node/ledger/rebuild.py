"""A ledger's state made once more from its blocks, aside, and compared record by record."""

import hashlib
from collections.abc import Iterable, Iterator

from tongban.node.core.commit_input import CommitInput, Expiry, StateKey
from tongban.node.core.state import UpdateBatch, hashed_namespace
from tongban.node.core.validation.audit import Examination
from tongban.node.storage import layout
from tongban.node.storage.changes import build_changes
from tongban.node.storage.kvstore import KeyValueStore, Readable
from tongban.node.storage.private import scan_all_private
from tongban.node.storage.snapshot import StateView

RECORDS = (b"b", b"")
"""The keys that follow from the blocks alone, start and stop; private values come before them."""

_KINDS = {
    b"b": "place of a block",
    b"d": "state",
    b"e": "expiry",
    b"g": "header hash",
    b"h": "history",
    b"s": "savepoint",
    b"t": "transaction id",
}


class RebuiltState(StateView):
    """The state of the blocks examined so far. Call :meth:`expect` before each is accepted."""

    def __init__(self, store: KeyValueStore) -> None:
        super().__init__(store, _no_blocks)
        self._rebuilt = store
        self._expected: tuple[Examination, layout.Location] | None = None
        self._config_block_num = 0

    def expect(self, examination: Examination, location: layout.Location) -> None:
        """The next block, and where its record is."""
        self._expected = (examination, location)

    def add_block(
        self,
        number: int,
        updates: UpdateBatch,
        tx_ids: Iterable[str | None],
        expiries: Iterable[Expiry],
        expired: Iterable[StateKey],
    ) -> None:
        assert self._expected is not None
        examination, location = self._expected
        self._expected = None
        verdict = examination.verdict
        given = CommitInput(
            number=number,
            block=b"",
            header_hash=examination.block.header_hash,
            flags=verdict.flags,
            tx_ids=tuple(tx_ids),
            updates=updates,
            commit_hash=examination.commit_hash,
            history=verdict.history,
            config=verdict.config,
            expiries=tuple(expiries),
            expired=tuple(expired),
        )
        if verdict.config is not None:
            self._config_block_num = number
        savepoint = layout.Savepoint.after(given, location, self._config_block_num)
        due = list(self.due_keys(number))
        self._rebuilt.write(build_changes(given, location, savepoint, due, self.has_tx), False)


def _no_blocks(number: int) -> bytes:
    raise AssertionError(f"block {number} was asked for")


def compare_records(rebuilt: Readable, stored: Readable) -> Iterator[tuple[str, str]]:
    """Kind and difference of each record that is not the same in both; kind alone, with an empty
    difference, of each that is."""
    ours, theirs = rebuilt.iterate(*RECORDS), stored.iterate(*RECORDS)
    our, their = next(ours, None), next(theirs, None)
    while our or their:
        if their is None or (our is not None and our[0] < their[0]):
            assert our is not None
            yield _kind(our[0]), f"{_shown(our[0])} is missing"
            our = next(ours, None)
        elif our is None or their[0] < our[0]:
            yield _kind(their[0]), f"{_shown(their[0])} does not follow from the blocks"
            their = next(theirs, None)
        else:
            difference = ""
            if our[1] != their[1]:
                difference = f"{_shown(our[0])}: expected {our[1].hex()}, found {their[1].hex()}"
            yield _kind(our[0]), difference
            our, their = next(ours, None), next(theirs, None)


def _kind(key: bytes) -> str:
    return _KINDS.get(key[:1], "unknown record")


def _shown(key: bytes) -> str:
    return f"{_kind(key)} {key[1:]!r}"


def compare_private(stored: Readable) -> Iterator[str]:
    """For each current private value an empty text, or why it is not the one whose digest is in
    the state. A value that the state has moved on from is none of that: its successor never came
    to this peer."""
    view = StateView(stored, _no_blocks)
    for namespace, collection, key, value in scan_all_private(stored):
        key_hash = hashlib.sha256(key).digest()
        hashed = view.get(hashed_namespace(namespace, collection), key_hash)
        is_current = hashed is not None and hashed.version == value.version
        if hashed is None:
            yield f"{namespace} {collection} {key!r}: the state holds no digest of it"
        elif is_current and hashed.value != hashlib.sha256(value.value).digest():
            yield f"{namespace} {collection} {key!r}: the state holds the digest of another value"
        else:
            yield ""
