"""gRPC calls on one HTTP/2 connection over TLS, with as little work as that takes.

Whichever client of grpcio is used, a call costs it several times what building and signing the
request does, on the cores that the measured network needs. So this one writes the frames itself
(RFC 9113; github.com/grpc/grpc doc/PROTOCOL-HTTP2.md). There are no threads and no event loop: what
was asked goes out with ``flush``, what has come in is handed out by ``receive``.
"""

import socket
import ssl
import struct
from collections import deque
from enum import IntEnum
from typing import NamedTuple

from tests.bench.hpack import UNKNOWN, Status, encode_request, parse_trailers
from tongban.sdk import Tls

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_BYTES_MAX = 16_384
"""Of a payload, unless a server allows more."""
WINDOW_BYTES = 65_535
"""What either side may send at first (RFC 9113, section 6.9.2)."""
OUR_WINDOW_BYTES = 2**30
RECEIVE_BYTES = 256 * 1024
SILENCE_SECONDS_MAX = 120.0

END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
HEADER_TABLE_SIZE, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 0x1, 0x3, 0x4
"""Numbers of settings (section 6.5.2)."""
OUR_SETTINGS = struct.pack(">HIHI", HEADER_TABLE_SIZE, 0, INITIAL_WINDOW_SIZE, OUR_WINDOW_BYTES)

INTERNAL = 13
"""The status of gRPC for a call that was reset."""


