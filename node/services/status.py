"""The one table from our refusals to gRPC statuses, with details for those who read them.

Details travel as a serialized ``google.rpc.Status`` in a trailer, each an ``Any`` of
``gateway.ErrorDetail`` under Fabric's name, where official clients look for them
(fabric internal/pkg/gateway/apiutils.go).
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage

from tongban.node.core.errors import (
    AccessDenied,
    InvalidConfig,
    InvalidConfigUpdate,
    InvalidPolicy,
    Overloaded,
    ShuttingDown,
    UnknownChaincode,
    UnknownChannel,
    UnknownPolicy,
    UnsupportedCapability,
)
from tongban.protos.errors import (
    InvalidSignature,
    LimitExceeded,
    MalformedMessage,
    TongbanError,
)
from tongban.protos.gateway_pb2 import ErrorDetail
from tongban.protos.rpc_status_pb2 import Status as RpcStatusMessage
from tongban.protos.stream_pb2 import Failed

DETAILS_KEY = "grpc-status-details-bin"
"""The trailer in which gRPC libraries of all languages look for a google.rpc.Status."""

DETAIL_TYPE_URL = "type.googleapis.com/gateway.ErrorDetail"
"""Written by hand: packing would name our own package."""

CODES: dict[type[TongbanError], grpc.StatusCode] = {
    TongbanError: grpc.StatusCode.UNKNOWN,
    MalformedMessage: grpc.StatusCode.INVALID_ARGUMENT,
    InvalidSignature: grpc.StatusCode.PERMISSION_DENIED,
    LimitExceeded: grpc.StatusCode.INVALID_ARGUMENT,
    AccessDenied: grpc.StatusCode.PERMISSION_DENIED,
    InvalidConfig: grpc.StatusCode.INVALID_ARGUMENT,
    InvalidConfigUpdate: grpc.StatusCode.INVALID_ARGUMENT,
    InvalidPolicy: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownPolicy: grpc.StatusCode.NOT_FOUND,
    UnsupportedCapability: grpc.StatusCode.FAILED_PRECONDITION,
    UnknownChannel: grpc.StatusCode.NOT_FOUND,
    UnknownChaincode: grpc.StatusCode.NOT_FOUND,
    # Go peers say UNKNOWN here; the text is theirs. A client that backs off needs to know.
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ShuttingDown: grpc.StatusCode.UNAVAILABLE,
}
"""The code of a refusal is that of its nearest ancestor here."""

_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


class NodeDetail(Protocol):
    """What one node had to say about a failed call."""

    @property
    def address(self) -> str: ...
    @property
    def msp_id(self) -> str: ...
    @property
    def message(self) -> str: ...


@runtime_checkable
class CodedRefusal(Protocol):
    """A refusal that knows its gRPC code, as the gateway's do, and may have details."""

    @property
    def code(self) -> int: ...
    @property
    def details(self) -> Sequence[NodeDetail]: ...


class RpcStatus(NamedTuple):
    """A refusal as a client sees it."""

    code: grpc.StatusCode
    message: str
    details: tuple[NodeDetail, ...] = ()

    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """Trailing metadata; empty without details."""
        if not self.details:
            return ()
        status = RpcStatusMessage(code=self.code.value[0], message=self.message)
        for detail in self._details():
            status.details.append(
                AnyMessage(type_url=DETAIL_TYPE_URL, value=detail.SerializeToString())
            )
        return ((DETAILS_KEY, status.SerializeToString()),)

    def to_failed(self) -> Failed:
        """The same as an answer in a framed stream."""
        return Failed(code=self.code.value[0], message=self.message, details=self._details())

    def _details(self) -> list[ErrorDetail]:
        return [
            ErrorDetail(address=found.address, msp_id=found.msp_id, message=found.message)
            for found in self.details
        ]


def to_status(error: TongbanError) -> RpcStatus:
    """The status of a refusal."""
    if isinstance(error, CodedRefusal):
        code = _BY_NUMBER.get(int(error.code), grpc.StatusCode.UNKNOWN)
        return RpcStatus(code, str(error), tuple(error.details))
    for kind in type(error).__mro__:
        if kind in CODES:
            return RpcStatus(CODES[kind], str(error))
    raise AssertionError("every refusal has TongbanError among its ancestors")
