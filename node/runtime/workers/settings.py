"""What a worker may use, and for how long, before the host steps in."""

from dataclasses import dataclass
from typing import Final, Literal

from tongban.node.runtime.workers.fences import WorkerLimits

RUNTIME: Final = "tongban.contracts.runtime.worker"
"""The module that a worker runs. A node names it and never imports it."""

TICK_S: Final = 0.1
"""Seconds between two looks at a worker that has something to do."""

ATTEMPTS_MAX: Final = 4
"""Simulations of one transaction: the first, and those after losing the worker to others."""

RETIRED_MAX: Final = 2
"""Workers of one package that are held by one transaction each and take no others."""

LAUNCH_PAUSE_S: Final = 2.0
"""Seconds for which a package that could not be started is not tried again."""


UNUSED_SPACE_BYTES: Final = 512 * 1024 * 1024
"""What a worker may map beyond the memory it may use: libraries, and room between allocations. The
kernel holds it to the sum."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Bounds of every worker of a node."""

    execute_timeout_s: float = 30.0
    """A transaction, from its start to its answer (fabric sampleconfig/core.yaml,
    chaincode.executetimeout)."""

    start_timeout_s: float = 60.0
    """A worker, from its start until its package is loaded."""

    hold_max_s: float = 0.5
    """How long a transaction may keep the CPU before the others of its worker go elsewhere."""

    memory_bytes_max: int = 512 * 1024 * 1024
    """Resident memory of one worker; the host looks at every tick."""

    open_files_max: int = 64
    in_flight_max: int = 256
    """Transactions of one package that run side by side."""

    waiting_max: int = 2_048
    """Transactions of one package that wait for one of these places."""

    sandbox: Literal["required", "best-effort"] = "best-effort"
    """``required`` refuses to run contracts where a fence does not hold."""

    runtime: str = RUNTIME

    def to_limits(self) -> WorkerLimits:
        address_space = self.memory_bytes_max + UNUSED_SPACE_BYTES
        return WorkerLimits(address_space, self.open_files_max, self.cpu_grant_s)

    @property
    def cpu_grant_s(self) -> int:
        """Seconds of CPU that the kernel lets a worker use until the host grants more. Only a
        worker that the host has lost sight of ever uses them up."""
        return int(2 * max(self.execute_timeout_s, self.start_timeout_s)) + 1
