"""One side of a framed stream, as a server sees it: a reader, a writer, and an orderly end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from tongban.protos.codec import parse
from tongban.protos.elements import check_element_count
from tongban.protos.errors import LimitExceeded, MalformedMessage
from tongban.protos.stream_pb2 import GatewayFrame, OrdererFrame, PeerFrame
from tongban.protos.streams import PROTOCOL_VERSION

FRAME_MESSAGES_MAX = 4_096
"""Messages that are taken in one frame; our own senders stop at 512."""

FRAME_ELEMENTS_MAX = 100_000
"""Fields of all messages in a large frame: no more objects than a full frame needs."""

UNCOUNTED_BYTES_MAX = 1024 * 1024
"""A frame of this size is parsed without being counted: it cannot become more than some dozens of
times as many bytes."""

F = TypeVar("F", GatewayFrame, PeerFrame, OrdererFrame)


def parse_frame(kind: type[F], data: bytes) -> F:
    """A frame that a stranger has sent.

    Raises:
        MalformedMessage: it is not one.
        LimitExceeded: it holds more than anybody needs to send at once.
    """
    if len(data) > UNCOUNTED_BYTES_MAX:
        check_element_count(kind.DESCRIPTOR, data, FRAME_ELEMENTS_MAX)
    frame = parse(kind, data)
    if len(frame.messages) > FRAME_MESSAGES_MAX:
        raise LimitExceeded(
            kind.DESCRIPTOR.name, FRAME_MESSAGES_MAX, len(frame.messages), "messages"
        )
    return frame


def check_hello(frame: GatewayFrame | PeerFrame | OrdererFrame) -> None:
    """Return if the first frame of a stream greets us in a version that we speak.

    Raises:
        MalformedMessage: it does not.
    """
    if not frame.HasField("hello") or frame.hello.version != PROTOCOL_VERSION:
        raise MalformedMessage(
            frame.DESCRIPTOR.name,
            f"the first frame must hold a Hello of version {PROTOCOL_VERSION}, "
            f"found version {frame.hello.version}",
        )


async def serve_stream(
    reading: Coroutine[Any, Any, None],
    writing: Coroutine[Any, Any, None],
    draining: asyncio.Event,
) -> None:
    """Run both until the writer is done. The first error of either ends the other and comes out.
    When the drain begins the reader is cancelled; it must see to it that the writer ends then.
    """
    reader = asyncio.create_task(reading)
    writer = asyncio.create_task(writing)
    drain = asyncio.create_task(draining.wait())
    pending: set[asyncio.Task[Any]] = {reader, writer, drain}
    try:
        while not writer.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if drain in done:
                reader.cancel()
            for task in done:
                if not task.cancelled():
                    task.result()
    finally:
        tasks = (reader, writer, drain)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
