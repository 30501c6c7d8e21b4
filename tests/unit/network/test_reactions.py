"""The worker of deferred reactions, on a ledger in memory, with every kind of bad luck."""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from tests.unit.rules.departments import Archive, Electricity, Property
from tongban.contracts.rules import DEFER_HINT, PENDING
from tongban.contracts.testing import CallOptions, Ledger
from tongban.contracts.testing_rules import adopt_rules
from tongban.network.reactions import Attempt, ReactionWorker, Result, WorkerOptions
from tongban.sdk import EndorseError, ErrorDetail, EvaluateError, StatusCode
from tongban.sdk.blocking import Network

HINT = {DEFER_HINT: json.dumps(["electricity"]).encode()}


class Killed(BaseException):
    """The worker's process ends here."""


class LedgerNetwork:
    """What the worker needs of a channel, answered by a test ledger. ``mishap`` is called before
    and after every commit, with the function, and raises what goes wrong."""

    def __init__(self, ledger: Ledger, mspid: str) -> None:
        self.ledger = ledger
        self.options = CallOptions(ledger.identity(mspid, "worker"))
        self.mishap: Callable[[str, str, Sequence[str]], None] = lambda when, what, endorsing: None
        self.submitted: list[tuple[str, ...]] = []
        self.transients: list[Mapping[str, object]] = []

    def get_contract(self, name: str) -> "LedgerContract":
        return LedgerContract(self, name)


class LedgerContract:
    def __init__(self, network: LedgerNetwork, name: str) -> None:
        self._network = network
        self._name = name

    def evaluate(self, function: str, *args: object) -> bytes:
        network = self._network
        response = network.ledger.evaluate(self._name, _raw(function, args), network.options)
        if response.status >= 400:
            raise EvaluateError("id", StatusCode.UNKNOWN, response.message)
        return response.payload

    def submit(self, function: str, *args: object, **options: Any) -> bytes:
        network = self._network
        network.submitted.append((self._name, function, *map(str, args)))
        network.transients.append(options.get("transient", {}))
        endorsing = options.get("endorsing_organizations", ())
        network.mishap("before", function, endorsing)
        response = network.ledger.submit(self._name, _raw(function, args), network.options)
        if response.status >= 400:
            detail = ErrorDetail("peer", "MSP", f"chaincode response 500, {response.message}")
            raise EndorseError("id", StatusCode.ABORTED, "failed to endorse", [detail])
        network.mishap("after", function, endorsing)
        return response.payload


def _raw(function: str, args: Sequence[object]) -> list[bytes]:
    return [str(arg).encode() for arg in (function, *args)]


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    found = Ledger()
    found.deploy(Property, name="property")
    found.deploy(Electricity, name="electricity")
    found.deploy(Archive, name="archive")
    adopt_rules(found, "property", "electricity", "archive")
    yield found


def defer(ledger: Ledger, *cases: tuple[str, str]) -> None:
    options = CallOptions(ledger.identity("RegistryMSP", "registrar"), HINT)
    for case, account in cases:
        assert ledger.submit("property", _raw("book", (case, account)), options).status == 200


def worker_of(
    network: LedgerNetwork, folder: Path, told: list[Attempt] | None = None, **options: Any
) -> ReactionWorker:
    tell = (told if told is not None else []).append
    settings = WorkerOptions("PowerMSP", folder, **options)
    return ReactionWorker(cast(Network, network), settings, tell)


def waiting(ledger: Ledger) -> int:
    return sum(PENDING in key for key in ledger.values("property"))


def test_what_waits_is_run_once_and_told(ledger: Ledger, tmp_path: Path) -> None:
    defer(ledger, ("c1", "a1"), ("c2", "arrears"))
    network = LedgerNetwork(ledger, "PowerMSP")
    told: list[Attempt] = []
    worker = worker_of(network, tmp_path, told, transient=lambda pending: {"key": pending.id})
    assert [one.result for one in worker.run_once()] == [Result.DONE, Result.REFUSED]
    assert [one.text for one in told] == ["", "ARREARS: 欠费"]
    assert network.transients == [{"key": one.id} for one in told]
    assert waiting(ledger) == 0
    assert worker.run_once() == []


