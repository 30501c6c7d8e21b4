"""Which fences hold on this machine, found out by putting them up around a process of ours."""

import json
import os
import subprocess
import sys
from typing import Final

from tongban.node.runtime.workers.fences import FENCES
from tongban.node.runtime.workers.launcher import Orders, to_argument
from tongban.node.runtime.workers.process import ENVIRONMENT, INTERPRETER_OPTIONS, LAUNCHER
from tongban.node.runtime.workers.settings import WorkerSettings

_TIMEOUT_S: Final = 20.0


def describe_fences(settings: WorkerSettings | None = None) -> dict[str, str]:
    """For each fence ``held`` or the reason why it does not hold. Blocks for the fraction of a
    second that a process takes; no contract's code runs in it."""
    orders = Orders("", -1, -1, os.getpid(), (settings or WorkerSettings()).to_limits())
    try:
        done = subprocess.run(
            [sys.executable, *INTERPRETER_OPTIONS, "-m", LAUNCHER, to_argument(orders)],
            capture_output=True,
            check=False,
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
        )
        found = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        return dict.fromkeys(FENCES, f"the probe did not answer: {error}")
    return {name: str(found.get(name, "not reported")) for name in FENCES}
