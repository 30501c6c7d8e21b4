"""Frames between a node and a worker that runs contracts: one definition for both sides.

A frame is a length (four bytes, big endian) and that many bytes of MessagePack: an array of
messages. A message is an array of a fixed shape that starts with its kind and the number of the
transaction it belongs to (0 for none). A write carries as many messages as are waiting, since what
costs is the call and not the byte. Numbers are given by the node and used once per worker.

A transaction has one request at a time; ANSWER or REFUSED ends it. An ABORT may arrive at any time.
Contract code shares a process with the worker's end, so the node believes nothing: it reads only
through :class:`FrameReader`, which accepts the shapes of :data:`FROM_WORKER` and nothing else.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

from tongban.protos.errors import LimitExceeded, MalformedMessage

PROTOCOL_VERSION: Final = 1
"""Said in HELLO and LOAD; both must be equal, since node and worker are installed together."""

FRAME_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of one frame. A transaction's writes travel in one."""

TRUSTED_PARSER_BYTES_MAX: Final = 256 * 1024
"""A larger frame is walked step by step. An element of one byte costs some 64 bytes of memory, so
the fast parser alone could be made to take 64 times the size of a frame."""

ELEMENTS_MAX: Final = 500_000
"""Elements of all arrays and maps in one large frame."""

DEPTH_MAX: Final = 4
"""Frame, message, list of writes, write."""

LENGTH_BYTES: Final = 4

Message = list[Any]  # the elements' types are those that the shape of the kind gives


class WriteKind(IntEnum):
    """Kinds of buffered writes, numbered as in fabric-protos peer/chaincode_shim.proto,
    WriteRecord.Type."""

    PUT = 9
    DELETE = 10
    PUT_METADATA = 21
    PURGE = 23


class ToWorker(IntEnum):
    """Messages of the node."""

    LOAD = 1
    START = 2
    ANSWER = 3
    REFUSED = 4
    ABORT = 5


class FromWorker(IntEnum):
    """Messages of the worker."""

    HELLO = 1
    LOADED = 2
    LOAD_FAILED = 3
    DONE = 4
    LOG = 5
    GET_STATE = 10
    GET_STATES = 11
    GET_METADATA = 12
    GET_PRIVATE_DATA_HASH = 13
    RANGE = 14
    QUERY = 15
    HISTORY = 16
    NEXT_STATE_PAGE = 17
    NEXT_HISTORY_PAGE = 18
    CLOSE_QUERY = 19
    INVOKE = 20
    GET_PROPOSAL = 21


WRITE: Final = (int, str, bytes, str, str)
"""Kind, key, value, collection, name of the metadata entry."""

FROM_WORKER: Final[Mapping[int, tuple[type, ...]]] = {
    FromWorker.HELLO: (int, int, int, str, dict),  # version, python version, fences
    FromWorker.LOADED: (int, int),
    FromWorker.LOAD_FAILED: (int, int, str),
    FromWorker.DONE: (int, int, int, str, bytes, list, list),  # status…, writes, event or nothing
    FromWorker.LOG: (int, int, int, str),  # level as in logging, line
    FromWorker.GET_STATE: (int, int, str, str),  # key, collection; likewise below
    FromWorker.GET_STATES: (int, int, list, str),
    FromWorker.GET_METADATA: (int, int, str, str),
    FromWorker.GET_PRIVATE_DATA_HASH: (int, int, str, str),
    FromWorker.RANGE: (int, int, str, str, int, str, str),  # start, end, page size, bookmark
    FromWorker.QUERY: (int, int, str, int, str, str),
    FromWorker.HISTORY: (int, int, str),
    FromWorker.NEXT_STATE_PAGE: (int, int, str),
    FromWorker.NEXT_HISTORY_PAGE: (int, int, str),
    FromWorker.CLOSE_QUERY: (int, int, str),
    FromWorker.INVOKE: (int, int, str, str, list, list),  # name, channel, args, writes
    FromWorker.GET_PROPOSAL: (int, int),
}
"""Shape of every message a worker may send."""

_LISTS: Final[Mapping[int, tuple[tuple[int, type | tuple[type, ...]], ...]]] = {
    FromWorker.DONE: ((5, WRITE),),
    FromWorker.GET_STATES: ((2, str),),
    FromWorker.INVOKE: ((4, bytes), (5, WRITE)),
}
"""What the lists inside messages hold: index in the message, type or shape of the elements."""

_EVENT: Final = (str, bytes)