class Kind(IntEnum):
    """Types of frames."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8


class Received(NamedTuple):
    """A message of a call, or how the call ended."""

    call: int
    message: bytes
    status: Status | None
    """None with a message."""


class _Stream:
    """A call, as HTTP/2 sees it."""

    __slots__ = ("buffer", "unacknowledged", "window")

    def __init__(self, window: int) -> None:
        self.buffer = bytearray()
        self.unacknowledged = 0
        self.window = window


class Connection:
    """One connection, on which any number of calls may be open."""

    def __init__(self, address: str, tls: Tls) -> None:
        """Connect, and wait for the server's settings.

        Raises:
            OSError: the server cannot be reached, or is not whom ``tls`` says.
        """
        host, _, port = address.rpartition(":")
        context = ssl.create_default_context(cadata=tls.ca_certificates.decode())
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection((host, int(port)), SILENCE_SECONDS_MAX)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._authority = tls.server_name or host
        self._socket = context.wrap_socket(plain, server_hostname=self._authority)
        self._streams: dict[int, _Stream] = {}
        self._next_id = 1
        self._waiting: deque[tuple[int, bytes, bool]] = deque()
        """Data for which the server has given no window yet: call, bytes, whether it is the end."""
        self._window = self._stream_window = WINDOW_BYTES
        self._unacknowledged = 0
        self._incoming = bytearray()
        more = struct.pack(">I", OUR_WINDOW_BYTES - WINDOW_BYTES)
        self._outgoing = [
            PREFACE,
            _frame(Kind.SETTINGS, 0, 0, OUR_SETTINGS),
            _frame(Kind.WINDOW_UPDATE, 0, 0, more),
        ]
        self.calls_max: int | None = None
        """Calls that the server lets us have open; None before its settings have come."""
        while self.calls_max is None:
            self.flush()
            self.receive()
        self.flush()

    def close(self) -> None:
        self._socket.close()

    def headers(self, method: str, timeout_s: float | None = None) -> bytes:
        """What ``open`` needs for every call of a method."""
        return encode_request(method, self._authority, timeout_s)

    def open(self, headers: bytes) -> int:
        """Begin a call. Its number."""
        call = self._next_id
        self._next_id += 2
        self._streams[call] = _Stream(self._stream_window)
        self._outgoing.append(_frame(Kind.HEADERS, END_HEADERS, call, headers))
        return call

    def send(self, call: int, message: bytes, *, is_last: bool = False) -> None:
        """Put a message into an open call."""
        self._waiting.append((call, struct.pack(">xI", len(message)) + message, is_last))
        self._pump()

    def flush(self) -> None:
        """Send what the server gives us window for."""
        if self._outgoing:
            self._socket.sendall(b"".join(self._outgoing))
            self._outgoing.clear()

    def receive(self) -> list[Received]:
        """Wait until something has come; what it was.

        Raises:
            ConnectionError: the server has ended the connection.
            TimeoutError: it has said nothing for a long time.
        """
        buffer = self._incoming
        if not (data := self._socket.recv(RECEIVE_BYTES)):
            raise ConnectionError("the server closed the connection")
        buffer += data
        while self._socket.pending():
            buffer += self._socket.recv(RECEIVE_BYTES)
        found: list[Received] = []
        start = 0
        while len(buffer) >= start + 9:
            end = start + 9 + int.from_bytes(buffer[start : start + 3], "big")
            if len(buffer) < end:
                break
            kind, flags = buffer[start + 3], buffer[start + 4]
            stream_id = int.from_bytes(buffer[start + 5 : start + 9], "big")
            self._take(kind, flags, stream_id, bytes(buffer[start + 9 : end]), found)
            start = end
        del buffer[:start]
        return found

    def _pump(self) -> None:
        while self._waiting:
            call, data, is_last = self._waiting[0]
            stream = self._streams.get(call)
            if stream is None:  # the server has ended it
                self._waiting.popleft()
                continue
            size = min(len(data), self._window, stream.window, FRAME_BYTES_MAX)
            if size <= 0:
                return
            self._window -= size
            stream.window -= size
            if size < len(data):
                self._outgoing.append(_frame(Kind.DATA, 0, call, data[:size]))
                self._waiting[0] = (call, data[size:], is_last)
                continue
            self._outgoing.append(_frame(Kind.DATA, END_STREAM if is_last else 0, call, data))
            self._waiting.popleft()

    def _take(
        self, kind: int, flags: int, stream_id: int, payload: bytes, found: list[Received]
    ) -> None:
        if kind == Kind.DATA:
            assert not flags & PADDED, "no gRPC server pads"
            self._on_data(stream_id, payload, found)
        elif kind == Kind.HEADERS:
            assert flags & END_HEADERS, "no gRPC server needs several frames for so few headers"
        elif kind == Kind.RST_STREAM:
            self._end(stream_id, Status(INTERNAL, f"the call was reset, {payload.hex()}"), found)
        elif kind == Kind.SETTINGS and not flags & ACK:
            self._on_settings(payload)
        elif kind == Kind.PING and not flags & ACK:
            self._outgoing.append(_frame(Kind.PING, ACK, 0, payload))
        elif kind == Kind.GOAWAY:
            raise ConnectionError(f"the server ends the connection: {payload[4:]!r}")
        elif kind == Kind.WINDOW_UPDATE:
            self._on_window(stream_id, int.from_bytes(payload, "big"))
        if kind in (Kind.DATA, Kind.HEADERS) and flags & END_STREAM:
            no_status = Status(UNKNOWN, "the call ended without a status")
            status = parse_trailers(payload) if kind == Kind.HEADERS else no_status
            self._end(stream_id, status, found)

    def _end(self, call: int, status: Status, found: list[Received]) -> None:
        if self._streams.pop(call, None) is not None:
            found.append(Received(call, b"", status))

    def _on_data(self, call: int, payload: bytes, found: list[Received]) -> None:
        self._unacknowledged = self._acknowledge(0, self._unacknowledged + len(payload))
        stream = self._streams.get(call)
        if stream is None:
            return
        stream.unacknowledged = self._acknowledge(call, stream.unacknowledged + len(payload))
        buffer = stream.buffer
        buffer += payload
        while len(buffer) >= 5:
            end = 5 + int.from_bytes(buffer[1:5], "big")
            if len(buffer) < end:
                return
            assert not buffer[0], "compressed, which nobody has allowed"
            found.append(Received(call, bytes(buffer[5:end]), None))
            del buffer[:end]

    def _acknowledge(self, stream_id: int, count: int) -> int:
        """Give back window when half of it is used; what is not given back yet."""
        if count < OUR_WINDOW_BYTES // 2:
            return count
        self._outgoing.append(_frame(Kind.WINDOW_UPDATE, 0, stream_id, struct.pack(">I", count)))
        return 0

    def _on_settings(self, payload: bytes) -> None:
        settings = dict(struct.iter_unpack(">HI", payload))
        window = settings.get(INITIAL_WINDOW_SIZE, self._stream_window)
        for stream in self._streams.values():
            stream.window += window - self._stream_window
        self._stream_window = window
        self.calls_max = settings.get(MAX_CONCURRENT_STREAMS, self.calls_max or 2**31)
        self._outgoing.append(_frame(Kind.SETTINGS, ACK, 0, b""))
        self._pump()

    def _on_window(self, stream_id: int, more: int) -> None:
        if not stream_id:
            self._window += more
        elif (stream := self._streams.get(stream_id)) is not None:
            stream.window += more
        self._pump()


def _frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream_id) + payload
