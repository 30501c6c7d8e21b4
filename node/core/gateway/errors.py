"""How a gateway call fails, with the facts that official clients show their users."""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from tongban.protos.errors import TongbanError


class Code(IntEnum):
    """gRPC status codes that the gateway uses (fabric internal/pkg/gateway/api.go)."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    UNIMPLEMENTED = 12
    UNAVAILABLE = 14


class NodeError(NamedTuple):
    """What one node said: host:port, MSP id, and its text."""

    address: str
    msp_id: str
    message: str


class GatewayError(TongbanError):
    """A gateway call failed; ``details`` holds one entry for each node that had a part in it."""

    def __init__(self, code: Code, message: str, details: Sequence[NodeError] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = tuple(details)
