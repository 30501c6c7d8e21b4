"""The file of cases, what is made of an ending, and the scan for canaries itself."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.canaries import Canaries
from tongban.network.demo.cases import SHIPPED, Happening, load_cases
from tongban.network.demo.outcome import judge
from tongban.network.demo.report import quantiles
from tongban.network.demo.synthesis import shipped_cases
from tongban.network.errors import NetworkError

FAILURES = {f"E{number}" for number in range(1, 14)}


def test_the_shipped_file_has_two_hundred_cases_and_every_failure() -> None:
    cases = load_cases(SHIPPED)
    assert len(cases) >= 200
    assert {case.failure for case in cases} >= FAILURES
    assert set(Happening) == {one for case in cases for one in case.happenings}


def test_the_shipped_file_is_what_the_synthesis_makes() -> None:
    made = [json.dumps(case, ensure_ascii=False) for case in shipped_cases()]
    assert SHIPPED.read_text("utf-8").splitlines() == made


def good_case() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SHIPPED.read_text("utf-8").splitlines()[0])
    return found


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("unit", "110108001002GA00015F00010203", "expected J before parcel kind A"),
        ("buyers", [], "at least 1 item"),
        ("happenings", ["earthquake"], "Input should be 'drafted-twice'"),
        ("surprise", 1, "Extra inputs are not permitted"),
        ("expect", {"outcome": "Bad Word", "registration": "办结"}, "should match pattern"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, field: str, value: object, complaint: str
) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(f"# a comment\n{json.dumps(good_case() | {field: value})}\n", "utf-8")
    with pytest.raises(NetworkError, match="line 2") as caught:
        load_cases(file)
    assert complaint in str(caught.value)


def test_a_wrong_identity_number_is_not_repeated(tmp_path: Path) -> None:
    case = good_case()
    case["buyers"][0]["number"] = "110105194912310021"
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps(case), "utf-8")
    with pytest.raises(NetworkError) as caught:
        load_cases(file)
    assert "check character" in str(caught.value)
    assert "110105194912310021" not in str(caught.value)


def test_two_cases_cannot_be_about_one_unit(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(f"{json.dumps(good_case())}\n{json.dumps(good_case())}\n", "utf-8")
    with pytest.raises(NetworkError, match="is in several cases"):
        load_cases(file)


def steps(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [
        {"state": state, "reason": reason, "tx_id": f"t{index}"}
        for index, (state, reason) in enumerate(pairs)
    ]


@pytest.mark.parametrize(
    ("registration", "transfer", "kind"),
    [
        ([("草稿", "")], None, "identity-failed"),
        ([("不予受理", "MORTGAGED")], None, "not-accepted-mortgaged"),
        ([("办结", "")], None, "registered-only"),
        ([("办结", "")], [("待签字", "")], "unfinished"),
        ([("登簿", "")], [("待签字", "")], "unfinished"),
        ([("办结", "")], [("欠费", "BOOKED")], "held-arrears"),
        ([("办结", "")], [("已取消", "CONSENT_REVOKED")], "registered-consent-revoked"),
        (
            [("办结", "")],
            [("待签字", "BOOKED"), ("已取消", "CONSENT_REVOKED")],
            "registered-stopped-before-signature",
        ),
        ([("办结", "")], [("待签字", "BOOKED"), ("已过户", "")], "transferred"),
        (
            [("办结", "")],
            [("欠费", "BOOKED"), ("待签字", "ARREARS_CLEARED"), ("已过户", "")],
            "transferred-after-hold",
        ),
        ([("更正", "WRONG")], [("需冲正", "")], "reversed"),
        ([("更正", "WRONG")], [("已过户", "")], "corrected-only"),
    ],
)
def test_an_ending_is_told_from_the_records(
    registration: list[tuple[str, str]], transfer: list[tuple[str, str]] | None, kind: str
) -> None:
    case = {"state": registration[-1][0], "steps": steps(*registration)}
    record = None if transfer is None else {"state": transfer[-1][0], "steps": steps(*transfer)}
    assert judge(case, record).kind == kind


def test_a_reaction_in_a_later_transaction_was_deferred() -> None:
    case = {"state": "办结", "steps": steps(("登簿", ""), ("办结", ""))}
    later = steps(("待签字", "BOOKED"), ("已过户", ""))
    later[0]["tx_id"] = "elsewhere"
    assert judge(case, {"state": "已过户", "steps": later}).kind == "transferred-deferred"


def test_quantiles_of_nothing_one_and_many() -> None:
    assert quantiles([]) == {"p50": 0.0, "p95": 0.0}
    assert quantiles([7]) == {"p50": 7, "p95": 7}
    assert quantiles(range(101)) == {"p50": 50, "p95": 95}


@pytest.mark.parametrize("offset", range(4))
@pytest.mark.parametrize("value", ["李试甲", "110108195001010003", "19900000001"])
def test_the_scan_sees_a_planted_value_in_every_form(value: str, offset: int) -> None:
    canaries = Canaries([value, "another one"])
    pad = b"#" * offset
    raw = value.encode()
    planted = [
        pad + raw,
        pad + raw.hex().encode(),
        pad + raw.hex().upper().encode(),
        base64.b64encode(pad + raw + b"tail"),
        base64.urlsafe_b64encode(pad + raw),
        json.dumps({"x": value}).encode(),
    ]
    for data in planted:
        assert canaries.found_in(data) == {value}
    assert canaries.found_in(b"nothing of the kind") == set()
