"""The block cutter against what it promises, for any envelopes, limits and moments."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from tongban.node.core.blockcutter import BatchLimits, BlockCutter


class Item(NamedTuple):
    serial: int
    size_bytes: int


LIMITS = st.builds(
    BatchLimits,
    count_max=st.integers(1, 6),
    bytes_preferred_max=st.integers(1, 60),
    timeout_ms=st.sampled_from([0.0, 5.0, 50.0]),
    pace_ms=st.sampled_from([0.0, 3.0]),
)
STEPS = st.lists(
    st.one_of(
        st.integers(0, 80),  # an envelope of that many bytes arrives
        st.tuples(st.booleans(), st.integers(0, 30)),  # time passes, then a cut is tried
    ),
    max_size=60,
)


@given(limits=LIMITS, steps=STEPS)
def test_envelopes_come_out_once_in_order_and_within_the_limits(
    limits: BatchLimits, steps: list[int | tuple[bool, int]]
) -> None:
    cutter: BlockCutter[Item] = BlockCutter(limits)
    added: list[Item] = []
    batches: list[list[Item]] = []
    now_ms = 0.0
    for step in steps:
        if isinstance(step, int):
            added.append(Item(len(added), step))
            cutter.add(added[-1], now_ms)
            continue
        idle, passed_ms = step
        now_ms += passed_ms
        batch = cutter.cut(engine_idle=idle, now_ms=now_ms)
        if batch is not None:
            batches.append(batch)
    while (batch := cutter.cut(engine_idle=True, now_ms=now_ms + 1_000)) is not None:
        batches.append(batch)

    assert cutter.is_empty
    assert [item for batch in batches for item in batch] == added
    for batch in batches:
        assert 0 < len(batch) <= limits.count_max
        size = sum(item.size_bytes for item in batch)
        assert size <= limits.bytes_preferred_max or len(batch) == 1


@given(limits=LIMITS, sizes=st.lists(st.integers(0, 80), min_size=1, max_size=20))
def test_nothing_waits_longer_than_the_batch_timeout_even_when_the_engine_is_busy(
    limits: BatchLimits, sizes: list[int]
) -> None:
    cutter: BlockCutter[Item] = BlockCutter(limits)
    for serial, size in enumerate(sizes):
        cutter.add(Item(serial, size), 100.0)
    taken = 0
    while (batch := cutter.cut(engine_idle=False, now_ms=100.0 + limits.timeout_ms)) is not None:
        taken += len(batch)
    assert taken == len(sizes)
