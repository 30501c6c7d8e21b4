"""``tongban doctor``."""

import datetime as dt
import sys
from dataclasses import asdict
from pathlib import Path

import click

from tongban.network.cli.context import dir_option, json_option, open_layout
from tongban.network.cli.output import REFUSED, refusals, say, say_json
from tongban.network.doctor import examine
from tongban.network.findings import Finding, Level
from tongban.network.language import text

MARKS = {Level.OK: ("✓", "green"), Level.WARNING: ("!", "yellow"), Level.PROBLEM: ("✗", "red")}


@click.command()
@json_option
@dir_option
@refusals
def doctor(as_json: bool, directory: Path) -> None:
    """Look at this machine and the network here: what is wrong, and what to do about it.

    Exit status 1 if something does not work.
    """
    findings = []
    for finding in examine(open_layout(directory), dt.datetime.now(dt.UTC)):
        findings.append(finding)
        if not as_json:
            _show(finding)
    count = {level: sum(one.level is level for one in findings) for level in Level}
    if as_json:
        say_json([asdict(finding) for finding in findings])
    else:
        say(
            text(
                f"{count[Level.PROBLEM]} problems, {count[Level.WARNING]} warnings",
                f"问题 {count[Level.PROBLEM]} 个,警告 {count[Level.WARNING]} 个",
            )
        )
    if count[Level.PROBLEM]:
        sys.exit(REFUSED)


def _show(finding: Finding) -> None:
    mark, color = MARKS[finding.level]
    say(f"{click.style(mark, fg=color)} {finding.subject}: {finding.explanation}")
    if finding.remedy:
        say(f"    → {finding.remedy}")
