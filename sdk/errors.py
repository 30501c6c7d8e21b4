"""What an application may have to handle.

    TongbanError
      GatewayError(code, message, details)      the gateway, or the way to it, refused a call
        EvaluateError(transaction_id)           a question was not answered
        EventsError                             a stream of events or blocks ended
      TransactionError(transaction_id, code, message, details)
        EndorseError                            nothing was ordered, nothing changed
        SubmitError                             an orderer did not say that it accepted
        CommitStatusError                       accepted or perhaps accepted; the verdict is unknown
        CommitError(code, block_number)         ordered, found invalid, without effect

Each is named by the step that failed, so that it says what may have happened meanwhile. ``code`` is
a ``StatusCode``, and in ``CommitError`` a validation code. Calling things in a wrong order is not
here: that raises RuntimeError.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from tongban.protos.errors import TongbanError
from tongban.protos.transaction_pb2 import TxValidationCode


class StatusCode(IntEnum):
    """gRPC status codes (grpc doc/statuscodes.md)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """What one node said when a call failed."""

    address: str
    msp_id: str
    message: str

    def __str__(self) -> str:
        return f"{self.msp_id} {self.address}: {self.message}"


def status_code(number: int) -> StatusCode:
    """The code with this number; UNKNOWN for numbers that gRPC does not define."""
    try:
        return StatusCode(number)
    except ValueError:
        return StatusCode.UNKNOWN


def validation_code_name(code: int) -> str:
    """Fabric's name of a validation code, such as ``MVCC_READ_CONFLICT``."""
    if code in TxValidationCode.values():
        return TxValidationCode.Name(TxValidationCode.ValueType(code))
    return f"code {code}"


def _explain(message: str, details: Sequence[ErrorDetail]) -> str:
    return "; ".join([message, *map(str, details)])


class GatewayError(TongbanError):
    """The gateway, or the way to it, refused a call."""

    def __init__(self, code: StatusCode, message: str, details: Sequence[ErrorDetail] = ()) -> None:
        super().__init__(f"{code.name}: {_explain(message, details)}")
        self.code = code
        self.message = message
        self.details = tuple(details)


class EvaluateError(GatewayError):
    """A question was not answered."""

    def __init__(
        self,
        transaction_id: str,
        code: StatusCode,
        message: str,
        details: Sequence[ErrorDetail] = (),
    ) -> None:
        super().__init__(code, message, details)
        self.transaction_id = transaction_id


class EventsError(GatewayError):
    """A stream of events or blocks ended, or could not be opened."""


class TransactionError(TongbanError):
    """A transaction did not reach the end of its road."""

    code: int
    """A ``StatusCode``; in ``CommitError`` a validation code."""

    def __init__(
        self, transaction_id: str, code: int, message: str, details: Sequence[ErrorDetail] = ()
    ) -> None:
        super().__init__(f"transaction {transaction_id}: {_explain(message, details)}")
        self.transaction_id = transaction_id
        self.code = code
        self.message = message
        self.details = tuple(details)


class _StepError(TransactionError):
    """A call to the gateway failed in one step of a transaction."""

    code: StatusCode

    def __init__(
        self,
        transaction_id: str,
        code: StatusCode,
        message: str,
        details: Sequence[ErrorDetail] = (),
    ) -> None:
        super().__init__(transaction_id, code, message, details)


class EndorseError(_StepError):
    """The endorsements were not collected. Nothing was ordered."""


class SubmitError(_StepError):
    """No orderer said that it accepted. With DEADLINE_EXCEEDED, CANCELLED or UNAVAILABLE one may
    have: ask for the commit status by the transaction id before doing the work again."""


class CommitStatusError(_StepError):
    """The verdict could not be learnt. The transaction may commit: ask again by its id."""


class CommitError(TransactionError):
    """The transaction was ordered and found invalid. It has no effect."""

    def __init__(self, transaction_id: str, code: int, block_number: int) -> None:
        name = validation_code_name(code)
        super().__init__(
            transaction_id, code, f"found invalid in block {block_number} with code {code} ({name})"
        )
        self.block_number = block_number
        self.code_name = name
