"""Remembered positions in a stream of events or blocks, so that a restarted application goes on
behind the last one that it has dealt with.

The file is the one of the official clients: ``{"blockNumber":"…","transactionId":"…"}``. It is
replaced as a whole and synced, so a crash leaves the old position or the new one.
"""

import json
import os
from pathlib import Path
from typing import Protocol

from .core.events import ChaincodeEvent


class Checkpointer(Protocol):
    """Keeps a position. A class of your own may keep it in your database, together with the effects
    of the events."""

    @property
    def block_number(self) -> int | None:
        """The block to go on with; None when nothing is remembered yet."""

    @property
    def transaction_id(self) -> str | None:
        """The last transaction of that block that was dealt with; None for the whole block."""

    def checkpoint_block(self, block_number: int) -> None:
        """All of this block was dealt with."""

    def checkpoint_transaction(self, block_number: int, transaction_id: str) -> None:
        """This transaction of this block was dealt with."""

    def checkpoint_chaincode_event(self, event: ChaincodeEvent) -> None:
        """This event was dealt with."""


class InMemoryCheckpointer:
    """Keeps a position as long as the process lives."""

    def __init__(self) -> None:
        self._block_number: int | None = None
        self._transaction_id: str | None = None

    @property
    def block_number(self) -> int | None:
        return self._block_number

    @property
    def transaction_id(self) -> str | None:
        return self._transaction_id

    def checkpoint_block(self, block_number: int) -> None:
        self._keep(block_number + 1, None)

    def checkpoint_transaction(self, block_number: int, transaction_id: str) -> None:
        self._keep(block_number, transaction_id)

    def checkpoint_chaincode_event(self, event: ChaincodeEvent) -> None:
        self._keep(event.block_number, event.transaction_id)

    def _keep(self, block_number: int, transaction_id: str | None) -> None:
        self._block_number = block_number
        self._transaction_id = transaction_id


class FileCheckpointer(InMemoryCheckpointer):
    """Keeps a position in a file. Each checkpoint waits for the disk."""

    def __init__(self, path: str | Path) -> None:
        """
        Raises:
            ValueError: the file holds something else; it is not touched.
        """
        super().__init__()
        self._path = Path(path)
        if self._path.exists():
            self._load(self._path.read_bytes())

    def _load(self, data: bytes) -> None:
        if not data.strip():
            return
        try:
            state = json.loads(data)
            number = state.get("blockNumber")
            self._block_number = None if number is None else int(number)
            self._transaction_id = state.get("transactionId")
        except (ValueError, AttributeError, TypeError):
            raise ValueError(
                f"expected a checkpoint in {self._path}, found something else"
            ) from None

    def _keep(self, block_number: int, transaction_id: str | None) -> None:
        state = {"blockNumber": str(block_number)}
        if transaction_id is not None:
            state["transactionId"] = transaction_id
        _replace(self._path, json.dumps(state, separators=(",", ":")).encode())
        super()._keep(block_number, transaction_id)


def _replace(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
