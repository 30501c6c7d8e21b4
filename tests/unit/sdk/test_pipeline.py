"""Many flows at once, without a network."""

import pytest

from tongban.protos.errors import MalformedMessage
from tongban.sdk.core.commands import Flow, Pause
from tongban.sdk.core.pipeline import Outcome, Pipeline, Step


def flow(steps: int, result: str) -> Flow[str]:
    for number in range(steps):
        yield Pause(number)
    return result


def failing() -> Flow[str]:
    yield Pause(0)
    raise MalformedMessage("x", "no")


def test_places_are_taken_until_outcomes_are_consumed() -> None:
    pipeline = Pipeline[str](2)
    first, second = pipeline.start(flow(1, "a")), pipeline.start(flow(0, "b"))
    assert isinstance(first, Step)
    assert second == Outcome(1, "b", None)
    assert not pipeline.has_room
    pipeline.taken()
    assert pipeline.has_room
    assert pipeline.answer(first, None) == Outcome(0, "a", None)
    assert not pipeline.is_empty
    pipeline.taken()
    assert pipeline.is_empty


def test_an_error_is_an_outcome() -> None:
    pipeline = Pipeline[str](1)
    step = pipeline.start(failing())
    assert isinstance(step, Step)
    outcome = pipeline.answer(step, None)
    assert isinstance(outcome, Outcome)
    with pytest.raises(MalformedMessage):
        outcome.get()


def test_room_for_none_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Pipeline[str](0)
