"""Refusals become statuses in one place."""

from typing import NamedTuple

import grpc
import pytest

from tongban.node.core.errors import (
    AccessDenied,
    InvalidIdentity,
    Overloaded,
    ShuttingDown,
    UnknownChannel,
)
from tongban.node.core.gateway.errors import Code, GatewayError, NodeError
from tongban.node.services.status import CODES, DETAILS_KEY, to_status
from tongban.protos.errors import InvalidSignature, LimitExceeded, MalformedMessage, TongbanError
from tongban.protos.gateway_pb2 import ErrorDetail
from tongban.protos.rpc_status_pb2 import Status


class Case(NamedTuple):
    error: TongbanError
    code: grpc.StatusCode
    text: str


class Unheard(AccessDenied):
    """A refusal that the table does not name."""


CASES = [
    Case(MalformedMessage("Envelope", "cut"), grpc.StatusCode.INVALID_ARGUMENT, "Envelope: cut"),
    Case(
        LimitExceeded("Envelope", 1, 2),
        grpc.StatusCode.INVALID_ARGUMENT,
        "Envelope: 2 bytes, at most 1 are accepted",
    ),
    Case(InvalidSignature("no"), grpc.StatusCode.PERMISSION_DENIED, "no"),
    Case(Unheard("not you"), grpc.StatusCode.PERMISSION_DENIED, "not you"),
    Case(
        InvalidIdentity("Org1MSP", "CN=a", "revoked"),
        grpc.StatusCode.PERMISSION_DENIED,
        "identity 'CN=a' of Org1MSP is not valid: revoked",
    ),
    Case(UnknownChannel("c"), grpc.StatusCode.NOT_FOUND, "channel 'c' not found"),
    Case(
        Overloaded("/protos.Endorser", 2500),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "too many requests for /protos.Endorser, exceeding concurrency limit (2500)",
    ),
    Case(ShuttingDown("stopping"), grpc.StatusCode.UNAVAILABLE, "stopping"),
    Case(TongbanError("other"), grpc.StatusCode.UNKNOWN, "other"),
]


@pytest.mark.parametrize("case", CASES, ids=[type(case.error).__name__ for case in CASES])
def test_a_refusal_has_the_code_of_its_nearest_ancestor(case: Case) -> None:
    status = to_status(case.error)
    assert (status.code, status.message) == (case.code, case.text)
    assert status.trailers() == ()


def test_details_travel_as_an_any_under_fabrics_name() -> None:
    error = GatewayError(
        Code.ABORTED, "failed", [NodeError("peer0:7051", "Org1MSP", "chaincode response 500, 没有")]
    )
    status = to_status(error)
    assert status.code is grpc.StatusCode.ABORTED
    ((key, trailer),) = status.trailers()
    assert key == DETAILS_KEY
    sent = Status.FromString(trailer)
    assert (sent.code, sent.message) == (10, "failed")
    assert sent.details[0].type_url == "type.googleapis.com/gateway.ErrorDetail"
    expected = ErrorDetail(
        address="peer0:7051", msp_id="Org1MSP", message="chaincode response 500, 没有"
    )
    assert ErrorDetail.FromString(sent.details[0].value) == expected
    failed = status.to_failed()
    assert (failed.code, failed.message, list(failed.details)) == (10, "failed", [expected])


def test_every_refusal_has_an_ancestor_in_the_table() -> None:
    assert TongbanError in CODES
