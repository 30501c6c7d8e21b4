"""``tongban reactions``: what waits for departments that were away, and the worker that runs it."""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import click

from tongban.contracts.canonical import encode
from tongban.network.cli.calls import read_transient
from tongban.network.cli.context import as_option, dir_option, json_option, open_layout
from tongban.network.cli.output import refusals, say, say_json
from tongban.network.cli.reach import open_connections, parse_who
from tongban.network.cli.screen import table
from tongban.network.reactions import Attempt, ReactionWorker, Result, WorkerOptions
from tongban.network.rules import ChannelRules
from tongban.sdk import Timeouts

TIMEOUTS = Timeouts(evaluate_s=10, endorse_s=20, submit_s=10, commit_status_s=60)


@click.group(name="reactions")
def reactions() -> None:
    """Reactions that wait until a department's peers are back."""


@reactions.command()
@click.argument("channel")
@click.option("--once", is_flag=True, help="Deal with what waits now, and end.")
@click.option("--transient", multiple=True, help="NAME=VALUE or NAME=@FILE, for every reaction.")
@click.option("--endorse", multiple=True, metavar="MSP", help="Who endorses without the others.")
@as_option
@json_option
@dir_option
@refusals
def run(
    channel: str,
    once: bool,
    transient: tuple[str, ...],
    endorse: tuple[str, ...],
    who: str | None,
    as_json: bool,
    directory: Path,
) -> None:
    """Run what waits on CHANNEL for the department of --as, a line each, until interrupted. It can
    be killed at any moment; each reaction happens once."""
    connections = open_connections(directory)
    connections.find_channel(channel)
    organization, user = parse_who(connections, who)
    passed: Mapping[str, object] = read_transient(transient)
    folder = open_layout(directory).root / "reactions" / channel / organization.msp_id
    options = WorkerOptions(
        organization.msp_id,
        folder,
        transient=lambda pending: passed,
        endorsing_organizations=endorse,
    )
    with connections.gateway(organization, user, TIMEOUTS) as gateway:
        worker = ReactionWorker(
            gateway.get_network(channel), options, lambda attempt: _tell(attempt, as_json)
        )
        if once:
            attempts = worker.run_once()
            if any(attempt.result is Result.FAILED for attempt in attempts):
                raise SystemExit(1)
            return

        def end(number: int, frame: FrameType | None) -> None:
            worker.stop()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        worker.run()


@reactions.command(name="list")
@click.argument("channel")
@as_option
@json_option
@dir_option
@refusals
def list_waiting(channel: str, who: str | None, as_json: bool, directory: Path) -> None:
    """What waits on CHANNEL, for all departments."""
    connections = open_connections(directory)
    found = connections.find_channel(channel)
    organization, user = parse_who(connections, who)
    records = ChannelRules(connections, found).records()
    active = [record.active for record in records if record.active is not None]
    rows: list[Sequence[object]] = []
    with connections.gateway(organization, user, TIMEOUTS) as gateway:
        network = gateway.get_network(channel)
        for department in sorted({rule.target_department for rule in active}):
            options = WorkerOptions(department, directory)
            worker = ReactionWorker(network, options, lambda attempt: None)
            for source, target in worker.ways():
                rows += [
                    (one.at.isoformat(), department, one.rule, one.tx_id, one.id)
                    for one in worker.waiting(source, target)
                ]
    columns = ("since", "department", "rule", "transaction", "id")
    if as_json:
        say_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        table(columns, rows)


def _tell(attempt: Attempt, as_json: bool) -> None:
    if as_json:
        say(encode(asdict(attempt)).decode())
        return
    text = f"  {attempt.text}" if attempt.text else ""
    say(f"{attempt.result}\t{attempt.rule}\t{attempt.id}\t{attempt.tx_id}{text}")
