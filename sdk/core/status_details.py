"""Failures of unary calls: what stands in the trailer ``grpc-status-details-bin``.

Its value is a google.rpc.Status whose details are gateway.ErrorDetail messages, one for each node
that said something (fabric internal/pkg/gateway/apiutils.go).
"""

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from tongban.protos.gateway_pb2 import ErrorDetail as ErrorDetailMessage
from tongban.protos.rpc_status_pb2 import Status

from ..errors import ErrorDetail, status_code
from .commands import Failure

DETAILS_TRAILER = "grpc-status-details-bin"
DETAIL_TYPE = "gateway.ErrorDetail"
"""Last part of the type URL, whatever stands before the slash."""


def to_failure(
    code: int, message: str, trailers: Iterable[tuple[str, str | bytes]] | None
) -> Failure:
    """The failure of a call. Trailers that cannot be read are left out: the code says enough."""
    for name, value in trailers or ():
        if name == DETAILS_TRAILER and isinstance(value, bytes):
            return Failure(status_code(code), message, tuple(_details(value)))
    return Failure(status_code(code), message)


def _details(value: bytes) -> list[ErrorDetail]:
    found = []
    try:
        for item in Status.FromString(value).details:
            if item.type_url.rpartition("/")[2] == DETAIL_TYPE:
                detail = ErrorDetailMessage.FromString(item.value)
                found.append(ErrorDetail(detail.address, detail.msp_id, detail.message))
    except DecodeError:
        pass
    return found
