"""What is counted, and under which text."""

from tests.bench.callers import Calls, Tally

TX = "0ae3b507cab2cff1f95e620d7fdb39e02f274e9f465df7305a5a1fba6a020a9a"


def test_failures_that_differ_only_in_ids_and_blocks_are_one() -> None:
    tally = Tally()
    tally.fail(f"transaction {TX}: peers disagree: read at block 12")
    tally.fail(f"transaction {TX[::-1]}: peers disagree: read at block 345")
    assert tally.failures == {"transaction …: peers disagree: read at block …": 2}


def test_failures_for_different_reasons_stay_apart() -> None:
    tally = Tally()
    tally.fail("status 500: the asset a1 exists")
    tally.fail("status 500: the asset a2 exists")
    assert len(tally.failures) == 2


def test_every_creation_makes_an_asset_of_its_own() -> None:
    calls = Calls("create")
    made = {calls.next(caller, number)[1] for caller in range(5) for number in range(5)}
    assert len(made) == 25


def test_transfers_and_queries_take_the_asset_that_was_prepared_for_the_caller() -> None:
    for operation in ("transfer", "query"):
        calls = Calls(operation)
        asset = calls.preparation(3)[1]
        assert calls.next(3, 0)[1] == calls.next(3, 1)[1] == asset
        assert calls.next(4, 0)[1] != asset
