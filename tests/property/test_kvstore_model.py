"""LevelDB and the in-memory store are one machine: whatever is done, both answer the same."""

import itertools
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tongban.node.storage.kvstore import KeyValueSnapshot, KeyValueStore, prefix_end
from tongban.node.storage.leveldb import SMALL_OPTIONS, LevelDBStore
from tongban.node.storage.memory import MemoryStore

keys = st.binary(min_size=1, max_size=3) | st.sampled_from(
    [b"a", b"a\x00", b"a\xff", b"\xff", b"\xff\xff"]
)
values = st.binary(max_size=8)
changes = st.lists(st.tuples(keys, st.none() | values), max_size=8)
bounds = st.just(b"") | keys


class TwoStores(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "db"
        self.memory: KeyValueStore = MemoryStore()
        self.level: KeyValueStore = LevelDBStore(self.path, SMALL_OPTIONS)
        self.snapshots: list[tuple[KeyValueSnapshot, KeyValueSnapshot]] = []

    def teardown(self) -> None:
        self.close_snapshots()
        self.level.close()
        self.folder.cleanup()

    def close_snapshots(self) -> None:
        for memory, level in self.snapshots:
            memory.close()
            level.close()
        self.snapshots = []

    @rule(batch=changes, sync=st.booleans())
    def write(self, batch: list[tuple[bytes, bytes | None]], sync: bool) -> None:
        self.memory.write(batch, sync)
        self.level.write(batch, sync)

    @rule(key=keys)
    def get(self, key: bytes) -> None:
        assert self.memory.get(key) == self.level.get(key)
        for memory, level in self.snapshots:
            assert memory.get(key) == level.get(key)

    @rule(start=bounds, stop=bounds, reverse=st.booleans())
    def iterate(self, start: bytes, stop: bytes, reverse: bool) -> None:
        for memory, level in [(self.memory, self.level), *self.snapshots]:
            expected = list(memory.iterate(start, stop, reverse))
            assert list(level.iterate(start, stop, reverse)) == expected

    @rule(batch=changes)
    def an_iterator_shows_the_moment_it_was_made(
        self, batch: list[tuple[bytes, bytes | None]]
    ) -> None:
        memory, level = self.memory.iterate(b"", b""), self.level.iterate(b"", b"")
        self.write(batch, False)
        assert list(memory) == list(level)

    @precondition(lambda self: len(self.snapshots) < 3)
    @rule()
    def snapshot(self) -> None:
        self.snapshots.append((self.memory.snapshot(), self.level.snapshot()))

    @rule(bounds=st.sampled_from([(b"", b""), (b"a", b"b"), (b"\x01", b"")]))
    def erase(self, bounds: tuple[bytes, bytes]) -> None:
        self.memory.erase_deleted(*bounds)
        self.level.erase_deleted(*bounds)

    @rule()
    def open_anew(self) -> None:
        self.close_snapshots()
        self.level.close()
        self.level = LevelDBStore(self.path, SMALL_OPTIONS)

    @invariant()
    def contents_are_equal(self) -> None:
        everything = list(self.memory.iterate(b"", b""))
        assert list(self.level.iterate(b"", b"")) == everything
        assert [key for key, _ in everything] == sorted(key for key, _ in everything)


TestTwoStores = TwoStores.TestCase
TestTwoStores.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_the_end_of_a_prefix_is_behind_every_key_with_it_and_before_all_others() -> None:
    letters = [b"", b"\x00", b"a", b"\xfe", b"\xff"]
    everything = {b"".join(parts) for parts in itertools.product(letters, repeat=3)}
    for prefix in everything - {b""}:
        end = prefix_end(prefix)
        inside = {key for key in everything if key >= prefix and (not end or key < end)}
        assert inside == {key for key in everything if key.startswith(prefix)}
