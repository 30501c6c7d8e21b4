"""Modules and functions stay small enough to be read."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.unit.house.source import Module, all_modules, modules

MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70

LARGE_MODULES: dict[str, str] = {}
"""Modules that are allowed to be larger, and why."""

BROAD_HANDLERS = {
    "node/runtime/supervisor.py": "a fault in any task ends the node here",
    "node/services/guard.py": "a fault in any call reaches the supervisor here",
    "node/runtime/stream_session.py": "a fault in a request is carried to the supervisor",
    "node/runtime/workers/running.py": "a fault is carried to the caller, whose supervisor decides",
    "contracts/dispatch.py": "what an author's code raises ends its transaction only",
    "contracts/check.py": "whatever an author's code raises when it is loaded is the report",
    "contracts/runtime/worker.py": "whatever an author's code raises ends its transaction only",
}
"""Modules that may catch everything without raising it again, and why."""

REFUSED_MODULE_NAMES = frozenset(
    {"manager", "helper", "helpers", "util", "utils", "common", "base", "impl", "data", "info"}
    | {"process"}
)

NAMED_FOR_WHAT_THEY_ARE = {
    "node/runtime/workers/process.py": "about a process of the operating system",
}

LEFTOVERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def test_a_module_can_be_read_in_one_sitting() -> None:
    wrong = [
        f"{module.where}: {lines} lines"
        for module in all_modules()
        if (lines := module.text.count("\n")) > MODULE_LINES_MAX
        and module.where not in LARGE_MODULES
    ]
    assert not wrong, "\n".join(wrong)


def test_a_function_fits_on_a_screen() -> None:
    wrong = [
        f"{module.where}: {name} has {lines} lines"
        for module in whole_house()
        for name, lines in _functions(module)
        if lines > FUNCTION_LINES_MAX
    ]
    assert not wrong, "\n".join(wrong)


def test_a_module_says_what_it_is_about() -> None:
    wrong = []
    for module in all_modules():
        name = module.path.stem
        if name in REFUSED_MODULE_NAMES and module.where not in NAMED_FOR_WHAT_THEY_ARE:
            wrong.append(f"{module.where}: the name says nothing")
        if module.text.strip() and name != "__main__" and not ast.get_docstring(module.tree):
            wrong.append(f"{module.where}: no docstring")
    assert not wrong, "\n".join(wrong)


def test_nothing_is_left_over() -> None:
    wrong = [
        f"{module.where}: {found[0]}"
        for module in whole_house()
        if module.path != Path(__file__) and (found := LEFTOVERS.search(module.text))
    ]
    assert not wrong, "\n".join(wrong)


def test_faults_are_not_caught_by_accident() -> None:
    """Who catches everything raises it again, or is one of the few that end something there."""
    wrong = [
        f"{module.where}:{line} catches everything"
        for module in all_modules()
        if module.where not in BROAD_HANDLERS
        for line in _broad_handlers(module)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_exception_to_a_rule_is_still_needed() -> None:
    by_path = {module.where: module for module in all_modules()}
    for where in LARGE_MODULES:
        assert by_path[where].text.count("\n") > MODULE_LINES_MAX
    for where in BROAD_HANDLERS:
        assert list(_broad_handlers(by_path[where])), where
    for where in NAMED_FOR_WHAT_THEY_ARE:
        assert where in by_path


def whole_house() -> list[Module]:
    return [*all_modules(), *modules("tests")]


def _functions(module: Module) -> Iterator[tuple[str, int]]:
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def _broad_handlers(module: Module) -> Iterator[int]:
    for node in module.nodes:
        if not isinstance(node, ast.ExceptHandler):
            continue
        inside = ast.walk(node.type) if node.type is not None else ()
        names = {one.id for one in inside if isinstance(one, ast.Name)}
        is_broad = node.type is None or names & {"Exception", "BaseException"}
        last = node.body[-1]
        if is_broad and not (isinstance(last, ast.Raise) and last.exc is None):
            yield node.lineno
