"""Python packages as this peer runs them: what a package promises, checked before it is installed.

The type is ``tongban-python``. Beside Fabric's three fields its ``metadata.json`` has ``api`` (the
version of the contract API it was written for), ``python`` (the lowest Python it runs on, as
``>=3.11``) and ``modules`` (those that hold its contracts). ``code.tar.gz`` holds its own Python
modules and those it depends on; files that are not Python are allowed and not loaded.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tongban.protos.errors import MalformedMessage
from tongban.protos.package_format import ChaincodePackage, parse_code, parse_package

PYTHON_TYPE: Final = "tongban-python"

_PYTHON: Final = re.compile(r">=(3)\.(\d{1,3})")
_MODULE: Final = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True, slots=True)
class PythonPackage:
    """A Python package that may be given to a worker."""

    label: str
    api: int
    python: tuple[int, int]
    """Lowest version of Python, major and minor."""

    modules: tuple[str, ...]
    """Names of the modules that hold contracts, at least one."""

    sources: Mapping[str, bytes]
    """Python files by their path in the package."""


def parse_python_package(data: bytes | ChaincodePackage) -> PythonPackage:
    """Read a package of type ``tongban-python``.

    Raises:
        MalformedMessage, LimitExceeded: it is not a package, has another type, or its metadata
            does not fit its files.
    """
    package = data if isinstance(data, ChaincodePackage) else parse_package(data)
    if package.type != PYTHON_TYPE:
        raise MalformedMessage("package", f"type {package.type!r}, expected {PYTHON_TYPE!r}")
    sources = {
        path: content for path, content in parse_code(package.code).items() if path.endswith(".py")
    }
    modules = _modules(package.metadata.get("modules"))
    for name in modules:
        stem = name.replace(".", "/")
        if f"{stem}.py" not in sources and f"{stem}/__init__.py" not in sources:
            raise MalformedMessage("package", f"module {name!r} is promised and not there")
    return PythonPackage(
        package.label,
        _api(package.metadata.get("api")),
        _python(package.metadata.get("python")),
        modules,
        sources,
    )


def _modules(found: object) -> tuple[str, ...]:
    if not isinstance(found, list) or not found:
        raise MalformedMessage("package", "'modules' must list the modules that hold contracts")
    for name in found:
        if not isinstance(name, str) or not _MODULE.fullmatch(name):
            raise MalformedMessage("package", f"{name!r} is not the name of a module")
    return tuple(found)


def _api(found: object) -> int:
    if type(found) is not int or found < 1:
        raise MalformedMessage("package", f"'api' must be a positive number, found {found!r}")
    return found


def _python(found: object) -> tuple[int, int]:
    match = _PYTHON.fullmatch(found) if isinstance(found, str) else None
    if match is None:
        raise MalformedMessage("package", f"'python' must be like '>=3.11', found {found!r}")
    return int(match[1]), int(match[2])
