"""What a package may import, and what it is told when it may not."""

import sys
from collections.abc import Iterator, Mapping
from types import ModuleType

import pytest

from tongban.contracts.runtime.imports import ImportRefused, PackageFinder


@pytest.fixture(autouse=True)
def interpreter() -> Iterator[None]:
    modules, finders = set(sys.modules), list(sys.meta_path)
    yield
    sys.meta_path[:] = finders
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def load(source: str, **others: str) -> Mapping[str, object]:
    sources = {"pkg_main.py": source.encode()}
    sources |= {f"{name.replace('__', '/')}.py": text.encode() for name, text in others.items()}
    sys.meta_path.insert(0, PackageFinder("label_1", sources))
    module: ModuleType = __import__("pkg_main")
    return vars(module)


@pytest.mark.parametrize(
    "statement",
    [
        "import json",
        "import collections.abc as x",
        "from urllib.parse import quote",
        "from urllib import parse",
        "from __future__ import annotations",
        "import tongban.contracts",
        "from tongban.contracts import Contract, submit",
        "from tongban import contracts",
        "from dataclasses import dataclass",
        "def f():\n  import decimal\nf()",
    ],
)
def test_what_computes_may_be_imported(statement: str) -> None:
    load(statement)


@pytest.mark.parametrize(
    ("statement", "name", "remedy"),
    [
        ("import random", "random", "ctx.tx_id"),
        ("import time", "time", "ctx.timestamp"),
        ("from os import path", "os", "world state"),
        ("import os.path", "os.path", "world state"),
        ("import urllib.request", "urllib.request", "no network"),
        ("from urllib import request", "urllib", "no network"),
        ("import requests", "requests", "no network"),
        ("import numpy", "numpy", "add its pure-Python source to the package"),
        ("import tkinter", "tkinter", "the same result on every peer"),
        ("import threading", "threading", "sequential"),
        ("import tongban.node", "tongban.node", "package"),
        ("import tongban", "tongban", "package"),
        ("from tongban import sdk", "tongban.sdk", "package"),
        ("from tongban.contracts import runtime", "tongban.contracts.runtime", "package"),
        ("import tongban.contracts.runtime.worker", "tongban.contracts.runtime.worker", "package"),
        ("def f():\n  import socket\nf()", "socket", "no network"),
    ],
)
def test_a_refused_import_names_the_module_and_the_remedy(
    statement: str, name: str, remedy: str
) -> None:
    with pytest.raises(ImportRefused) as caught:
        load(statement)
    assert f"a contract may not import {name!r}" in str(caught.value)
    assert remedy in str(caught.value)


def test_modules_of_the_package_import_each_other() -> None:
    found = load(
        "import pkg_rules.law\nfrom pkg_rules import law\nfrom pkg_one import value\nx = law.get()",
        pkg_one="value = 1",
        pkg_rules__law="from . import words\nfrom .words import text\ndef get(): return text",
        pkg_rules__words="text = '法'",
    )
    assert (found["value"], found["x"]) == (1, "法")


def test_the_rule_holds_in_every_module_of_the_package() -> None:
    with pytest.raises(ImportRefused, match="'socket'"):
        load("import pkg_one", pkg_one="import socket")


@pytest.mark.parametrize("name", ["json", "socket", "msgpack", "tongban"])
def test_a_module_that_would_hide_one_of_the_runtime_is_refused(name: str) -> None:
    with pytest.raises(ImportRefused, match="give it another name"):
        load("x = 1", **{name: "x = 2"})


def test_tracebacks_can_show_the_source() -> None:
    found = load("def f():\n    return 1 / 0\n")
    loader = found["__loader__"]
    assert isinstance(loader, PackageFinder)
    assert "1 / 0" in loader.get_source("pkg_main")
    assert found["__file__"] == "label_1/pkg_main.py"
