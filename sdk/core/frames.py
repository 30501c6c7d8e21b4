"""Frames of the streaming gateway as bytes.

Requests are serialized already when they come here, and are put into frames as they are.
"""

from functools import lru_cache

from tongban.protos.codec import parse
from tongban.protos.digest import encode_uvarint
from tongban.protos.errors import MalformedMessage
from tongban.protos.stream_pb2 import Failed, GatewayFrame, GatewayMessage, Hello
from tongban.protos.streams import PROTOCOL_VERSION

from ..errors import ErrorDetail, StatusCode, status_code
from .commands import Failure
from .fields import encode_field, encode_size, tag_of

SERVER_REQUESTS_MAX = 16
"""Requests that we let a gateway have open. We serve none; a newer one learns so by asking."""

_TAGS = {
    body.name: tag_of(GatewayMessage, body.name)
    for body in GatewayMessage.DESCRIPTOR.oneofs_by_name["body"].fields
}
_MESSAGES_TAG = tag_of(GatewayFrame, "messages")
_HELLO_TAG = tag_of(GatewayFrame, "hello")


def encode_hello(software: str) -> bytes:
    """The part of a frame that says hello."""
    hello = Hello(
        version=PROTOCOL_VERSION, window=SERVER_REQUESTS_MAX, software=software
    ).SerializeToString()
    return encode_field(_HELLO_TAG, hello)


def encode_message(message_id: int, deadline_ms: int, body: str, content: bytes) -> bytes:
    """The part of a frame that holds one message. ``body`` is the name of its kind."""
    size = len(content)
    head = b"".join((b"\x08", encode_size(message_id), _kind(deadline_ms, body), encode_size(size)))
    return b"".join((_MESSAGES_TAG, encode_size(len(head) + size), head, content))


@lru_cache(256)
def _kind(deadline_ms: int, body: str) -> bytes:
    """The fields between a message's id and the size of its content; most requests of a kind have
    the same time left when they are sent."""
    deadline = b"\x10" + encode_uvarint(deadline_ms) if deadline_ms else b""
    return deadline + _TAGS[body]


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
