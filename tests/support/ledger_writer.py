"""A process that commits block after block to a real ledger and says so after each, to be killed.

    python tests/support/ledger_writer.py DIRECTORY BLOCKS [FILE_BYTES_MAX]

Prints ``start HEIGHT``, then ``committed HEIGHT`` after each block, or ``fault REASON`` and exit
status 3. With FILE_BYTES_MAX no file can grow beyond it, as on a full disk.
"""

import resource
import signal
import sys
from pathlib import Path

from tests.support.ledger_blocks import commit, revalidate
from tongban.node.core.faults import StorageFailure
from tongban.node.storage.files import RealFiles
from tongban.node.storage.ledger import Backend, Ledger

SEGMENT_BYTES_MAX = 20_000


def block_writes(number: int) -> list[dict[str, bytes | None]]:
    """What block ``number`` writes: some keys of its own, one shared, one that comes and goes."""
    own: dict[str, bytes | None] = {f"own{number}": b"%d" % number}
    shared: dict[str, bytes | None] = {
        "shared": b"%d" % number,
        "odd": b"x" if number % 2 else None,
    }
    return [own, shared, {f"ring{number % 10}": bytes(200 + number % 7 * 300)}]


def open_ledger(directory: Path) -> Ledger:
    return Ledger.open(
        directory, revalidate, Backend(RealFiles(), segment_bytes_max=SEGMENT_BYTES_MAX)
    )


def main(directory: Path, count: int, file_bytes_max: int | None) -> int:
    if file_bytes_max is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))
    try:
        ledger = open_ledger(directory)
        print("start", ledger.height, flush=True)
        for _ in range(count):
            commit(ledger, *block_writes(ledger.height))
            print("committed", ledger.height, flush=True)
    except StorageFailure as failure:
        print("fault", failure, flush=True)
        return 3
    ledger.close()
    return 0


if __name__ == "__main__":
    limit = int(sys.argv[3]) if len(sys.argv) > 3 else None
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), limit))
