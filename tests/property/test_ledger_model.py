"""A ledger on LevelDB against a few dictionaries: whatever is committed, both answer the same."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support.ledger_blocks import NAMESPACE, next_input, revalidate, tx_id
from tongban.node.core.state import Version, VersionedValue
from tongban.node.storage.files import RealFiles
from tongban.node.storage.ledger import Backend, Ledger

BACKEND = Backend(RealFiles(), segment_bytes_max=700)

keys = st.sampled_from(["a", "ab", "b", "\x00c", "键", "b\uffff"])
writes = st.dictionaries(keys, st.none() | st.binary(min_size=1, max_size=300), max_size=3)


class LedgerAndDictionaries(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "c"
        self.ledger = Ledger.open(self.path, revalidate, BACKEND)
        self.blocks: list[bytes] = []
        self.state: dict[bytes, VersionedValue] = {}
        self.past: dict[bytes, list[tuple[str, bytes]]] = {}

    def teardown(self) -> None:
        self.ledger.close()
        self.folder.cleanup()

    @rule(transactions=st.lists(writes, max_size=4))
    def commit(self, transactions: list[Mapping[str, bytes | None]]) -> None:
        given = next_input(self.ledger, transactions)
        self.ledger.commit(given)
        number = len(self.blocks)
        self.blocks.append(given.block)
        for tx_num, written in enumerate(transactions):
            for name, value in written.items():
                key = name.encode()
                self.past.setdefault(key, []).append((tx_id(number, tx_num), value or b""))
                self.state.pop(key, None)
                if value is not None:
                    self.state[key] = VersionedValue(value, Version(number, tx_num))

    @rule(keeps_state=st.booleans())
    def open_anew(self, keeps_state: bool) -> None:
        self.ledger.close()
        if not keeps_state:
            shutil.rmtree(self.path / "state")
        self.ledger = Ledger.open(self.path, revalidate, BACKEND)

    @rule(start=st.just("") | keys, end=st.just("") | keys, size=st.integers(1, 3))
    def pages(self, start: str, end: str, size: int) -> None:
        first, last = start.encode(), end.encode()
        expected = sorted(
            item for item in self.state.items() if first <= item[0] and (not last or item[0] < last)
        )
        found = []
        with self.ledger.snapshot() as snapshot:
            bookmark = first
            while True:
                rows, bookmark = snapshot.scan_page(NAMESPACE, bookmark, last, size)
                assert len(rows) <= size
                found.extend(rows)
                if not bookmark:
                    break
        assert found == expected

    @rule(key=keys)
    def history(self, key: str) -> None:
        found = [(past.tx_id, past.value) for past in self.ledger.history(NAMESPACE, key.encode())]
        expected = self.past.get(key.encode(), [])
        assert sorted(found) == sorted(expected)
        places = [self.ledger.find_transaction(name) for name, _ in found]
        known = [place for place in places if place is not None]
        assert places == sorted(known, reverse=True)

    @rule()
    def a_block_of_another_number_is_our_mistake_and_changes_nothing(self) -> None:
        given = replace(next_input(self.ledger, []), number=len(self.blocks) + 1)
        try:
            self.ledger.commit(given)
        except AssertionError:
            return
        raise RuntimeError("committed")

    @invariant()
    def everything_is_there(self) -> None:
        assert self.ledger.height == len(self.blocks)
        for number, block in enumerate(self.blocks):
            assert self.ledger.get_block(number) == block
        with self.ledger.snapshot() as snapshot:
            assert dict(snapshot.scan(NAMESPACE, b"", b"")) == self.state
            for key, value in self.state.items():
                assert snapshot.get(NAMESPACE, key) == value


TestLedgerAndDictionaries = LedgerAndDictionaries.TestCase
TestLedgerAndDictionaries.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None
)
