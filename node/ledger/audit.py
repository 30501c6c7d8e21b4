"""``python -m tongban.node.ledger.audit DIR``: validate fetched blocks of any Fabric channel again.

DIR holds ``0.block``, ``1.block``, …: serialized blocks as a peer delivers them, from the first one
on. Every block is validated against the ones before and compared with the codes and the commit hash
that a peer recorded in it. Exit status 0 if all agree, 1 if something does not, 2 if DIR is unfit.
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tongban.node.core.block import BlockRefused
from tongban.node.core.validation.audit import ChannelAuditor, Examination


@dataclass(slots=True)
class AuditReport:
    """What an audit found. The first places are sentences that name the block, empty if none."""

    blocks: int = 0
    """Blocks that were validated, not counting a broken one."""

    transactions: int = 0
    flag_mismatches: int = 0
    """Transactions that got another code than the recorded one."""

    commit_hash_mismatches: int = 0
    first_flag_mismatch: str = ""
    first_commit_hash_mismatch: str = ""
    broken: str = ""
    """Why the audit ended before the last block."""

    flags_recorded: bool = True
    """False if the blocks carry no codes, as those fetched from an orderer; then only their form,
    chain, signatures and configurations were checked."""

    @property
    def is_clean(self) -> bool:
        return not (self.flag_mismatches or self.commit_hash_mismatches or self.broken)

    def add(self, examination: Examination) -> None:
        self.blocks += 1
        self.transactions += len(examination.verdict.flags)
        if examination.flag_mismatches:
            self.flag_mismatches += len(examination.flag_mismatches)
            first = f"block {examination.number}, {examination.flag_mismatches[0]}"
            self.first_flag_mismatch = self.first_flag_mismatch or first
        if examination.commit_hash_mismatch:
            self.commit_hash_mismatches += 1
            first = f"block {examination.number}: {examination.commit_hash_mismatch}"
            self.first_commit_hash_mismatch = self.first_commit_hash_mismatch or first


def find_blocks(directory: Path) -> list[Path]:
    """The block files from 0 up to the highest number, whether or not each one exists."""
    numbers = [
        int(path.stem)
        for path in directory.glob("*.block")
        if path.stem.isascii() and path.stem.isdigit()
    ]
    return [directory / f"{number}.block" for number in range(max(numbers, default=-1) + 1)]


def audit(files: list[Path], progress: Progress | None = None) -> AuditReport:
    """Validate the blocks in these files, the first being block 0. Ends at a broken block, since
    nothing after it can be judged."""
    auditor = ChannelAuditor()
    report = AuditReport()
    task = progress.add_task("blocks", total=len(files)) if progress else None
    for number, path in enumerate(files):
        try:
            examination = auditor.examine(path.read_bytes())
        except FileNotFoundError:
            report.broken = f"block {number}: {path.name} is missing"
            break
        except BlockRefused as refused:
            report.broken = str(refused)
            break
        auditor.accept(examination)
        report.add(examination)
        if progress and task is not None:
            progress.advance(task)
    report.flags_recorded = auditor.records_flags
    return report


def _run(files: list[Path]) -> AuditReport:
    console = Console(stderr=True)
    if not console.is_terminal:
        return audit(files)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        return audit(files, progress)


def _describe(report: AuditReport) -> str:
    lines = [f"{report.blocks} blocks, {report.transactions} transactions"]
    if not report.flags_recorded:
        lines.append("the blocks record no codes, so none were compared")
    for kind, count, first in (
        ("codes", report.flag_mismatches, report.first_flag_mismatch),
        ("commit hashes", report.commit_hash_mismatches, report.first_commit_hash_mismatch),
    ):
        lines.append(f"{kind} that differ: {count}" + (f", first in {first}" if first else ""))
    if report.broken:
        lines.append(f"broken: {report.broken}")
    return "\n".join(lines)


@click.command(help="Validate the blocks 0.block, 1.block, … in DIRECTORY once more.")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(directory: Path, as_json: bool) -> None:
    files = find_blocks(directory)
    if not files:
        raise click.UsageError(
            f"expected files 0.block, 1.block, … in {directory}, found none; fetch them with "
            "'peer channel fetch N N.block' or from a peer's delivery"
        )
    report = _run(files)
    click.echo(json.dumps(asdict(report)) if as_json else _describe(report))
    sys.exit(0 if report.is_clean else 1)


if __name__ == "__main__":
    main()
