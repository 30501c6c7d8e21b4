"""What a node would find on this machine: ``python -m tongban.node.doctor``.

Prints a JSON object: ``fences`` says for each fence around contract workers ``held`` or why not,
``missing`` names those without which a node with ``sandbox: required`` refuses to run contracts.
"""

import json
import sys

from tongban.node.runtime.workers.fences import missing_fences
from tongban.node.runtime.workers.probe import describe_fences


def main() -> int:
    """The command."""
    fences = describe_fences()
    json.dump({"fences": fences, "missing": missing_fences(fences)}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
