"""What the modules of a package may import, and how they are loaded from memory.

A package may import its own modules, ``tongban.contracts``, and the part of the standard library
that computes without looking at the machine it runs on. The refusal names the module and says what
to do instead. This keeps honest contracts deterministic; what keeps hostile ones in are the fences
of the process.
"""

import builtins
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any, Final

ALLOWED: Final = frozenset(
    """
    __future__ abc array base64 binascii bisect calendar cmath collections contextlib copy csv
    dataclasses datetime decimal difflib enum fractions functools graphlib hashlib heapq hmac html
    io ipaddress itertools json keyword logging math numbers operator re statistics string
    stringprep struct textwrap types typing unicodedata urllib.parse warnings
    """.split()  # noqa: SIM905 (a list of names, not of 45 lines)
)
"""Modules of the standard library, with their submodules."""

_NOT_FOR_PACKAGES: Final = "tongban.contracts.runtime"

_REMEDIES: Final = {
    "random": "derive what must look random from ctx.tx_id with hashlib",
    "secrets": "derive what must look random from ctx.tx_id with hashlib",
    "uuid": "derive an identifier from ctx.tx_id with hashlib",
    "time": "use ctx.timestamp, which is the same on every peer",
    "zoneinfo": "use datetime.timezone with a fixed offset; zone tables differ between machines",
    "locale": "format with str methods; locales differ between machines",
    "pickle": "use json",
    **dict.fromkeys(
        ("os", "pathlib", "shutil", "tempfile", "glob", "sqlite3"),
        "a contract has no files; keep what it needs in the world state",
    ),
    **dict.fromkeys(
        ("socket", "ssl", "urllib", "http", "requests", "httpx", "aiohttp", "grpc"),
        "a contract has no network; pass what it needs as an argument or transient data",
    ),
    **dict.fromkeys(
        ("threading", "asyncio", "concurrent", "multiprocessing", "subprocess", "signal"),
        "a contract is plain sequential code; the runtime runs transactions side by side",
    ),
    **dict.fromkeys(
        ("sys", "ctypes", "importlib", "gc", "inspect", "platform"),
        "a contract must not depend on the interpreter it runs in",
    ),
}


class ImportRefused(ImportError):
    """A package imports what it may not. ``name`` is the module."""


def refusal(name: str) -> ImportRefused:
    top = name.partition(".")[0]
    remedy = _REMEDIES.get(name) or _REMEDIES.get(top)
    if remedy is None and top in sys.stdlib_module_names:
        remedy = "only modules that give the same result on every peer are allowed"
    if remedy is None:
        remedy = "add its pure-Python source to the package"
    return ImportRefused(f"a contract may not import {name!r}: {remedy}", name=name)


class PackageFinder(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Finds and loads the modules of one package from their sources in memory."""

    def __init__(self, label: str, sources: Mapping[str, bytes]) -> None:
        """``sources`` maps paths in the package to contents.

        Raises:
            ImportRefused: a module of the package would hide one of the interpreter's.
        """
        self._label = label
        self._paths = {_module_name(path): path for path in sources}
        self._sources = sources
        self._tops = {name.partition(".")[0] for name in self._paths}
        for top in sorted(self._tops):
            if top in sys.stdlib_module_names or top in sys.modules or top == "tongban":
                raise ImportRefused(
                    f"the package's module {top!r} has the name of a module of the runtime: "
                    "give it another name",
                    name=top,
                )
        self._builtins = dict(vars(builtins)) | {"__import__": self._import}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        found = self._paths.get(fullname)
        if found is not None:
            is_package = found.endswith("/__init__.py")
            return importlib.util.spec_from_loader(fullname, self, is_package=is_package)
        if any(name.startswith(f"{fullname}.") for name in self._paths):
            return importlib.machinery.ModuleSpec(fullname, None, is_package=True)
        return None

    def is_package(self, fullname: str) -> bool:
        return self._paths[fullname].endswith("/__init__.py")

    def get_source(self, fullname: str) -> str:
        source = self._sources[self._paths[fullname]]
        return importlib.util.decode_source(source)

    def get_code(self, fullname: str) -> CodeType:
        path = self._paths[fullname]
        return compile(self._sources[path], f"{self._label}/{path}", "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._builtins
        module.__file__ = f"{self._label}/{self._paths[module.__name__]}"
        exec(self.get_code(module.__name__), module.__dict__)

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # a module's namespace holds anything
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 0:
            self._check(name, fromlist or ())
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    def _check(self, name: str, fromlist: Sequence[str]) -> None:
        top, _, _ = name.partition(".")
        if top in self._tops:
            return
        if top == "tongban":
            wanted = [name, *(f"{name}.{item}" for item in fromlist)]
            if name == "tongban":
                wanted = wanted[1:] or wanted
            for module in wanted:
                if not _is_within(module, "tongban.contracts"):
                    raise refusal(module)
                if _is_within(module, _NOT_FOR_PACKAGES):
                    raise refusal(module)
            return
        submodules = [f"{name}.{item}" for item in fromlist]
        if not _is_allowed(name) and not (submodules and ALLOWED.issuperset(submodules)):
            raise refusal(name)


def _is_allowed(name: str) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:count]) in ALLOWED for count in range(1, len(parts) + 1))


def _is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
