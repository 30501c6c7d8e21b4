"""Speaking to the supervisor of a network."""

import json
import os
import shutil
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tongban.network.errors import NetworkError
from tongban.network.language import text
from tongban.network.layout import NetworkLayout
from tongban.network.leftovers import end_leftovers, find_leftovers, is_alive

ANSWER_SECONDS_MAX = 30.0
"""Stopping a node may take its draining time."""

START_SECONDS_MAX = 15.0

LAST_BYTES_MAX = 8_192
"""Of a log, among which its last line is looked for."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """What the supervisor says of a node."""

    name: str
    state: str
    pid: int | None
    starts: int


class Control:
    """Commands to the supervisor of one network."""

    def __init__(self, layout: NetworkLayout) -> None:
        self._layout = layout

    @property
    def is_running(self) -> bool:
        try:
            self._command("status")
        except NetworkError:
            return False
        return True

    def start_supervisor(self) -> None:
        """The supervisor runs in the background and starts the nodes."""
        self._layout.root.mkdir(parents=True, exist_ok=True)
        pid = _spawn(
            [sys.executable, "-m", "tongban.network.supervisor", "--dir", str(self._layout.root)],
            self._layout.supervisor_log,
        )
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.is_running:
            if not is_alive(pid) or time.monotonic() > deadline:
                log = self._layout.supervisor_log
                raise NetworkError(
                    text("the supervisor did not start", "监督进程没有启动"),
                    text(f"See {log}", f"参见 {log}"),
                )
            time.sleep(0.05)

    def status(self) -> list[NodeStatus]:
        return self._command("status")

    def start(self, *nodes: str) -> list[NodeStatus]:
        return self._command("start", *nodes)

    def stop(self, *nodes: str) -> list[NodeStatus]:
        """The nodes have ended when this returns."""
        return self._command("stop", *nodes)

    def kill(self, *nodes: str) -> list[NodeStatus]:
        return self._command("kill", *nodes)

    def down(self) -> None:
        """All nodes and the supervisor have ended when this returns; nodes whose supervisor had
        gone, too."""
        try:
            pid = self.supervisor_pid()
        except NetworkError:
            if not end_leftovers(self._layout):
                raise
            return
        self._command("down")
        deadline = time.monotonic() + ANSWER_SECONDS_MAX
        while is_alive(pid):
            if time.monotonic() > deadline:
                raise NetworkError(
                    text(f"the supervisor (process {pid}) does not end", f"监督进程 {pid} 不结束"),
                    text(f"End it yourself: kill {pid}", f"请自行结束: kill {pid}"),
                )
            time.sleep(0.02)

    def last_words(self, node: str) -> str:
        """The last line of a node's log, where one that cannot start says why."""
        path = self._layout.node_log(node)
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - LAST_BYTES_MAX))
            lines = log.read().decode(errors="replace").splitlines()
        return lines[-1] if lines else ""

    def supervisor_pid(self) -> int:
        """Raises NetworkError if it does not run."""
        answer = self._ask("status")
        pid = answer.get("pid")
        if not isinstance(pid, int):
            raise NetworkError("the supervisor gave no process id")
        return pid

    def _command(self, *words: str) -> list[NodeStatus]:
        nodes = self._ask(*words).get("nodes")
        if not isinstance(nodes, list):
            raise NetworkError("the supervisor gave an answer of unknown form")
        return [NodeStatus(**node) for node in nodes]

    def _ask(self, *words: str) -> dict[str, object]:
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(ANSWER_SECONDS_MAX)
                client.connect(_short(self._layout))
                client.sendall(json.dumps(words).encode() + b"\n")
                with client.makefile("rb") as answers:
                    line = answers.readline()
        except OSError:
            raise NetworkError(
                text(
                    f"no network is running in {self._layout.root}",
                    f"{self._layout.root} 中没有正在运行的网络",
                ),
                text("Start one: tongban network up", "启动一个: tongban network up"),
            ) from None
        answer = json.loads(line or b"{}")
        if "error" in answer:
            raise NetworkError(str(answer["error"]))
        return dict(answer)


def _spawn(command: list[str], log: Path) -> int:
    """Start a process that outlives this one, in a session of its own; returns its id."""
    opened = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), opened, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)


def _short(layout: NetworkLayout) -> str:
    """Socket addresses hold at most 107 bytes; a relative path may be shorter."""
    path = str(layout.supervisor_socket)
    relative = os.path.relpath(path)
    return min((path, relative), key=len)


def refuse_if_running(layout: NetworkLayout) -> None:
    """Raises NetworkError if the network in this directory runs."""
    if Control(layout).is_running:
        raise NetworkError(
            text(f"a network is running in {layout.root}", f"{layout.root} 中的网络正在运行"),
            text("Stop it first: tongban network down", "请先停止: tongban network down"),
        )


def refuse_leftovers(layout: NetworkLayout) -> None:
    """Raises NetworkError if nodes of the network in this directory run without supervisor."""
    names = ", ".join(f"{one.name} (process {one.pid})" for one in find_leftovers(layout))
    if names:
        raise NetworkError(
            text(f"these run without their supervisor: {names}", f"以下节点无人监督: {names}"),
            text("End them: tongban network down", "请清理: tongban network down"),
        )


def clean(layout: NetworkLayout) -> None:
    """What the network made is gone, and its directory if nothing else is in it."""
    refuse_if_running(layout)
    if not layout.root.exists():
        return
    if any(layout.root.iterdir()) and not layout.topology.exists():
        raise NetworkError(
            text(
                f"{layout.root} is not a network's directory and is left alone",
                f"{layout.root} 不是网络目录,未作改动",
            ),
            text("Name the right one with --dir.", "请用 --dir 指明正确的目录。"),
        )
    end_leftovers(layout)
    for path in layout.own:  # what says that this is a network's comes last
        _remove(path)
    for folder in (layout.organizations, layout.root):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
