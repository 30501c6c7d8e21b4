"""Nodes are started, watched, started again, and commanded over a socket of their owner's."""

import asyncio
import json
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tongban.network import supervisor
from tongban.network.control import Control, NodeStatus
from tongban.network.errors import NetworkError
from tongban.network.layout import NetworkLayout
from tongban.network.supervisor import SupervisedNode, Supervisor
from tongban.network.topology import load_profile

PRETEND = "tests.support.pretend_node"
ORDERER = "orderer.example.com"
SECONDS_MAX = 20.0


def place(root: Path, name: str, word: str) -> NetworkLayout:
    layout = NetworkLayout(root)
    layout.node(name).mkdir(parents=True)
    layout.node_config(name).write_text(word)
    return layout


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS_MAX):
        while not holds():  # noqa: ASYNC110 (what is waited for happens in another process)
            await asyncio.sleep(0.01)


def started(layout: NetworkLayout, name: str) -> int:
    path = layout.node(name) / "starts"
    return path.read_text().count("started") if path.exists() else 0


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), SECONDS_MAX * 2))


def test_a_node_that_ends_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "PAUSE_SECONDS_FIRST", 0.01)
    layout = place(tmp_path, "node", "70")

    async def test() -> None:
        node = SupervisedNode("node", PRETEND, layout)
        node.start()
        await until(lambda: started(layout, "node") >= 2)
        await node.stop()
        assert node.status()["state"] == "stopped"

    run(test)


def test_a_node_that_refuses_to_start_is_left_and_its_log_named(tmp_path: Path) -> None:
    layout = place(tmp_path, "node", "1")

    async def test() -> None:
        node = SupervisedNode("node", PRETEND, layout)
        node.start()
        await until(lambda: str(node.status()["state"]).startswith("refused"))
        assert str(layout.node_log("node")) in str(node.status()["state"])
        assert Control(layout).last_words("node") == "status 1, as asked"
        assert started(layout, "node") == 1
        await node.stop()

    run(test)


def test_a_node_that_does_not_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "STOP_SECONDS_MAX", 0.1)
    layout = place(tmp_path, "node", "stubborn")

    async def test() -> None:
        node = SupervisedNode("node", PRETEND, layout)
        node.start()
        await until(lambda: started(layout, "node") == 1)
        await node.stop()
        assert node.status()["pid"] is None

    run(test)


@asynccontextmanager
async def supervised(root: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Control]:
    """A supervisor of pretended nodes, and the way to command it."""
    layout = NetworkLayout(root)
    topology = load_profile("two-org")
    layout.topology.write_text(json.dumps(topology.model_dump(mode="json")))
    for name, _ in topology.nodes():
        place(root, name, "serve")
    real = SupervisedNode.__init__

    def pretend(self: SupervisedNode, name: str, module: str, layout: NetworkLayout) -> None:
        real(self, name, PRETEND, layout)

    monkeypatch.setattr(SupervisedNode, "__init__", pretend)
    task = asyncio.create_task(Supervisor(layout).run())
    await until(layout.supervisor_socket.exists)
    try:
        yield Control(layout)
        async with asyncio.timeout(SECONDS_MAX):
            await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def by_name(statuses: list[NodeStatus]) -> dict[str, NodeStatus]:
    return {status.name: status for status in statuses}


def test_nodes_are_stopped_started_killed_and_ended_by_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with supervised(tmp_path, monkeypatch) as control:
            layout = NetworkLayout(tmp_path)
            assert stat.S_IMODE(layout.supervisor_socket.stat().st_mode) == 0o600
            await until(lambda: started(layout, ORDERER) == 1)
            stopped = by_name(await asyncio.to_thread(control.stop, ORDERER))
            assert (stopped[ORDERER].state, stopped[ORDERER].pid) == ("stopped", None)
            assert all(one.pid for name, one in stopped.items() if name != ORDERER)
            await asyncio.to_thread(control.start, ORDERER)
            await until(lambda: started(layout, ORDERER) == 2)
            await asyncio.to_thread(control.kill, ORDERER)
            await until(lambda: started(layout, ORDERER) == 3)
            with pytest.raises(NetworkError, match="nodes of this network"):
                await asyncio.to_thread(control.stop, "nobody")
            await asyncio.to_thread(control._command, "down")

    run(test)


def test_what_is_no_command_is_answered_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with supervised(tmp_path, monkeypatch) as control:
            before = await asyncio.to_thread(control.status)
            reader, writer = await asyncio.open_unix_connection(
                NetworkLayout(tmp_path).supervisor_socket
            )
            for line in (b"nonsense", b"[]", b'["fly"]', b'["stop", "nobody"]', b"{}", b"7"):
                writer.write(line + b"\n")
                answer = json.loads(await reader.readline())
                assert "error" in answer, line
            writer.close()
            await writer.wait_closed()
            after = await asyncio.to_thread(control.status)
            assert [one.name for one in after] == [one.name for one in before]
            assert all(one.state == "running" for one in after)
            await asyncio.to_thread(control._command, "down")

    run(test)


def test_without_a_supervisor_commands_say_what_to_do(tmp_path: Path) -> None:
    control = Control(NetworkLayout(tmp_path))
    assert not control.is_running
    for command in (control.status, control.down):
        with pytest.raises(NetworkError, match="tongban network up"):
            command()
