"""``tongban network``: up, down, status, logs, clean, start, stop, kill."""

from pathlib import Path

import click

from tongban.network.cli.context import Command, dir_option, open_layout
from tongban.network.cli.lazy import Lazy, LazyGroup
from tongban.network.cli.output import refusals, say
from tongban.network.control import Control, clean
from tongban.network.language import text

LAZY = {
    "up": Lazy(
        "tongban.network.cli.up",
        "up",
        "Start all nodes and deploy the contracts of the topology.",
        "启动所有节点并部署合约",
    ),
    "start": Lazy(
        "tongban.network.cli.start", "start", "Start nodes that were stopped.", "启动已停止的节点"
    ),
    "status": Lazy("tongban.network.cli.status", "status", "What each node does.", "各节点状态"),
    "logs": Lazy(
        "tongban.network.cli.status", "logs", "The last lines of the nodes' logs.", "节点日志末尾"
    ),
}


@click.group(name="network", cls=LazyGroup, lazy=LAZY)
def network() -> None:
    """Start and stop a network on this machine."""


@network.command()
@dir_option
@refusals
def down(directory: Path) -> None:
    """Stop all nodes; everything they hold stays."""
    Control(open_layout(directory)).down()
    say(text("the network is down", "网络已停止"))


def _node_command(verb: str, help_text: str) -> Command:
    @network.command(name=verb, help=help_text)
    @click.argument("nodes", nargs=-1, required=True)
    @dir_option
    @refusals
    def run(nodes: tuple[str, ...], directory: Path) -> None:
        control = Control(open_layout(directory))
        method = {"stop": control.stop, "kill": control.kill}[verb]
        for node in method(*nodes):
            if node.name in nodes:
                say(f"{node.name}: {node.state}")

    return run


_node_command("stop", "Stop nodes; they stay stopped.")
_node_command("kill", "Kill nodes as a power cut would; they are started again.")


@network.command(name="clean")
@dir_option
@refusals
def clean_command(directory: Path) -> None:
    """Remove what the network made, and its directory if nothing else is in it."""
    layout = open_layout(directory)
    clean(layout)
    if layout.root.exists():
        say(
            text(
                f"removed what the network made in {layout.root}",
                f"已删除网络在 {layout.root} 中生成的文件",
            )
        )
    else:
        say(text(f"removed {layout.root}", f"已删除 {layout.root}"))
