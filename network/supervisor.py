"""Keeps the nodes of one network running: ``python -m tongban.network.supervisor --dir DIR``.

Each node is a process with its log in a file. One that ends by itself is started again after a
pause that grows; one that refuses to start (exit status 1 or 2) is not: it would refuse again.
Commands come as JSON lines over a socket in DIR that only its owner can open: ``status``,
``start NODE``, ``stop NODE``, ``kill NODE``, ``down``.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tongban.network.layout import NetworkLayout
from tongban.network.topology import load_topology
from tongban.protos.errors import TongbanError

REFUSED = (1, 2)
"""Exit statuses of a node that cannot start with what it was given."""

PAUSE_SECONDS_FIRST = 0.2
PAUSE_SECONDS_MAX = 10.0
HEALTHY_SECONDS = 10.0
"""After running for so long, a node that ends is started again at once."""

STOP_SECONDS_MAX = 15.0
"""Longer than a node's own limit for draining; then it is killed."""

COMMAND_BYTES_MAX = 4_096


class SupervisedNode:
    """One node: started, watched, started again."""

    def __init__(self, name: str, module: str, layout: NetworkLayout) -> None:
        self.name = name
        self._module = module
        self._layout = layout
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._pause = PAUSE_SECONDS_FIRST
        self.starts = 0
        self.state = "stopped"

    def status(self) -> dict[str, object]:
        process = self._process
        running = process is not None and process.returncode is None
        return {
            "name": self.name,
            "state": "running" if running else self.state,
            "pid": process.pid if running and process is not None else None,
            "starts": self.starts,
        }

    def start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep_running())

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """The node has ended when this returns."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        process = self._process
        if process is not None and process.returncode is None:
            process.send_signal(how)
            try:
                async with asyncio.timeout(STOP_SECONDS_MAX):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        self.state = "stopped"

    def kill(self) -> None:
        """End it as a power cut would; it is started again soon, since it did not fail."""
        if self._process is not None and self._process.returncode is None:
            self._pause = PAUSE_SECONDS_FIRST
            self._process.kill()

    async def _keep_running(self) -> None:
        self._pause = PAUSE_SECONDS_FIRST
        while True:
            started = time.monotonic()
            process = await self._spawn()
            code = await process.wait()
            if code in REFUSED:
                self.state = f"refused (status {code}); see {self._layout.node_log(self.name)}"
                return
            if time.monotonic() - started > HEALTHY_SECONDS:
                self._pause = PAUSE_SECONDS_FIRST
            self.state = f"ended with status {code}, starting again"
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, PAUSE_SECONDS_MAX)

    async def _spawn(self) -> asyncio.subprocess.Process:
        path = self._layout.node_log(self.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                self._module,
                "--config",
                str(self._layout.node_config(self.name)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1
        return self._process


class Supervisor:
    """All nodes of one network, and the socket through which they are commanded."""

    def __init__(self, layout: NetworkLayout) -> None:
        self._layout = layout
        topology = load_topology(layout.topology)
        orderers = {f"{node.name}.{topology.orderer.domain}" for node in topology.orderer.nodes}
        self._nodes = {
            name: SupervisedNode(
                name, f"tongban.node.{'orderer' if name in orderers else 'peer'}", layout
            )
            for name, _ in topology.nodes()
        }
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Until SIGTERM or the command ``down``; all nodes have ended then."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._layout.supervisor_socket.unlink(missing_ok=True)
        previous = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(
                self._serve, self._layout.supervisor_socket, limit=COMMAND_BYTES_MAX
            )
        finally:
            os.umask(previous)
        for node in self._nodes.values():
            node.start()
        async with server:
            await self._stopping.wait()
        await asyncio.gather(*(node.stop() for node in self._nodes.values()))
        self._layout.supervisor_socket.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                answer = await self._command(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            pass  # the client has gone, or sent a line that is too long
        finally:
            writer.close()

    async def _command(self, line: bytes) -> dict[str, object]:
        try:
            words = json.loads(line)
            verb, names = words[0], words[1:]
            nodes = [self._nodes[name] for name in names]
        except (ValueError, LookupError, TypeError):
            return {"error": "expected [verb, node, …] with nodes of this network"}
        if verb == "down":
            self._stopping.set()
        elif verb == "start":
            for node in nodes:
                node.start()
        elif verb == "stop":
            await asyncio.gather(*(node.stop() for node in nodes))
        elif verb == "kill":
            for node in nodes:
                node.kill()
        elif verb != "status":
            return {"error": f"unknown verb {verb!r}"}
        return {"pid": os.getpid(), "nodes": [node.status() for node in self._nodes.values()]}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="tongban.network.supervisor")
    parser.add_argument("--dir", type=Path, required=True, help="the network's directory")
    options = parser.parse_args(arguments)
    try:
        asyncio.run(_run(NetworkLayout(options.dir.absolute())))
    except TongbanError as error:
        print(f"the network cannot start: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(layout: NetworkLayout) -> None:
    await Supervisor(layout).run()


if __name__ == "__main__":
    sys.exit(main())
