"""The source files of the house, read once for the tests beside this module."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[3]

TOP_LEVEL = ("protos", "node", "contracts", "sdk", "network", "portal")
"""Folders whose import name is ``tongban.`` and their own."""


@dataclass(frozen=True)
class Module:
    """One file. ``name`` is its import name without the brand: ``node.core.state``."""

    path: Path
    name: str
    text: str
    tree: ast.Module

    @property
    def where(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the tree."""
        return list(ast.walk(self.tree))

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and name of every module that is imported, wherever in the file."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node.lineno, alias.name
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    yield node.lineno, f"{self._from(node)}.{alias.name}"

    def _from(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        package = parts if self.path.name == "__init__.py" else parts[:-1]
        base = package[: len(package) - node.level + 1]
        return ".".join(["tongban", *base, *([node.module] if node.module else [])])


@cache
def modules(folder: str) -> tuple[Module, ...]:
    """The modules of a top-level folder, generated code left out."""
    return tuple(
        Module(path, _name(path), text, ast.parse(text))
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not path.stem.endswith(("_pb2", "_pb2_grpc"))
        for text in [path.read_text(encoding="utf-8")]
    )


def all_modules() -> list[Module]:
    return [module for folder in TOP_LEVEL for module in modules(folder)]


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
