"""Log levels by Fabric's specification, and the form of a line."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from tongban.node.runtime.log import (
    LINE_CHARACTERS_MAX,
    InvalidLogSpec,
    JsonFormatter,
    LogSpec,
    TextFormatter,
    parse_spec,
)


@pytest.fixture(autouse=True)
def levels() -> Iterator[None]:
    root = logging.getLogger()
    before = root.level
    yield
    LogSpec().activate("info")
    root.setLevel(before)
    for name in ("a", "a.b"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("text", "default", "named"),
    [
        ("", logging.INFO, {}),
        ("debug", logging.DEBUG, {}),
        ("a=debug:warn", logging.WARNING, {"a": logging.DEBUG}),
        ("a,a.b=error", logging.INFO, {"a": logging.ERROR, "a.b": logging.ERROR}),
        ("ERROR:a=Info", logging.ERROR, {"a": logging.INFO}),
    ],
)
def test_specifications_are_read_as_fabric_reads_them(
    text: str, default: int, named: dict[str, int]
) -> None:
    assert parse_spec(text) == (default, named)


@pytest.mark.parametrize("text", ["loud", "a=loud", "=debug", "debug:a"])
def test_a_bad_specification_changes_nothing(text: str) -> None:
    spec = LogSpec()
    spec.activate("a=debug:error")
    with pytest.raises(InvalidLogSpec, match="bad segment"):
        spec.activate(text)
    assert spec.text == "a=debug:error"
    assert logging.getLogger("a").level == logging.DEBUG


def test_a_new_specification_forgets_the_one_before() -> None:
    spec = LogSpec()
    spec.activate("a=debug:error")
    spec.activate("info")
    assert logging.getLogger("a").level == logging.NOTSET
    assert logging.getLogger().level == logging.INFO


def record(text: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord("tongban.x", logging.INFO, "f", 1, text, values, None)


def test_lines_begin_with_the_time_and_texts_are_bounded() -> None:
    line = TextFormatter().format(record("one\ntwo %s", "三"))
    assert line.endswith("INFO tongban.x one\n    two 三")
    assert line[10] == "T" and line[23] == "Z"
    long = TextFormatter().format(record("x" * (LINE_CHARACTERS_MAX + 5)))
    assert len(long) < LINE_CHARACTERS_MAX + 100
    assert f"({LINE_CHARACTERS_MAX + 5} characters)" in long


def test_json_lines_hold_the_traceback() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        found = record("it failed")
        found.exc_info = sys.exc_info()
    fields = json.loads(JsonFormatter().format(found))
    assert fields["level"] == "info"
    assert fields["message"].startswith("it failed\nTraceback")
    assert "ValueError: broken" in fields["message"]