def to_frame(messages: Iterable[bytes], count: int) -> bytes:
    """One frame of ``count`` messages that :func:`pack` gave."""
    head: bytes = msgpack.Packer().pack_array_header(count)
    body = b"".join((head, *messages))
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def pack(message: Iterable[object]) -> bytes:
    """One message for :func:`to_frame`.

    Raises:
        MalformedMessage: it holds something that cannot travel, such as a string with a lone
            surrogate or a number of more than 64 bits.
        LimitExceeded: it does not fit into a frame.
    """
    try:
        packed: bytes = msgpack.packb(message, use_bin_type=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise MalformedMessage("message between node and worker", str(error)) from None
    if len(packed) > FRAME_BYTES_MAX - LENGTH_BYTES - 1:
        raise LimitExceeded("message between node and worker", FRAME_BYTES_MAX, len(packed))
    return packed


class FrameReader:
    """Turns bytes, as they come, into the messages of complete frames."""

    __slots__ = ("_buffer", "_check")

    def __init__(self, *, check: bool = True) -> None:
        """``check`` is off only in the worker, which may trust its node."""
        self._buffer = bytearray()
        self._check = check

    def feed(self, data: bytes) -> list[Message]:
        """Messages that are complete with ``data``, in order.

        Raises:
            LimitExceeded, MalformedMessage: the peer broke the rules; nothing after it counts.
        """
        buffer = self._buffer
        buffer += data
        messages: list[Message] = []
        start = 0
        while len(buffer) - start >= LENGTH_BYTES:
            length = int.from_bytes(buffer[start : start + LENGTH_BYTES], "big")
            if length > FRAME_BYTES_MAX:
                raise LimitExceeded("frame", FRAME_BYTES_MAX, length)
            end = start + LENGTH_BYTES + length
            if len(buffer) < end:
                break
            messages += self._parse(bytes(buffer[start + LENGTH_BYTES : end]))
            start = end
        del buffer[:start]
        return messages

    def _parse(self, frame: bytes) -> list[Message]:
        if not self._check:
            trusted: list[Message] = msgpack.unpackb(frame, strict_map_key=False)
            return trusted
        parsed = _unpack(frame)
        if type(parsed) is not list:
            raise MalformedMessage("frame", "not an array of messages")
        for message in parsed:
            check_shape(message)
        return parsed


def check_shape(message: Any) -> None:
    """Refuse a message that no worker of ours would send.

    Raises:
        MalformedMessage: with what is wrong.
    """
    if type(message) is not list or not message or type(message[0]) is not int:
        raise MalformedMessage("message of a worker", "not an array that starts with its kind")
    kind = message[0]
    shape = FROM_WORKER.get(kind)
    if shape is None:
        raise MalformedMessage("message of a worker", f"unknown kind {kind}")
    if tuple(map(type, message)) != shape:
        raise MalformedMessage("message of a worker", f"kind {kind} has another shape")
    for index, element in _LISTS.get(kind, ()):
        for item in message[index]:
            if isinstance(element, tuple):
                good = type(item) is list and tuple(map(type, item)) == element
            else:
                good = type(item) is element
            if not good:
                raise MalformedMessage("message of a worker", f"kind {kind}: element {index}")
    if kind == FromWorker.DONE and message[6] and tuple(map(type, message[6])) != _EVENT:
        raise MalformedMessage("message of a worker", "an event is a name and a payload")


def _unpack(frame: bytes) -> Any:
    try:
        if len(frame) <= TRUSTED_PARSER_BYTES_MAX:
            return msgpack.unpackb(frame)
        return _Walk(frame).value(0)
    except (ValueError, TypeError, OverflowError) as error:
        raise MalformedMessage("frame", str(error) or type(error).__name__) from None


class _Walk:
    """Parses a large frame container by container, with limits on depth and count."""

    def __init__(self, frame: bytes) -> None:
        self._frame = frame
        self._unpacker = msgpack.Unpacker(max_buffer_size=len(frame))
        self._unpacker.feed(frame)
        self._count = 0

    def value(self, depth: int) -> Any:
        if depth == 0:
            found = self._container(0)
            if self._unpacker.tell() != len(self._frame):
                raise ValueError("bytes after the last message")
            return found
        lead = self._lead()
        if 0x90 <= lead <= 0x9F or lead in (0xDC, 0xDD):
            return self._container(depth)
        if 0x80 <= lead <= 0x8F or lead in (0xDE, 0xDF):
            raise ValueError("a map in a large frame")
        return self._step(self._unpacker.unpack)

    def _container(self, depth: int) -> list[Any]:
        if depth >= DEPTH_MAX:
            raise ValueError(f"nested deeper than {DEPTH_MAX}")
        length: int = self._step(self._unpacker.read_array_header)
        self._count += length
        if self._count > ELEMENTS_MAX:
            raise ValueError(f"more than {ELEMENTS_MAX} elements")
        return [self.value(depth + 1) for _ in range(length)]

    def _lead(self) -> int:
        at: int = self._unpacker.tell()
        if at >= len(self._frame):
            raise ValueError("incomplete")
        return self._frame[at]

    def _step(self, read: Any) -> Any:
        try:
            return read()
        except msgpack.OutOfData:
            raise ValueError("incomplete") from None
