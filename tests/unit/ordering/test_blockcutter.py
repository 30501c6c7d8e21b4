"""When a block is cut: fabric's size rules, idle engine, pace and timeout."""

from typing import NamedTuple

from tongban.node.core.blockcutter import BatchLimits, BlockCutter


class Item(NamedTuple):
    name: str
    size_bytes: int = 10


def cutter(
    count: int = 3, size: int = 100, timeout_ms: float = 2_000, pace_ms: float = 0
) -> BlockCutter[Item]:
    return BlockCutter(BatchLimits(count, size, timeout_ms, pace_ms))


def take_all(cut: BlockCutter[Item]) -> list[list[str]]:
    out = []
    while (batch := cut.cut(engine_idle=True, now_ms=1e9)) is not None:
        out.append([item.name for item in batch])
    return out


def test_a_lone_envelope_is_cut_at_once_when_the_engine_is_idle() -> None:
    subject = cutter(pace_ms=8)
    subject.add(Item("a"), 0)
    assert subject.cut(engine_idle=True, now_ms=0) == [Item("a")]
    assert subject.is_empty


def test_an_incomplete_batch_waits_for_a_busy_engine_until_the_timeout() -> None:
    subject = cutter()
    subject.add(Item("a"), 5)
    assert subject.cut(engine_idle=False, now_ms=2_004) is None
    assert subject.cut(engine_idle=False, now_ms=2_005) == [Item("a")]


def test_a_full_batch_is_taken_even_from_a_busy_engine_and_leaves_the_rest() -> None:
    subject = cutter()
    for name in "abcd":
        subject.add(Item(name), 0)
    assert subject.cut(engine_idle=False, now_ms=0) == [Item("a"), Item("b"), Item("c")]
    assert subject.cut(engine_idle=False, now_ms=0) is None
    assert take_all(subject) == [["d"]]


def test_an_envelope_above_the_preferred_size_stands_alone_behind_what_was_pending() -> None:
    subject = cutter(size=100)
    for item in (Item("a"), Item("large", 101), Item("b")):
        subject.add(item, 0)
    assert take_all(subject) == [["a"], ["large"], ["b"]]


def test_an_envelope_that_would_overflow_the_batch_begins_the_next() -> None:
    subject = cutter(size=100)
    for item in (Item("a", 60), Item("b", 40), Item("c", 1)):
        subject.add(item, 0)
    assert take_all(subject) == [["a", "b"], ["c"]]


def test_two_blocks_of_an_idle_engine_keep_their_pace() -> None:
    subject = cutter(pace_ms=8)
    subject.add(Item("a"), 100)
    assert subject.cut(engine_idle=True, now_ms=100)
    subject.add(Item("b"), 101)
    assert subject.cut(engine_idle=True, now_ms=107) is None
    assert subject.find_due_ms(engine_idle=True) == 108
    assert subject.cut(engine_idle=True, now_ms=108) == [Item("b")]
