"""Load over ``tongban.gateway.Gateway/Stream``, spoken directly.

Every answer in a frame moves its caller one step on: prepared, signed and submitted, committed,
next. What the answers of a frame lead to goes out in few frames. No task, no future and no timer
belongs to a single call.
"""

from tests.bench.callers import LIMITS, Caller, Run
from tests.bench.http2 import Connection
from tongban.protos.stream_pb2 import GatewayFrame, GatewayMessage
from tongban.sdk.channel import STREAM_METHOD
from tongban.sdk.core.frames import checked_window, encode_hello, encode_message

FRAME_MESSAGES_MAX = 64
"""So that the gateway has work while the rest is being signed."""

ENDORSE_MS = int(1000 * LIMITS.endorse_s)
EVALUATE_MS = int(1000 * LIMITS.evaluate_s)
SUBMIT_MS = int(1000 * (LIMITS.submit_s + LIMITS.commit_status_s))


class StreamLoad:
    """All callers on one stream."""

    def __init__(self, connection: Connection, run: Run) -> None:
        """Open the stream and exchange hellos.

        Raises:
            ValueError: the gateway allows fewer requests than there are callers.
        """
        self._connection = connection
        self._call = connection.open(connection.headers(STREAM_METHOD))
        self._run = run
        self._open: dict[int, Caller] = {}
        self._next_id = 1
        self._parts: list[bytes] = []
        self.tally = run.tally
        self._parts.append(encode_hello("tongban-bench"))
        self._flush()
        frames: list[bytes] = []
        while not frames:
            frames = self._read()
        window = checked_window(GatewayFrame.FromString(frames[0]))
        if window < len(run.callers):
            raise ValueError(f"the gateway allows {window} requests on one stream")

    def work(self) -> None:
        """Return when every caller's time is up and its last call has been answered.

        Raises:
            OSError: the stream or its connection ended.
        """
        self._run.start()
        for caller in self._run.callers:
            self._begin(caller)
        self._flush()
        while self._open:
            for frame in self._read():
                for message in GatewayFrame.FromString(frame).messages:
                    self._answered(message)
            self._flush()

    def _read(self) -> list[bytes]:
        frames = []
        for received in self._connection.receive():
            if received.status is not None:
                raise ConnectionError(f"the gateway ended the stream: {received.status}")
            frames.append(received.message)
        return frames

    def _flush(self) -> None:
        if self._parts:
            self._connection.send(self._call, b"".join(self._parts))
            self._parts.clear()
        self._connection.flush()

    def _begin(self, caller: Caller) -> None:
        request = self._run.begin(caller)
        if request is not None and self._run.is_query:
            self._send(caller, "evaluate", EVALUATE_MS, request)
        elif request is not None:
            self._send(caller, "propose", ENDORSE_MS, request)

    def _send(self, caller: Caller, body: str, limit_ms: int, request: bytes) -> None:
        self._open[self._next_id] = caller
        self._parts.append(encode_message(self._next_id, limit_ms, body, request))
        self._next_id += 1
        if len(self._parts) == FRAME_MESSAGES_MAX:
            self._flush()

    def _answered(self, message: GatewayMessage) -> None:
        kind = message.WhichOneof("body")
        if kind == "accepted":
            return
        caller, run = self._open.pop(message.id), self._run
        if kind == "prepared":
            payload = message.prepared.prepared_transaction.payload
            submission = run.proposer.submission(caller.proposed, payload)
            self._send(caller, "submit", SUBMIT_MS, submission)
            return
        if kind == "committed":
            run.end_by_verdict(caller, message.committed.result)
        elif kind == "evaluated":
            result = message.evaluated.result
            run.end_by_result(caller, result.status, result.message)
        else:
            run.tally.fail(f"{kind}: {message.failed.message}")
        self._begin(caller)
