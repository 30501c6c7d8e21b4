"""Whether a folder is a contract that peers will load: ``python -m tongban.contracts.check DIR``.

The package is built, its modules are loaded under the import rules of a worker, and a call is made
on a ledger in memory. Prints a JSON object: ``package_id`` and ``functions``, or ``error`` with the
reason; exit status 1 then. Runs the contract's code, so it is a process of its own.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tongban.contracts.dispatch import ContractSet, RawContractSet, load_package
from tongban.contracts.metadata import METADATA_FUNCTION, SYSTEM_CONTRACT
from tongban.contracts.packaging import BuiltPackage, build_project
from tongban.contracts.runtime.imports import PackageFinder
from tongban.contracts.testing import Ledger
from tongban.protos.errors import TongbanError
from tongban.protos.package_format import parse_code, parse_package


def check(directory: Path) -> dict[str, object]:
    """What the contract in the folder offers.

    Raises:
        TongbanError: it cannot be packaged or loaded, with the place and the reason.
        Exception: whatever the contract's own code raises when it is loaded.
    """
    built = build_project(directory)
    package = _load(built)
    deployed = Ledger().deploy_package(package, built.project.name)
    if isinstance(package, RawContractSet):
        return {"package_id": built.package_id, "functions": []}
    deployed.evaluate(f"{SYSTEM_CONTRACT}:{METADATA_FUNCTION}")
    return {"package_id": built.package_id, "functions": _functions(package)}


def _load(built: BuiltPackage) -> ContractSet | RawContractSet:
    sources = parse_code(parse_package(built.content).code)
    sys.meta_path.insert(0, PackageFinder(built.project.label, sources))
    return load_package(built.project.modules)


def _functions(package: ContractSet) -> list[dict[str, Any]]:
    return [
        {
            "name": function.name if contract == package.default else f"{contract}:{name}",
            "kind": "submit" if function.is_submit else "evaluate",
            "parameters": [parameter.name for parameter in function.parameters],
        }
        for contract, loaded in package.contracts.items()
        for name, function in loaded.functions.items()
    ]


def main(arguments: list[str]) -> int:
    """The command."""
    if len(arguments) != 1:
        print("usage: python -m tongban.contracts.check DIR", file=sys.stderr)
        return 2
    try:
        answer: dict[str, object] = check(Path(arguments[0]))
    except TongbanError as error:
        answer = {"error": str(error)}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    json.dump(answer, sys.stdout, ensure_ascii=False)
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
