"""``tongban demo``: the main job, from nothing to the report."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tongban.network.cli.context import open_layout
from tongban.network.cli.output import refusals, say
from tongban.network.cli.screen import console, table
from tongban.network.connections import Connections
from tongban.network.control import Control
from tongban.network.demo.cases import SHIPPED, load_cases
from tongban.network.demo.evidence import LedgerEvidence
from tongban.network.demo.report import Report, columns, tell
from tongban.network.demo.run import Advance, Place, Say, run_cases
from tongban.network.language import text
from tongban.network.layout import NetworkLayout
from tongban.network.preflight import port_problems
from tongban.network.start import StartOptions, bring_up
from tongban.network.topology import Topology, load_profile

PROFILE = "haidian"

FALLBACK_PORTS = (27_100, 37_100, 47_100)
"""Where ports are counted from, if the profile's own are taken."""

LINE_EVERY = 20
"""Cases between two lines of progress in a pipe."""


@click.command()
@click.option(
    "--cases",
    "cases_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=SHIPPED,
    help="A file of cases, a JSON object a line (docs/demo-cases.md); the shipped one if not.",
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".tongban/demo"),
    show_default=True,
    help="For the network and the report; begun anew each time.",
)
@click.option("--keep", is_flag=True, help="Leave the network running.")
@refusals
def demo(cases_file: Path, directory: Path, keep: bool) -> None:
    """Start a district's departments, carry every property transfer of a file through them, and
    show what happened to the electricity accounts and why."""
    cases = load_cases(cases_file)
    started = time.monotonic()
    layout = open_layout(directory)
    if Control(layout).is_running:
        Control(layout).down()
    topology = _with_free_ports(load_profile(PROFILE))
    say(text(f"{len(cases)} cases; the network starts", f"{len(cases)} 件；网络启动中"))
    bring_up(topology, layout, StartOptions(fresh=True), lambda line: None)
    try:
        connections = Connections(topology, layout)
        channel = topology.channels[0]
        place = Place(connections, channel, layout.root / "secrets", layout.root / "reactions")
        with _progress(len(cases)) as (begin, advance):
            endings = asyncio.run(run_cases(place, cases, begin, advance))
        evidence = LedgerEvidence(connections, channel)
        peers = evidence.tips()
        triggered = evidence.triggered(peers[0].height)
    finally:
        if not keep:
            Control(layout).down()
    report = Report(endings, triggered, peers, time.monotonic() - started)
    report.write(layout.root / "report.json")
    _show(report, layout)
    if keep:
        status = f"tongban network status --dir {directory}"
        say(text(f"the network is still up: {status}", f"网络保持运行: {status}"))
    if report.wrong or not report.are_peers_equal:
        sys.exit(1)


def _with_free_ports(topology: Topology) -> Topology:
    """The topology at its own ports, or at others if those are taken."""
    for base in (None, *FALLBACK_PORTS):
        found = topology if base is None else topology.moved_to(base)
        if not list(port_problems(found)):
            return found
    return topology  # starting it says which ports are taken


@contextmanager
def _progress(total: int) -> Iterator[tuple[Say, Advance]]:
    """A bar on a terminal, a line now and then in a pipe."""
    if not sys.stdout.isatty():
        yield _plain_progress(total)
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console(),
    )
    with bar:
        task = bar.add_task("", total=total)

        def begin(english: str, chinese: str) -> None:
            bar.update(task, description=text(english, chinese))

        yield begin, lambda: bar.advance(task)


def _plain_progress(total: int) -> tuple[Say, Advance]:
    done = 0

    def begin(english: str, chinese: str) -> None:
        say(text(english, chinese))

    def advance() -> None:
        nonlocal done
        done += 1
        if done % LINE_EVERY == 0 or done == total:
            say(f"  {done}/{total}")

    return begin, advance


def _show(report: Report, layout: NetworkLayout) -> None:
    _show_story(report)
    say("")
    if not sys.stdout.isatty():
        say("\t".join(columns()))
    table(columns(), report.rows())
    waits = report.latency_ms()
    median, high = waits["p50"] / 1000, waits["p95"] / 1000
    say(
        text(
            f"a citizen waits {median:.2f} s (p50), {high:.2f} s (p95), all desks together",
            f"群众全程等待 {median:.2f} 秒（p50）、{high:.2f} 秒（p95）",
        )
    )
    say(
        text(
            f"{report.triggered} transactions changed register and electricity at once",
            f"{report.triggered} 笔交易同时变更登记簿与用电户",
        )
    )
    for tip in report.peers:
        height = text(f"height {tip.height}", f"高度 {tip.height}")
        say(f"  {tip.name}  {height}  {tip.commit_hash[:32]}…")
    equal = text("all peers are equal", "各节点一致")
    say(equal if report.are_peers_equal else text("PEERS DIFFER", "各节点不一致"))
    seconds = f"{report.seconds:.1f}"
    report_file = layout.root / "report.json"
    say(text(f"{seconds} s; report: {report_file}", f"用时 {seconds} 秒；报告: {report_file}"))
    for ending in report.wrong:
        say(text("not as expected: ", "与预期不符: ") + ending.explain())


def _show_story(report: Report) -> None:
    journey = report.story()
    if journey is None:
        return
    say("")
    say(text(f"One case in full: {journey.case.id}", f"一件办件的全过程: {journey.case.id}"))
    say(text(f"case number {journey.case_no}", f"办件编号 {journey.case_no}"))
    for number, step in enumerate(journey.steps, 1):
        say(f"{number:3}. {tell(step)}")
