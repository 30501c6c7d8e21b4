"""An orderer's blocks on disk: segment files, and an index of where each block is.

The segment file is the truth and is synced with every block. The index is written behind it without
a sync; at a start, the blocks behind the last indexed one are read and indexed again. So a start
after a crash and a start after a stop are the same.
"""

from pathlib import Path

from tongban.node.core.faults import CorruptLedgerError, NewerFormatError
from tongban.node.storage.blockstore import START, BlockStore, Position
from tongban.node.storage.files import Files
from tongban.node.storage.kvstore import KeyValueStore, prefix_end
from tongban.node.storage.layout import block_key, decode_location, encode_location
from tongban.node.storage.segments import REMEDY

FORMAT = 1
"""Of the index; the segment files carry their own."""

_FORMAT_KEY = b"format"
_BLOCKS = b"b"


class IndexedBlockLog:
    """The blocks of one channel. Opening it is recovery; ``index`` becomes its own to close.

    ``reindex`` reads every block again, for an index that may have lost entries.
    """

    def __init__(
        self, files: Files, directory: Path, index: KeyValueStore, *, reindex: bool = False
    ) -> None:
        self._index = index
        self._check_format(directory)
        self._store = BlockStore(files, directory)
        self._height = self._recover(*((START, 0) if reindex else self._indexed_end()))

    @property
    def height(self) -> int:
        return self._height

    def append(self, number: int, block: bytes) -> None:
        assert number == self._height, f"expected block {self._height}, found {number}"
        location = self._store.append(number, block)
        self._index.write([(block_key(number), encode_location(location))], sync=False)
        self._height = number + 1

    def get_block(self, number: int) -> bytes:
        location = self._index.get(block_key(number))
        if location is None:
            raise CorruptLedgerError("block index", f"block {number} is not in it", REMEDY)
        return self._store.read(number, decode_location(location))

    def close(self) -> None:
        self._store.close()
        self._index.close()

    def _check_format(self, directory: Path) -> None:
        found = self._index.get(_FORMAT_KEY)
        if found is None:
            self._index.write([(_FORMAT_KEY, str(FORMAT).encode())], sync=True)
        elif int(found) > FORMAT:
            raise NewerFormatError(str(directory), FORMAT, int(found))

    def _recover(self, position: Position, height: int) -> int:
        for block in self._store.recover(position, height):
            height = block.number + 1
            entry = (block_key(block.number), encode_location(block.location))
            self._index.write([entry], sync=False)
        return height

    def _indexed_end(self) -> tuple[Position, int]:
        last = next(self._index.iterate(_BLOCKS, prefix_end(_BLOCKS), reverse=True), None)
        if last is None:
            return START, 0
        location = decode_location(last[1])
        number = int.from_bytes(last[0][len(_BLOCKS) :], "big")
        return Position(location.segment, location.offset + location.size), number + 1
