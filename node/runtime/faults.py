"""Where faults go: to whoever can stop the node."""

from typing import Protocol


class FaultSink(Protocol):
    """Takes what nobody may handle: a broken invariant, a disk that lies."""

    def fault(self, error: BaseException) -> None:
        """The node stops as soon as it can. Returns at once, may be called again."""
        ...
