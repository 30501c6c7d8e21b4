"""Names, numbers, phones, accounts and addresses of the demo's cases are in no file of any node, in
nothing that the nodes tell of themselves, and in nothing that the demo prints."""

from collections.abc import Iterator

import pytest

from tests.support.canaries import Canaries, all_bytes
from tests.support.demo_run import DemoRun

pytestmark = pytest.mark.slow


def _everything(demo: DemoRun) -> Iterator[tuple[str, bytes]]:
    yield from all_bytes(demo.root)
    yield from demo.operations.items()
    yield "output", (demo.done.out + demo.done.err).encode()


def test_no_personal_value_is_anywhere_in_the_network(demo: DemoRun) -> None:
    values = set()
    for case in demo.cases:
        holders = [meter.holder for meter in case.meters if meter.holder is not None]
        for human in (*case.owners, *case.sellers, *case.buyers, *holders):
            values |= {human.name, human.number, human.phone}
        values |= {case.address, *(meter.number for meter in case.meters)}
        values |= {meter.address for meter in case.meters if meter.address}
    canaries = Canaries(values)
    assert len(values) > 100
    found = {
        place: leaked for place, data in _everything(demo) if (leaked := canaries.found_in(data))
    }
    assert not found


def test_what_was_looked_through_is_the_ledger(demo: DemoRun) -> None:
    """The masked forms are there, so the search above has seen states and blocks."""
    masked = demo.cases[0].buyers[0]
    shown = f"{masked.number[:3]}***********{masked.number[14:]}".encode()
    places = [place for place, data in all_bytes(demo.root) if shown in data]
    assert any(place.endswith(".seg") for place in places)
    assert any("state (entries)" in place for place in places)
    logs = [place for place, _ in all_bytes(demo.root) if place.endswith("node.log")]
    assert len(logs) == 5
