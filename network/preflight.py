"""What must hold before a network can start on this machine; each failure comes with its remedy."""

import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from tongban.network.language import text
from tongban.network.topology import Topology

DISK_BYTES_MIN = 512 * 1024 * 1024
"""Free disk for material, logs and a day of trying things out."""

_MIB = 1024 * 1024


def problems(topology: Topology, root: Path) -> Iterator[str]:
    """Everything that would keep the network from starting."""
    for explanation, remedy in (*machine_problems(root), *port_problems(topology)):
        yield f"{explanation}; {remedy}"


def machine_problems(root: Path) -> Iterator[tuple[str, str]]:
    """What is wrong with the machine, and what to do."""
    if sys.platform != "linux":
        yield (
            text(f"Linux is needed, found {sys.platform}", f"需要 Linux,当前为 {sys.platform}"),
            text("use a Linux machine or WSL", "请使用 Linux 或 WSL"),
        )
    existing = root
    while not existing.exists():
        existing = existing.parent
    free, needed = shutil.disk_usage(existing).free // _MIB, DISK_BYTES_MIN // _MIB
    if free < needed:
        yield (
            text(
                f"{existing} has {free} MiB of free disk, at least {needed} MiB are needed",
                f"{existing} 剩余磁盘 {free} MiB,至少需要 {needed} MiB",
            ),
            text("free some or use --dir elsewhere", "请清理磁盘,或用 --dir 换到别处"),
        )


def port_problems(topology: Topology) -> Iterator[tuple[str, str]]:
    """Which ports are taken, and what to do."""
    for name, node in topology.nodes():
        for port in (node.port, node.operations_port):
            if not is_free(port):
                who = f"ss -ltnp 'sport = :{port}'"
                yield (
                    text(
                        f"port {port} of {name} is taken by another process",
                        f"{name} 的端口 {port} 已被占用",
                    ),
                    text(
                        f"stop it (who it is: {who}) or move the network: tongban network up "
                        "--base-port 20000",
                        f"请停止占用者(查看: {who}),或移动端口: tongban network up "
                        "--base-port 20000",
                    ),
                )


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
