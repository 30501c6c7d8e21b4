"""What is in the ledger of a peer that has stopped."""

from dataclasses import dataclass, field
from pathlib import Path

from tongban.node.core.block import parse_block
from tongban.node.core.policy import SignatureVerifier
from tongban.node.ledger.verify import VerifyReport, verify
from tongban.node.runtime.block_processor import BlockProcessor
from tongban.node.storage.ledger import Ledger


@dataclass
class LedgerContents:
    """Everything a test may want to know afterwards."""

    height: int
    commit_hash: bytes
    codes: dict[str, list[int]] = field(default_factory=dict)
    """Validation codes of every transaction id, in the order of its appearances."""
    written: dict[str, list[bytes]] = field(default_factory=dict)
    """Values written to the keys of the contract, the oldest first."""

    def has(self, tx_id: str) -> bool:
        return tx_id in self.codes

    def first_code(self, tx_id: str) -> int | None:
        return self.codes[tx_id][0] if tx_id in self.codes else None


def read_ledger(directory: Path, namespace: str, keys: list[str]) -> LedgerContents:
    """Opens the ledger as a start does, and closes it."""
    processor = BlockProcessor(directory.parent.name, SignatureVerifier(), None, lambda verdict: ())
    ledger = Ledger.open(directory, processor.revalidate)
    try:
        contents = LedgerContents(ledger.height, ledger.commit_hash)
        for number in range(ledger.height):
            block = parse_block(ledger.get_block(number))
            for transaction, code in zip(block.transactions, block.flags, strict=True):
                if transaction.index_id is not None:
                    contents.codes.setdefault(transaction.index_id, []).append(code)
        for key in keys:
            changes = [change.value for change in ledger.history(namespace, key.encode())]
            contents.written[key] = changes[::-1]
    finally:
        ledger.close()
    return contents


def verify_ledger(directory: Path) -> VerifyReport:
    """What ``tongban ledger verify`` finds."""
    return verify(directory)
