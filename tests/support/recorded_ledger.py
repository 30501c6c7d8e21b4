"""The ledger of a peer that follows the recorded Fabric channel."""

from pathlib import Path

from tongban.node.core.commit_input import CommitInput
from tongban.node.core.policy import SignatureVerifier
from tongban.node.runtime.block_processor import BlockProcessor
from tongban.node.storage.ledger import Ledger
from tongban.node.storage.snapshot import StateSnapshot

CHANNEL = "goldchan"
BLOCKS = Path(__file__).parents[1] / "vectors" / "fabric-channel"


def recorded_block(number: int) -> bytes:
    return (BLOCKS / f"{number}.block").read_bytes()


class Revalidator:
    """Validates the blocks of the recorded channel; what a peer hands to :meth:`Ledger.open`."""

    def __init__(self) -> None:
        self._processor = BlockProcessor(CHANNEL, SignatureVerifier(), None, lambda verdict: ())

    def __call__(self, number: int, raw: bytes, before: StateSnapshot) -> CommitInput:
        return self._processor.revalidate(number, raw, before)


def fill(directory: Path, count: int) -> None:
    """A ledger with the first ``count`` blocks, closed."""
    revalidate = Revalidator()
    ledger = Ledger.open(directory, revalidate)
    for number in range(ledger.height, count):
        with ledger.snapshot() as before:
            given = revalidate(number, recorded_block(number), before)
        ledger.commit(given)
    ledger.close()
