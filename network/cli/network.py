"""``tongban network``: up, down, status, logs, clean, start, stop."""

import time
from collections import deque
from pathlib import Path

import click

from tongban.network.cli.context import (
    Command,
    dir_option,
    json_option,
    open_layout,
    open_network,
)
from tongban.network.cli.output import refusals, say, say_json, steps, table, text
from tongban.network.control import Control
from tongban.network.errors import NetworkError
from tongban.network.start import StartOptions, bring_up, clean, is_healthy
from tongban.network.topology import load_profile, load_topology, profile_names


@click.group(name="network")
def network() -> None:
    """Start and stop a network on this machine."""


@network.command()
@click.option(
    "--profile", default="two-org", show_default=True, help=f"One of {', '.join(profile_names())}."
)
@click.option(
    "--topology",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A topology file instead of a profile.",
)
@click.option("--sample", is_flag=True, help="Deploy the sample contract as well.")
@click.option("--fresh", is_flag=True, help="Throw away what the directory holds.")
@click.option("--base-port", type=click.IntRange(1024, 65000), help="Count ports up from here.")
@dir_option
@refusals
def up(
    profile: str,
    topology: Path | None,
    sample: bool,
    fresh: bool,
    base_port: int | None,
    directory: Path,
) -> None:
    """Start all nodes and deploy the contracts of the topology."""
    found = load_topology(topology) if topology else load_profile(profile)
    if base_port is not None:
        found = found.moved_to(base_port)
    layout = open_layout(directory)
    started = time.monotonic()
    with steps() as tell:
        bring_up(found, layout, StartOptions(fresh, sample), tell)
    seconds = time.monotonic() - started
    say(
        text(
            f"network {found.name} is up ({seconds:.1f} s)",
            f"网络 {found.name} 已启动({seconds:.1f} 秒)",
        )
    )
    for organization in found.organizations:
        for peer in organization.peers:
            name = f"{peer.name}.{organization.domain}"
            say(f"  {organization.msp_id}  {name}  localhost:{peer.port}")
    say(text(f"  files: {layout.root}", f"  文件: {layout.root}"))


@network.command()
@dir_option
@refusals
def down(directory: Path) -> None:
    """Stop all nodes; everything they hold stays."""
    Control(open_layout(directory)).down()
    say(text("the network is down", "网络已停止"))


@network.command()
@json_option
@dir_option
@refusals
def status(as_json: bool, directory: Path) -> None:
    """What each node does."""
    layout, topology = open_network(directory)
    ports = dict(topology.nodes())
    rows = [
        (
            node.name,
            node.state,
            node.pid,
            ports[node.name].port,
            "healthy" if is_healthy(ports[node.name].operations_port) else "not healthy",
            node.starts,
        )
        for node in Control(layout).status()
    ]
    columns = ("node", "state", "pid", "port", "health", "starts")
    if as_json:
        say_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        table(columns, rows)


@network.command()
@click.argument("node", required=False)
@click.option("--lines", "-n", default=20, show_default=True, help="Lines of each log.")
@dir_option
@refusals
def logs(node: str | None, lines: int, directory: Path) -> None:
    """The last lines of the nodes' logs."""
    layout, topology = open_network(directory)
    names = [name for name, _ in topology.nodes()]
    if node is not None and node not in names:
        raise NetworkError(f"no node {node!r}", f"Expected one of: {', '.join(names)}")
    for name in [node] if node else names:
        path = layout.node_log(name)
        say(f"== {name} ({path})")
        if path.exists():
            with path.open(encoding="utf-8", errors="replace") as file:
                for line in deque(file, maxlen=lines):
                    say(line.rstrip("\n"))


def _node_command(verb: str, help_text: str) -> Command:
    @network.command(name=verb, help=help_text)
    @click.argument("nodes", nargs=-1, required=True)
    @dir_option
    @refusals
    def run(nodes: tuple[str, ...], directory: Path) -> None:
        control = Control(open_layout(directory))
        method = {"start": control.start, "stop": control.stop, "kill": control.kill}[verb]
        for node in method(*nodes):
            if node.name in nodes:
                say(f"{node.name}: {node.state}")

    return run


_node_command("start", "Start nodes that were stopped.")
_node_command("stop", "Stop nodes; they stay stopped.")
_node_command("kill", "Kill nodes as a power cut would; they are started again.")


@network.command(name="clean")
@dir_option
@refusals
def clean_command(directory: Path) -> None:
    """Remove the network's directory with everything in it."""
    layout = open_layout(directory)
    clean(layout)
    say(text(f"removed {layout.root}", f"已删除 {layout.root}"))
