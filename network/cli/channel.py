"""``tongban channel``: list and show."""

from pathlib import Path

import click

from tongban.network.channel_view import view_channel
from tongban.network.cli.context import dir_option, json_option
from tongban.network.cli.output import refusals, say, say_json
from tongban.network.cli.reach import open_connections
from tongban.network.cli.screen import table
from tongban.network.language import text
from tongban.network.network_checks import read_heights


@click.group(name="channel")
def channel() -> None:
    """Look at channels."""


@channel.command(name="list")
@json_option
@dir_option
@refusals
def list_channels(as_json: bool, directory: Path) -> None:
    """The channels of the network: members, and the height at each peer that answers."""
    topology = open_connections(directory).topology
    heights = read_heights(dict(topology.nodes()))
    columns = ("channel", "organizations", "heights")
    rows = [
        {
            "channel": one.id,
            "organizations": list(one.organizations),
            "heights": heights.get(one.id, {}),
        }
        for one in topology.channels
    ]
    if as_json:
        say_json(rows)
        return
    table(
        columns,
        [
            (
                one.id,
                " ".join(one.organizations),
                " ".join(f"{node}={height}" for node, height in heights.get(one.id, {}).items()),
            )
            for one in topology.channels
        ],
    )


@channel.command()
@click.argument("channel_id", metavar="CHANNEL")
@json_option
@dir_option
@refusals
def show(channel_id: str, as_json: bool, directory: Path) -> None:
    """Who is on CHANNEL, who orders, and which policies hold."""
    connections = open_connections(directory)
    found = view_channel(connections, connections.find_channel(channel_id))
    if as_json:
        say_json(found)
        return
    batch = found["batch"]
    organizations = ", ".join(
        f"{one['msp_id']} ({', '.join(one['anchor_peers']) or text('clients only', '仅客户端')})"
        for one in found["organizations"]
    )
    rows = [
        (text("channel", "通道"), found["channel"]),
        (text("height", "高度"), found["height"]),
        (text("configuration", "配置"), found["config_sequence"]),
        (text("organizations", "组织"), organizations),
        (text("orderers", "排序节点"), ", ".join(found["orderers"])),
        (text("consensus", "共识"), found["consensus"]),
        (
            text("batch", "出块"),
            f"{batch['count_max']} tx, {batch['bytes_preferred']} B, {batch['timeout_ms']} ms",
        ),
        *found["policies"].items(),
    ]
    width = max(len(str(name)) for name, _ in rows)
    for name, value in rows:
        say(f"{name:{width}}  {value}")
