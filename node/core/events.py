"""The chaincode events of a committed block."""

from tongban.node.core.block import ParsedBlock
from tongban.protos.chaincode_event_pb2 import ChaincodeEvent
from tongban.protos.transaction_pb2 import TxValidationCode

_VALID = TxValidationCode.VALID


def chaincode_events(block: ParsedBlock, flags: bytes) -> list[ChaincodeEvent]:
    """Events of the valid transactions, in block order. ``flags`` has one code a transaction."""
    return [
        transaction.body.event
        for transaction, code in zip(block.transactions, flags, strict=True)
        if code == _VALID
        and transaction.body is not None
        and transaction.body.event is not None
        and transaction.body.event.event_name
    ]
