"""A contract that was just begun is a good one, and what is wrong with one is said."""

import sys
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from tongban.network.errors import NetworkError
from tongban.network.projects import begin_project, check_project, find_project, run_tests


def test_a_new_contract_can_be_checked_and_its_test_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "Open-records"
    names = [path.name for path in begin_project(folder)]
    assert names == ["contract.toml", "open_records.py", "test_open_records.py"]
    found = check_project(folder)
    assert found.package_id.startswith("Open-records_1.0:")
    assert {(one.kind, one.name, one.parameters) for one in found.functions} == {
        ("submit", "register", ("id", "owner")),
        ("evaluate", "read", ("id",)),
    }
    monkeypatch.syspath_prepend(str(folder))
    test = __import__("test_open_records")
    test.test_a_record_is_registered_once()


@pytest.mark.slow
def test_the_tests_of_a_contract_are_run_and_their_failure_is_the_exit_status(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "shop"
    begin_project(folder)
    assert run_tests(folder, ("-q",)) == 0
    with (folder / "test_shop.py").open("a") as file:
        file.write("\n\ndef test_wrong() -> None:\n    assert False\n")
    assert run_tests(folder, ("-q",)) == 1


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(NetworkError, match="not empty"):
        begin_project(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("name", ["9lives", "a b", "双", "-x", "x__y"])
def test_a_name_that_no_chaincode_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="letters, digits"):
        begin_project(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def slow(*values: str) -> ParameterSet:
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("import random", "ctx.tx_id"),
        slow("import nothing_like_it", "add its pure-Python source"),
        slow("x = (", "never closed"),
        slow("raise RuntimeError('not today')", "RuntimeError: not today"),
    ],
)
def test_a_contract_that_no_peer_would_load_is_refused_with_the_reason(
    line: str, reason: str, tmp_path: Path
) -> None:
    folder = tmp_path / "shop"
    begin_project(folder)
    source = folder / "shop.py"
    source.write_text(source.read_text() + "\n" + line + "\n")
    with pytest.raises(NetworkError) as caught:
        check_project(folder)
    assert reason in str(caught.value)
    assert "shop" not in sys.modules, "its code runs in a process of its own"


def test_contracts_are_found_by_path_and_among_those_that_ship(tmp_path: Path) -> None:
    assert find_project("samples/asset_transfer").name == "asset_transfer"
    begin_project(tmp_path / "shop")
    assert find_project(str(tmp_path / "shop")) == tmp_path / "shop"
    with pytest.raises(NetworkError, match="contract new"):
        find_project(str(tmp_path))
