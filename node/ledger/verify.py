"""``python -m tongban.node.ledger.verify DIR``: re-check a whole ledger directory.

DIR is the directory of one channel of a stopped peer. Every stored block is checked against its
checksums, its place in the chain, its data hash and its orderers' signatures, and validated again;
its codes and commit hash must be the recorded ones. The state, history and indexes are made anew in
a temporary directory and compared with the stored ones, record by record. Nothing is changed. Exit
status 0 if all is well, 1 if something is not, 2 if DIR is no ledger.
"""

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tongban.node.core.block import BlockRefused
from tongban.node.core.errors import DirectoryInUse
from tongban.node.core.faults import CorruptLedgerError, NewerFormatError, StorageFailure
from tongban.node.core.validation.audit import ChannelAuditor
from tongban.node.ledger.audit import AuditReport
from tongban.node.ledger.rebuild import RebuiltState, compare_private, compare_records
from tongban.node.storage import layout
from tongban.node.storage.blockstore import BlockStore
from tongban.node.storage.files import RealFiles
from tongban.node.storage.format import FILE_NAME, check_format
from tongban.node.storage.kvstore import KeyValueStore
from tongban.node.storage.ledger import FORMAT
from tongban.node.storage.leveldb import LevelDBStore

LINES_EVERY_BLOCKS = 1000
"""Blocks between two lines of progress in a pipe."""


@dataclass(slots=True)
class VerifyReport(AuditReport):
    """What a check found. Blocks and their mismatches as in an audit; then the stores."""

    records: int = 0
    """Records of state, history and indexes that were compared."""
    record_mismatches: int = 0
    first_record_mismatch: str = ""
    private_values: int = 0
    private_mismatches: int = 0
    first_private_mismatch: str = ""
    unapplied_blocks: int = 0
    """Stored blocks that the state does not have yet; the next start applies them."""

    @property
    def is_sound(self) -> bool:
        return self.is_clean and not self.record_mismatches and not self.private_mismatches

    def add_record(self, difference: str) -> None:
        self.records += 1
        if difference:
            self.record_mismatches += 1
            self.first_record_mismatch = self.first_record_mismatch or difference

    def add_private(self, difference: str) -> None:
        self.private_values += 1
        if difference:
            self.private_mismatches += 1
            self.first_private_mismatch = self.first_private_mismatch or difference


class Steps:
    """Progress: a bar on a terminal, a line now and then in a pipe."""

    def __init__(self, bar: Progress | None, total: int) -> None:
        self._bar = bar
        self._total = total
        self._done = 0
        self._row = bar.add_task("blocks", total=total) if bar else None

    def advance(self) -> None:
        self._done += 1
        if self._bar is not None and self._row is not None:
            self._bar.advance(self._row)
        elif self._done % LINES_EVERY_BLOCKS == 0:
            click.echo(f"{self._done} of {self._total} blocks", err=True)


def verify(directory: Path, bar: Progress | None = None) -> VerifyReport:
    """Check the ledger in this directory.

    Raises:
        CorruptLedgerError, NewerFormatError, StorageFailure: a store cannot even be opened, for
            example because a node has it open.
    """
    check_format(RealFiles(), directory, "ledger", FORMAT)
    stored = LevelDBStore(directory / "state")
    try:
        with tempfile.TemporaryDirectory(prefix="tongban-verify-") as folder:
            rebuilt = LevelDBStore(Path(folder) / "state")
            try:
                return _verify(directory, stored, rebuilt, bar)
            finally:
                rebuilt.close()
    finally:
        stored.close()


def _verify(
    directory: Path, stored: KeyValueStore, rebuilt: KeyValueStore, bar: Progress | None
) -> VerifyReport:
    report = VerifyReport()
    data = stored.get(layout.SAVEPOINT_KEY)
    height = layout.decode_savepoint(data).height if data else 0
    try:
        _check_blocks(directory, rebuilt, height, report, Steps(bar, height))
        if report.blocks < height and not report.broken:
            report.broken = f"block {report.blocks} is missing, the state has {height} blocks"
        if not report.broken:
            for _, difference in compare_records(rebuilt, stored):
                report.add_record(difference)
            for difference in compare_private(stored):
                report.add_private(difference)
    except CorruptLedgerError as error:
        report.broken = str(error)
    except BlockRefused as refused:
        report.broken = str(refused)
    return report


def _check_blocks(
    directory: Path, rebuilt: KeyValueStore, height: int, report: VerifyReport, steps: Steps
) -> None:
    state = RebuiltState(rebuilt)
    auditor = ChannelAuditor(state)
    blocks = BlockStore(RealFiles(), directory / "blocks")
    for block in blocks.scan():
        if block.number >= height:
            report.unapplied_blocks += 1
            continue
        examination = auditor.examine(block.payload)
        state.expect(examination, block.location)
        auditor.accept(examination)
        report.add(examination)
        steps.advance()
    report.flags_recorded = auditor.records_flags


def _run(directory: Path) -> VerifyReport:
    console = Console(stderr=True)
    if not console.is_terminal:
        return verify(directory)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        return verify(directory, bar)


def _describe(report: VerifyReport) -> str:
    lines = [f"{report.blocks} blocks, {report.transactions} transactions"]
    for kind, count, first in (
        ("codes that differ", report.flag_mismatches, report.first_flag_mismatch),
        (
            "commit hashes that differ",
            report.commit_hash_mismatches,
            report.first_commit_hash_mismatch,
        ),
        (
            f"records that differ, of {report.records}",
            report.record_mismatches,
            report.first_record_mismatch,
        ),
        (
            f"private values that differ, of {report.private_values}",
            report.private_mismatches,
            report.first_private_mismatch,
        ),
    ):
        lines.append(f"{kind}: {count}" + (f", first: {first}" if first else ""))
    if report.unapplied_blocks:
        lines.append(f"stored, to be applied at the next start: {report.unapplied_blocks}")
    if report.broken:
        lines.append(f"broken: {report.broken}")
    lines.append("the ledger is sound" if report.is_sound else "the ledger is NOT sound")
    return "\n".join(lines)


def _is_ledger(directory: Path) -> bool:
    return (directory / FILE_NAME).is_file() and (directory / "state").is_dir()


BELOW_MAX = 5
"""Ledgers below a wrong directory that the error names."""


def _describe_expected(directory: Path) -> str:
    expected = (
        f"expected the ledger of one channel in {directory}: a file {FILE_NAME}, directories "
        "blocks and state. A missing state is made anew when the peer starts"
    )
    below = sorted(
        str(path.parent) for path in directory.glob("**/state") if _is_ledger(path.parent)
    )
    if not below:
        return expected
    more = f", and {len(below) - BELOW_MAX} more" if len(below) > BELOW_MAX else ""
    return f"{expected}. Ledgers below it: {', '.join(below[:BELOW_MAX])}{more}"


@click.command(help="Re-check the ledger of one channel in DIRECTORY, of a peer that is stopped.")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(directory: Path, as_json: bool) -> None:
    if not _is_ledger(directory):
        raise click.UsageError(_describe_expected(directory))
    try:
        report = _run(directory)
    except DirectoryInUse as refusal:
        raise click.ClickException(str(refusal)) from None
    except (CorruptLedgerError, NewerFormatError, StorageFailure) as fault:
        report = VerifyReport(broken=str(fault))
    click.echo(json.dumps(asdict(report)) if as_json else _describe(report))
    sys.exit(0 if report.is_sound else 1)


if __name__ == "__main__":
    main()
