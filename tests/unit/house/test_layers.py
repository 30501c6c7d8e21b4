"""Who may import whom, and what the deciding core may not touch."""

import ast
import importlib.util
from collections.abc import Iterator

from tests.unit.house.source import ROOT, TOP_LEVEL, Module, all_modules, modules

SHELL = frozenset({"node.storage", "node.ordering", "node.services", "node.runtime", "node.ledger"})

MAY_IMPORT: dict[str, frozenset[str]] = {
    "protos": frozenset({"protos"}),
    "contracts": frozenset({"contracts", "protos"}),
    "sdk": frozenset({"sdk", "protos"}),
    "node.core": frozenset({"node.core", "protos"}),
    "node.storage": frozenset({"node.storage", "node.core", "protos"}),
    "node.ordering": SHELL | {"node.core", "protos"},
    "node.services": SHELL | {"node.core", "protos"},
    "node.runtime": SHELL | {"node.core", "protos"},
    "node.ledger": SHELL | {"node.core", "protos"},
    "node": SHELL | {"node", "node.core", "protos"},
    "network": frozenset({"network", "sdk", "protos", "node.core", "contracts"}),
    "portal": frozenset({"portal", "sdk", "protos", "contracts"}),
}
"""By layer. ``node`` alone is where the parts of a peer and an orderer are put together."""

NOT_IN_CORE = frozenset(
    {
        "asyncio",
        "concurrent",
        "glob",
        "grpc",
        "http",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "plyvel",
        "random",
        "requests",
        "secrets",
        "select",
        "shutil",
        "signal",
        "socket",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "uuid",
    }
)
"""Clock, disk, network, randomness, threads and logging belong to the shell. What is decided must
follow from the bytes that were given."""

CALLS_NOT_IN_CORE = frozenset({"open", "print", "input", "eval", "exec", "breakpoint"})
CLOCKS = frozenset({"now", "utcnow", "today"})

LIBRARY_OWNERS = {
    "plyvel": "node.storage.leveldb",
    "plyvel_next": "node.storage.leveldb",
}
"""Libraries that one module only may import."""


def layer_of(name: str) -> str:
    """The layer of ``node.core.state`` is ``node.core``; of ``node.peer``, ``node``."""
    parts = name.split(".")
    if parts[0] == "node" and len(parts) > 1 and f"node.{parts[1]}" in MAY_IMPORT:
        return f"node.{parts[1]}"
    return parts[0]


def test_imports_go_one_way() -> None:
    wrong = []
    for module in all_modules():
        allowed = MAY_IMPORT[layer_of(module.name)]
        for line, name in module.imports():
            top = name.partition(".")[0]
            layer = layer_of(name.removeprefix("tongban."))
            if top == "tests" or top in TOP_LEVEL or (top == "tongban" and layer not in allowed):
                wrong.append(f"{module.where}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_the_core_touches_no_clock_disk_network_or_thread() -> None:
    wrong = []
    for module in modules("node"):
        if layer_of(module.name) == "node.core":
            wrong += [f"{module.where}:{line}: {what}" for line, what in _touches(module)]
    assert not wrong, "\n".join(wrong)


def _touches(module: Module) -> Iterator[tuple[int, str]]:
    for line, name in module.imports():
        if name.split(".")[0] in NOT_IN_CORE:
            yield line, f"imports {name}"
    for node in module.nodes:
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id in CALLS_NOT_IN_CORE:
            yield called.lineno, f"calls {called.id}"
        if isinstance(called, ast.Attribute) and called.attr in CLOCKS:
            yield called.lineno, f"asks the clock with {called.attr}"


def test_a_library_has_one_owner() -> None:
    wrong = [
        f"{module.where}:{line}: only {LIBRARY_OWNERS[name.split('.')[0]]} imports {name}"
        for module in all_modules()
        for line, name in module.imports()
        if LIBRARY_OWNERS.get(name.split(".")[0], module.name) != module.name
    ]
    assert not wrong, "\n".join(wrong)


def test_these_tests_can_fail() -> None:
    text = "import time\nfrom tongban.node.runtime import x\nopen('f')\ndatetime.now()\n"
    module = Module(ROOT / "node/core/planted.py", "node.core.planted", text, ast.parse(text))
    assert [line for line, _ in _touches(module)] == [1, 3, 4]
    assert "node.runtime" in {
        layer_of(name.removeprefix("tongban.")) for _, name in module.imports()
    }
    assert "node.runtime" not in MAY_IMPORT[layer_of(module.name)]


def test_the_folders_are_importable_under_the_brand_only() -> None:
    for folder in TOP_LEVEL:
        assert importlib.util.find_spec(folder) is None, folder
    for folder in ("protos", "node", "contracts", "sdk", "network"):
        assert importlib.util.find_spec(f"tongban.{folder}") is not None
