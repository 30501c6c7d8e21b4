"""Faults: an invariant is broken or the disk lies. Nobody handles them; the node stops.

    CorruptLedgerError    what is stored is not what was stored
    StorageFailure        the disk refused (full, failing), so nothing more is acknowledged
    NewerFormatError      the store was written by a newer release

They are outside the tree of refusals on purpose, so that no handler of refusals takes them for one.
Each says where, what was expected, what was found, and what to do.
"""


class CorruptLedgerError(Exception):
    """Stored bytes are not what was stored. ``offset`` and ``block_num`` are None if unknown."""

    def __init__(
        self,
        path: str,
        reason: str,
        remedy: str,
        *,
        offset: int | None = None,
        block_num: int | None = None,
    ) -> None:
        place = path if offset is None else f"{path} at byte {offset}"
        block = "" if block_num is None else f" (block {block_num})"
        super().__init__(f"{place}{block}: {reason}. {remedy}")
        self.path = path
        self.offset = offset
        self.block_num = block_num
        self.reason = reason
        self.remedy = remedy


class StorageFailure(Exception):
    """The disk refused an operation; what was being written is not acknowledged."""

    def __init__(self, path: str, operation: str, reason: str) -> None:
        super().__init__(
            f"{path}: {operation} failed: {reason}. Nothing of it was acknowledged. "
            "Free or repair the disk and start the node again; it recovers by itself."
        )
        self.path = path
        self.operation = operation
        self.reason = reason


class NewerFormatError(Exception):
    """A store has a format that only a newer release can read; it was left untouched."""

    def __init__(self, path: str, supported: int, found: int) -> None:
        super().__init__(
            f"{path}: format {found}, this release reads up to {supported}. "
            "Start the release that wrote it, or restore a backup taken before the upgrade."
        )
        self.path = path
        self.supported = supported
        self.found = found
