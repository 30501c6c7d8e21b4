"""Frames between a node and a worker that runs contracts: one definition for both sides.

A frame is a length (four bytes, big endian) and that many bytes of MessagePack: an array of
messages. A message is an array that starts with its kind and the number of the transaction it
belongs to (0 for none). One write carries as many messages as are waiting, since what costs is the
call and not the byte. The node says hello first; the versions must be equal.

A worker is hostile in the end, so the node reads its frames only through :class:`FrameReader` and
checks every message against :data:`FROM_WORKER`.
"""

from enum import IntEnum


class WriteKind(IntEnum):
    """Kinds of buffered writes."""

    PUT = 1
    DELETE = 2
    PURGE = 3
    PUT_METADATA = 4
