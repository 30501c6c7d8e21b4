"""``tongban network up``."""

import time
from pathlib import Path

import click

from tongban.network.cli.context import dir_option, open_layout
from tongban.network.cli.output import refusals, say
from tongban.network.cli.screen import steps
from tongban.network.language import text
from tongban.network.start import StartOptions, bring_up
from tongban.network.topology import load_profile, load_topology, profile_names

PROFILE_DEFAULT = "two-org"


@click.command()
@click.option(
    "--profile",
    help=f"One of {', '.join(profile_names())}; by default the network that DIR holds, or else "
    f"{PROFILE_DEFAULT}.",
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
    profile: str | None,
    topology: Path | None,
    sample: bool,
    fresh: bool,
    base_port: int | None,
    directory: Path,
) -> None:
    """Start all nodes and deploy the contracts of the topology."""
    layout = open_layout(directory)
    if topology is not None:
        found = load_topology(topology)
    elif profile is None and layout.topology.exists():
        found = load_topology(layout.topology)
    else:
        found = load_profile(profile or PROFILE_DEFAULT)
    if base_port is not None:
        found = found.moved_to(base_port)
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
