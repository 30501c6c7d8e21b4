"""Contracts as folders: finding one, beginning one, trying one."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tongban.contracts
from tongban.network.errors import NetworkError
from tongban.network.language import text

NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([-_][A-Za-z0-9]+)*")
"""Chaincode names (fabric core/chaincode/lifecycle/scc.go), beginning with a letter here, since a
module is named after it."""

CHECK_SECONDS_MAX = 60.0

_PROJECT = """\
[contract]
name = "{name}"
version = "1.0"
modules = ["{module}"]
api = 1
python = ">=3.11"
"""

_CONTRACT = '''\
"""Who owns which record."""

from dataclasses import dataclass

from tongban.contracts import (
    Context,
    Contract,
    ContractError,
    evaluate,
    from_json,
    submit,
    to_json,
)


@dataclass(frozen=True, slots=True)
class Record:
    id: str
    owner: str


class {class_name}(Contract):
    """Records and their owners."""

    @submit
    def register(self, ctx: Context, id: str, owner: str) -> Record:
        """Keep a new record."""
        if ctx.stub.get_state(id):
            raise ContractError("ALREADY_REGISTERED", f"{{id}} is registered already")
        record = Record(id, owner)
        ctx.stub.put_state(id, to_json(record))
        ctx.stub.set_event("registered", to_json(record))
        return record

    @evaluate
    def read(self, ctx: Context, id: str) -> Record:
        """The record of this id."""
        value = ctx.stub.get_state(id)
        if not value:
            raise ContractError("NOT_FOUND", f"there is no record {{id}}")
        return from_json(Record, value)
'''

_TEST = """\
import pytest
from {module} import {class_name}

from tongban.contracts import ContractError
from tongban.contracts.testing import Ledger


def test_a_record_is_registered_once() -> None:
    contract = Ledger().deploy({class_name})
    assert contract.register("a1", "Li Na").owner == "Li Na"
    with pytest.raises(ContractError, match="ALREADY_REGISTERED"):
        contract.register("a1", "Wang Wei")
    assert contract.read("a1").owner == "Li Na"
"""


@dataclass(frozen=True, slots=True)
class CheckedFunction:
    """A function that a contract offers to clients."""

    name: str
    kind: str
    """``submit`` or ``evaluate``."""

    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckedProject:
    """A contract that peers will load."""

    package_id: str
    functions: tuple[CheckedFunction, ...]


def find_project(source: str) -> Path:
    """A contract's folder: a path, or ``samples/…`` and ``haidian/…`` within the framework.

    Raises:
        NetworkError: there is none.
    """
    given = Path(source)
    shipped = Path(tongban.contracts.__path__[0]) / source
    for folder in (given, shipped):
        if (folder / "contract.toml").is_file():
            return folder
    raise NetworkError(
        text(f"no contract in {source!r}", f"{source!r} 中没有合约"),
        text(
            "Expected a folder with a contract.toml in it; begin one: tongban contract new DIR",
            "应为含 contract.toml 的目录;新建: tongban contract new DIR",
        ),
    )


def begin_project(directory: Path) -> list[Path]:
    """A contract, its test and its ``contract.toml`` in a new folder; returns the files.

    Raises:
        NetworkError: the folder holds something, or its name cannot be a contract's.
    """
    name = directory.absolute().name
    if not NAME.fullmatch(name):
        raise NetworkError(
            text(f"{name!r} cannot be a contract's name", f"{name!r} 不能作为合约名"),
            text("Expected letters, digits, - and _.", "应由字母、数字、- 和 _ 组成。"),
        )
    if directory.exists() and any(directory.iterdir()):
        raise NetworkError(
            text(f"{directory} is not empty", f"{directory} 不是空目录"),
            text("Name a new folder.", "请指定新目录。"),
        )
    module = re.sub(r"[-_]+", "_", name).lower()
    class_name = "".join(part[:1].upper() + part[1:] for part in re.split(r"[-_]", name))
    contents = {
        "contract.toml": _PROJECT,
        f"{module}.py": _CONTRACT,
        f"test_{module}.py": _TEST,
    }
    directory.mkdir(parents=True, exist_ok=True)
    for file_name, content in contents.items():
        filled = content.format(name=name, module=module, class_name=class_name)
        (directory / file_name).write_text(filled, encoding="utf-8")
    return [directory / file_name for file_name in contents]


def check_project(directory: Path) -> CheckedProject:
    """The contract is packaged, loaded as a worker would, and asked for its metadata.

    Raises:
        NetworkError: it cannot be, with the reason.
    """
    command = [sys.executable, "-P", "-m", "tongban.contracts.check", str(directory)]
    try:
        done = subprocess.run(
            command, capture_output=True, check=False, timeout=CHECK_SECONDS_MAX, text=True
        )
        answer = json.loads(done.stdout.rpartition("\n")[2])
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise NetworkError(
            text(f"{directory} could not be checked", f"{directory} 无法检查"), str(error)
        ) from None
    if "error" in answer:
        raise NetworkError(str(answer["error"]))
    functions = (
        CheckedFunction(one["name"], one["kind"], tuple(one["parameters"]))
        for one in answer["functions"]
    )
    return CheckedProject(answer["package_id"], tuple(functions))


def run_tests(directory: Path, arguments: tuple[str, ...]) -> int:
    """Run the contract's tests with pytest, and return its exit status."""
    options = ("-c", "/dev/null", "--rootdir", str(directory), "-p", "no:cacheprovider")
    command = [sys.executable, "-m", "pytest", *options, *arguments, str(directory)]
    return subprocess.run(command, check=False).returncode
