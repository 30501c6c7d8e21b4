"""What must hold before a network can start on this machine; each failure comes with its remedy."""

import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from tongban.network.topology import Topology

DISK_BYTES_MIN = 512 * 1024 * 1024
"""Free disk for material, logs and a day of trying things out."""

SOCKET_PATH_BYTES_MAX = 107
"""Of a Unix socket's address (unix(7))."""


def problems(topology: Topology, root: Path) -> Iterator[str]:
    """Everything that would keep the network from starting."""
    yield from port_problems(topology)
    yield from machine_problems(root)


def machine_problems(root: Path) -> Iterator[str]:
    if sys.platform != "linux":
        yield f"Linux is needed, found {sys.platform}"
    existing = root
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < DISK_BYTES_MIN:
        yield (
            f"{existing} has {free // 1024 // 1024} MiB of free disk, at least "
            f"{DISK_BYTES_MIN // 1024 // 1024} MiB are needed; free some or use --dir elsewhere"
        )


def port_problems(topology: Topology) -> Iterator[str]:
    for name, node in topology.nodes():
        for port in (node.port, node.operations_port):
            if not is_free(port):
                yield (
                    f"port {port} of {name} is taken by another process; stop it (who it is: "
                    f"ss -ltnp 'sport = :{port}') or move the network: --base-port {port + 10_000}"
                )


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
