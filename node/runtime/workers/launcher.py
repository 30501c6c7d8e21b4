"""The first code of a worker's process: fences up, then hand over to the contracts' runtime.

Started by exec with one argument, a JSON object (see :class:`Orders`). Everything the runtime needs
is imported before the fences stand, because nothing can be loaded from elsewhere afterwards. The
runtime is named in the orders and not imported here, since a node does not know contracts.
"""

import importlib
import json
import os
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, cast

from tongban.node.runtime.workers.fences import WorkerLimits, raise_fences


@dataclass(frozen=True, slots=True)
class Orders:
    """What the node tells the launcher."""

    runtime: str
    """Module with ``prepare()`` and ``serve(socket, board, fences)``; ``""`` only reports the
    fences on standard output."""

    socket: int
    board: int
    """Descriptors: the stream to the node, which does not block when the runtime gets it, and the
    shared page that says who is on the CPU."""

    parent: int
    """The node's process id."""

    limits: WorkerLimits


class _Runtime(Protocol):
    prepare: Callable[[], None]
    serve: Callable[[int, int, dict[str, str]], None]


def to_argument(orders: Orders) -> str:
    return json.dumps(asdict(orders))


def _parse_argument(text: str) -> Orders:
    fields = json.loads(text)
    return Orders(**{**fields, "limits": WorkerLimits(**fields["limits"])})


def _readable_folders() -> list[Path]:
    """Where Python and the contract library are: modules are still loaded from there when first
    used, and tracebacks quote them."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    for name in ("tongban.protos", "tongban.contracts"):
        module = sys.modules.get(name)
        folders.update(module.__path__ if module else ())
    return sorted(map(Path, folders))


def main() -> None:
    orders = _parse_argument(sys.argv[1])
    if not orders.runtime:
        json.dump(raise_fences(orders.limits, orders.parent, _readable_folders()), sys.stdout)
        return
    runtime = cast(_Runtime, importlib.import_module(orders.runtime))
    runtime.prepare()
    os.set_blocking(orders.socket, False)
    fences = raise_fences(orders.limits, orders.parent, _readable_folders())
    runtime.serve(orders.socket, orders.board, fences)


if __name__ == "__main__":
    main()
