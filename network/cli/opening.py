"""Reading what network a directory holds."""

from pathlib import Path

from tongban.network.cli.context import open_layout
from tongban.network.errors import NetworkError
from tongban.network.language import text
from tongban.network.layout import NetworkLayout
from tongban.network.topology import Topology, load_topology


def open_network(directory: Path) -> tuple[NetworkLayout, Topology]:
    """Raises NetworkError if there is no network in the directory."""
    layout = open_layout(directory)
    if not layout.topology.exists():
        raise NetworkError(
            text(f"no network in {layout.root}", f"{layout.root} 中没有网络"),
            text("Start one: tongban network up", "启动一个: tongban network up"),
        )
    return layout, load_topology(layout.topology)