def test_another_departments_reactions_are_left_alone(ledger: Ledger, tmp_path: Path) -> None:
    defer(ledger, ("c1", "a1"))
    network = LedgerNetwork(ledger, "BureauMSP")
    options = WorkerOptions("BureauMSP", tmp_path)
    worker = ReactionWorker(cast(Network, network), options, lambda attempt: None)
    assert worker.ways() == [("electricity", "archive")]
    assert worker.run_once() == [] and waiting(ledger) == 1


@pytest.mark.parametrize("seed", range(8))
def test_each_happens_once_wherever_the_worker_is_killed(
    ledger: Ledger, tmp_path: Path, seed: int
) -> None:
    cases = [(f"c{number}", f"a{number}") for number in range(6)]
    defer(ledger, *cases)
    dice = random.Random(seed)
    network = LedgerNetwork(ledger, "PowerMSP")

    def mishap(when: str, what: str, endorsing: Sequence[str]) -> None:
        luck = dice.random()
        if luck < 0.4:
            raise Killed
        if luck < 0.6 and when == "before" and not endorsing and what.endswith("RunDeferred"):
            text = "due to unavailability of peers: [RegistryMSP needs 1, has 0]"
            raise EndorseError("id", StatusCode.FAILED_PRECONDITION, text)

    network.mishap = mishap
    lives = 0
    while waiting(ledger):
        lives += 1
        assert lives < 200
        try:
            worker_of(network, tmp_path).run_once()
        except Killed:
            continue
    assert lives > 1
    for case, account in cases:
        assert len(history(ledger, "electricity", account)) == 1
        assert ledger.value("electricity", account) == case.encode()


def history(ledger: Ledger, chaincode: str, key: str) -> list[object]:
    return list(ledger._state.histories.get((chaincode, key), ()))


def test_without_the_emitting_department_it_happens_and_is_closed_later(
    ledger: Ledger, tmp_path: Path
) -> None:
    defer(ledger, ("c1", "a1"))
    network = LedgerNetwork(ledger, "PowerMSP")
    asked: list[Sequence[str]] = []

    def away(when: str, what: str, endorsing: Sequence[str]) -> None:
        asked.append(endorsing)
        if when == "before" and not endorsing:
            text = "due to unavailability of peers: [RegistryMSP needs 1, has 0]"
            raise EndorseError("id", StatusCode.FAILED_PRECONDITION, text)

    network.mishap = away
    worker = worker_of(network, tmp_path, endorsing_organizations=("PowerMSP", "BureauMSP"))
    assert [one.result for one in worker.run_once()] == [Result.DONE]
    assert asked[1] == ("PowerMSP", "BureauMSP")
    assert ledger.value("electricity", "a1") == b"c1" and waiting(ledger) == 1
    assert [one.result for one in worker.run_once()] == [Result.FAILED]
    network.mishap = lambda when, what, endorsing: None
    assert [one.result for one in worker.run_once()] == [Result.CLOSED]
    assert waiting(ledger) == 0
    assert len(history(ledger, "electricity", "a1")) == 1


def test_what_cannot_be_done_now_does_not_hold_up_the_rest(ledger: Ledger, tmp_path: Path) -> None:
    defer(ledger, ("c1", "secret"), ("c2", "a2"))
    network = LedgerNetwork(ledger, "PowerMSP")
    told: list[Attempt] = []
    worker_of(network, tmp_path, told).run_once()
    assert [one.result for one in told] == [Result.FAILED, Result.DONE]
    assert "NO_NOTE" in told[0].text and waiting(ledger) == 1


def test_two_workers_at_once_do_it_once(ledger: Ledger, tmp_path: Path) -> None:
    defer(ledger, ("c1", "a1"))
    first, second = (LedgerNetwork(ledger, "PowerMSP") for _ in range(2))
    other = worker_of(second, tmp_path)

    def race(when: str, what: str, endorsing: Sequence[str]) -> None:
        if when == "before":
            first.mishap = lambda *ignored: None
            assert [one.result for one in other.run_once()] == [Result.DONE]

    first.mishap = race
    assert [one.result for one in worker_of(first, tmp_path).run_once()] == [Result.CLOSED]
    assert len(history(ledger, "electricity", "a1")) == 1
