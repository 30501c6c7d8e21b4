"""From a folder of Python modules to the bytes of a package, the same on every machine.

The folder has a ``contract.toml``::

    [contract]
    name = "property"            # name of the chaincode
    version = "1.0"
    modules = ["property"]       # modules that hold contracts
    label = "property_1.0"       # optional; name and version joined by "_"
    api = 1                      # optional; version of the contract API
    python = ">=3.11"            # optional; lowest Python it runs on
    collections = "collections.json"   # optional; for approving and committing, not packaged

Every ``*.py`` below the folder goes into the package, but for tests (``tests/``, ``test_*.py``,
``conftest.py``) and hidden folders. Line ends become ``\\n``, so that a checkout on another system
gives the same package id.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tongban.protos.errors import MalformedMessage, TongbanError
from tongban.protos.package_format import build_package, compute_package_id, is_label

PROJECT_FILE: Final = "contract.toml"
API_VERSION: Final = 1
"""Version of the contract API that this library offers."""

PACKAGE_TYPE: Final = "tongban-python"

_KNOWN: Final = {"name", "version", "modules", "label", "api", "python", "collections"}
_SKIPPED_FOLDERS: Final = {"tests", "__pycache__"}


class InvalidProject(TongbanError):
    """A folder cannot be packaged. ``path`` is where the fault is."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ContractProject:
    """What ``contract.toml`` says."""

    directory: Path
    name: str
    version: str
    label: str
    modules: tuple[str, ...]
    api: int
    python: str
    collections: Path | None


@dataclass(frozen=True, slots=True)
class BuiltPackage:
    """A package ready to be installed."""

    project: ContractProject
    package_id: str
    content: bytes


def read_project(directory: Path) -> ContractProject:
    """What the folder's ``contract.toml`` says, with defaults filled in.

    Raises:
        InvalidProject: the file is missing or says something we do not understand.
    """
    path = directory / PROJECT_FILE
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidProject(path, f"there is no {PROJECT_FILE}; it names the contract") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidProject(path, f"not TOML: {error}") from None
    contract = table.get("contract")
    if not isinstance(contract, dict):
        raise InvalidProject(path, "expected a table [contract]")
    unknown = sorted(set(contract) - _KNOWN)
    if unknown:
        known = ", ".join(sorted(_KNOWN))
        raise InvalidProject(path, f"unknown setting {unknown[0]!r}; known are {known}")
    return _to_project(directory, contract)


def build_project(directory: Path) -> BuiltPackage:
    """The package of the folder. Reads the folder and nothing else.

    Raises:
        InvalidProject: the folder cannot be packaged, with the file and the reason.
    """
    project = read_project(directory)
    files = {
        path.relative_to(directory).as_posix(): path.read_bytes().replace(b"\r\n", b"\n")
        for path in _sources(directory)
    }
    for module in project.modules:
        stem = module.replace(".", "/")
        if f"{stem}.py" not in files and f"{stem}/__init__.py" not in files:
            raise InvalidProject(directory / PROJECT_FILE, f"there is no module {module!r}")
    metadata = {
        "api": project.api,
        "label": project.label,
        "modules": list(project.modules),
        "path": "",
        "python": project.python,
        "type": PACKAGE_TYPE,
    }
    try:
        content = build_package(metadata, files)
    except MalformedMessage as error:
        raise InvalidProject(directory, error.reason) from None
    return BuiltPackage(project, compute_package_id(project.label, content), content)


def _to_project(directory: Path, contract: dict[str, Any]) -> ContractProject:
    path = directory / PROJECT_FILE
    name = _text(path, contract, "name")
    version = _text(path, contract, "version")
    label = _text(path, contract, "label", f"{name}_{version}")
    if not is_label(label):
        raise InvalidProject(
            path, f"label {label!r} must begin with a letter or digit, then letters, digits, .+-_"
        )
    modules = contract.get("modules")
    if not isinstance(modules, list) or not modules or not all(isinstance(m, str) for m in modules):
        raise InvalidProject(path, "'modules' must list the modules that hold contracts")
    api = contract.get("api", API_VERSION)
    if type(api) is not int or not 1 <= api <= API_VERSION:
        raise InvalidProject(path, f"'api' is {api!r}; this library offers 1 to {API_VERSION}")
    collections = contract.get("collections")
    if collections is not None:
        collections = directory / _text(path, contract, "collections")
        if not collections.is_file():
            raise InvalidProject(collections, "there is no such file of collections")
    python = _text(path, contract, "python", ">=3.11")
    return ContractProject(
        directory, name, version, label, tuple(modules), api, python, collections
    )


def _text(path: Path, table: dict[str, Any], name: str, default: str | None = None) -> str:
    value = table.get(name, default)
    if not isinstance(value, str) or not value:
        raise InvalidProject(path, f"'{name}' must be a text, found {value!r}")
    return value


def _sources(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_symlink():
            raise InvalidProject(path, "a link; a package holds its own files only")
        if path.is_dir():
            if path.name not in _SKIPPED_FOLDERS:
                yield from _sources(path)
        elif path.suffix == ".py" and not _is_test(path):
            yield path


def _is_test(path: Path) -> bool:
    return path.name == "conftest.py" or path.name.startswith("test_")
