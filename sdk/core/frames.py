"""Frames of the streaming gateway as bytes.

Requests are serialized already when they come here. A message field is a tag, a length and its
bytes (protobuf encoding guide), so they are put into frames without being parsed or copied field by
field; a test compares with what the message classes write.
"""

from tongban.protos.codec import parse
from tongban.protos.digest import encode_uvarint
from tongban.protos.errors import MalformedMessage
from tongban.protos.stream_pb2 import Failed, GatewayFrame, GatewayMessage, Hello

from ..errors import ErrorDetail, StatusCode, status_code
from .commands import Failure

PROTOCOL_VERSION = 1
"""Of the frames in protos/stream.proto."""

SERVER_REQUESTS_MAX = 16
"""Requests that we let a gateway have open. We serve none; a newer one learns so by asking."""

_BYTES = 2
"""Wire type of length-delimited fields."""


def _tag(field_number: int) -> bytes:
    return encode_uvarint(field_number << 3 | _BYTES)


_FIELDS = {field.name: field.number for field in GatewayMessage.DESCRIPTOR.fields}
_TAGS = {name: _tag(number) for name, number in _FIELDS.items()}
_MESSAGES_TAG = _tag(GatewayFrame.MESSAGES_FIELD_NUMBER)
_HELLO_TAG = _tag(GatewayFrame.HELLO_FIELD_NUMBER)


def encode_hello(software: str) -> bytes:
    """The part of a frame that says hello."""
    hello = Hello(
        version=PROTOCOL_VERSION, window=SERVER_REQUESTS_MAX, software=software
    ).SerializeToString()
    return _HELLO_TAG + encode_uvarint(len(hello)) + hello


def encode_message(message_id: int, deadline_ms: int, body: str, content: bytes) -> bytes:
    """The part of a frame that holds one message. ``body`` is the name of its kind."""
    head = b"\x08" + encode_uvarint(message_id)
    if deadline_ms:
        head += b"\x10" + encode_uvarint(deadline_ms)
    head += _TAGS[body] + encode_uvarint(len(content))
    return _MESSAGES_TAG + encode_uvarint(len(head) + len(content)) + head + content


def encode_cancel(message_id: int) -> bytes:
    return encode_message(message_id, 0, "cancel", b"")


def encode_refusal(message_id: int) -> bytes:
    """Our answer to any request of a gateway."""
    failed = Failed(code=StatusCode.UNIMPLEMENTED, message="a client serves no requests")
    return encode_message(message_id, 0, "failed", failed.SerializeToString())


def parse_frame(data: bytes) -> GatewayFrame:
    """Read a frame from a gateway.

    Raises:
        MalformedMessage, LimitExceeded: it is not one.
    """
    return parse(GatewayFrame, data)


def checked_window(frame: GatewayFrame) -> int:
    """How many requests the gateway lets us have open, from its first frame.

    Raises:
        MalformedMessage: it has no hello, or one of another protocol version.
    """
    if not frame.HasField("hello"):
        raise MalformedMessage("GatewayFrame", "expected a hello in the first frame")
    if frame.hello.version != PROTOCOL_VERSION:
        raise MalformedMessage(
            "Hello",
            f"expected protocol version {PROTOCOL_VERSION}, found {frame.hello.version}"
            f" ({frame.hello.software or 'unnamed software'})",
        )
    return max(1, frame.hello.window)


def to_failure(failed: Failed, *, was_accepted: bool) -> Failure:
    details = tuple(ErrorDetail(d.address, d.msp_id, d.message) for d in failed.details)
    return Failure(status_code(failed.code), failed.message, details, was_accepted)
