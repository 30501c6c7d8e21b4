"""Readings of histograms, and what is taken from them."""

import pytest

from tests.bench.machine import grown, quantile


def buckets(**counts: float) -> dict[str, float]:
    """``b1=5`` is the cumulative count of everything up to 1."""
    return {f'{{le="{name[1:]}.0"}}': count for name, count in counts.items()}


def test_only_what_came_between_two_readings_counts() -> None:
    before = buckets(b1=0, b10=1000)
    after = buckets(b1=100, b10=1100)
    assert quantile(after, 0.99) > 9
    assert quantile(grown(before, after), 0.99) == pytest.approx(0.99)


def test_a_label_that_is_new_has_grown_from_nothing() -> None:
    assert grown({}, {"a": 3.0}) == {"a": 3.0}


def test_a_share_lies_within_its_bucket_in_proportion() -> None:
    assert quantile(buckets(b1=50, b3=100), 0.75) == pytest.approx(2.0)


def test_beyond_the_highest_bound_the_bound_is_what_is_known() -> None:
    assert quantile(buckets(b1=10) | {'{le="+Inf"}': 100.0}, 0.99) == 1.0


def test_nothing_measured_is_no_lag() -> None:
    assert quantile({}, 0.99) == 0.0
    assert quantile(buckets(b1=0, b2=0), 0.99) == 0.0
