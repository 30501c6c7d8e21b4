"""Bytes to messages, with limits. Anything that is not what it should be is a refusal.

Messages stop here and in the ``parse_*`` functions of the core: what travels on keeps the received
bytes wherever a signature or a hash covers them, since serializing again may give other bytes.
"""

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from tongban.protos.errors import LimitExceeded, MalformedMessage
from tongban.protos.limits import MESSAGE_BYTES_MAX

M = TypeVar("M", bound=Message)


def parse(kind: type[M], data: bytes, what: str | None = None) -> M:
    """Parse ``data`` as a message of this kind. ``what`` names it in the error.

    Raises:
        LimitExceeded: more than MESSAGE_BYTES_MAX bytes.
        MalformedMessage: the bytes are not such a message (also nesting deeper than 100, and
            strings that are not UTF-8).
    """
    if len(data) > MESSAGE_BYTES_MAX:
        raise LimitExceeded(what or kind.DESCRIPTOR.name, MESSAGE_BYTES_MAX, len(data))
    try:
        return kind.FromString(data)
    except DecodeError as error:
        name = kind.DESCRIPTOR.name
        raise MalformedMessage(what or name, f"not a serialized {name}: {error}") from None
