"""The forms in which a block is delivered: whole, header only, filtered, with private data.

A whole block is framed, not serialized again: the receiver gets the bytes that are on disk
(fabric core/peer/deliverevents.go).
"""

from collections.abc import Mapping

from tongban.protos.ab_pb2 import DeliverResponse as OrdererDeliverResponse
from tongban.protos.chaincode_event_pb2 import ChaincodeEvent
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import (
    Block,
    BlockMetadataIndex,
    ChannelHeader,
    Envelope,
    HeaderType,
    Payload,
    Status,
)
from tongban.protos.digest import encode_uvarint
from tongban.protos.errors import MalformedMessage
from tongban.protos.events_pb2 import (
    BlockAndPrivateData,
    DeliverResponse,
    FilteredBlock,
    FilteredChaincodeAction,
    FilteredTransaction,
    FilteredTransactionActions,
)
from tongban.protos.proposal_pb2 import ChaincodeAction
from tongban.protos.proposal_response_pb2 import ProposalResponsePayload
from tongban.protos.rwset_pb2 import TxPvtReadWriteSet
from tongban.protos.transaction_pb2 import (
    ChaincodeActionPayload,
    Transaction,
    TxValidationCode,
)

_BLOCK_TAG = b"\x12"
"""Field 2, length-delimited: ``block`` in the DeliverResponse of orderers and of peers."""

_BLOCK_AND_PRIVATE_DATA_TAG = b"\x22"
"""Field 4, length-delimited, in the DeliverResponse of peers."""

_PRIVATE_BLOCK_TAG = b"\x0a"
"""Field 1, length-delimited: ``block`` in BlockAndPrivateData."""


def wrap_block(block: bytes) -> bytes:
    """A serialized DeliverResponse that holds the serialized block."""
    return _BLOCK_TAG + encode_uvarint(len(block)) + block


def unwrap_block(response: bytes) -> tuple[bytes | None, Status.ValueType]:
    """The serialized block in an orderer's serialized DeliverResponse, or None and the status.

    Raises:
        MalformedMessage: it is neither.
    """
    if response.startswith(_BLOCK_TAG):
        size, start = _read_uvarint(response, len(_BLOCK_TAG))
        if start + size == len(response):
            return response[start:], Status.SUCCESS
    parsed = parse(OrdererDeliverResponse, response)
    if parsed.WhichOneof("Type") == "block":
        return parsed.block.SerializeToString(), Status.SUCCESS
    return None, parsed.status


def wrap_with_private_data(block: bytes, private: Mapping[int, TxPvtReadWriteSet]) -> bytes:
    """A serialized DeliverResponse with the block and the private sets by transaction number."""
    rest = BlockAndPrivateData(private_data_map=private).SerializeToString()
    body = _PRIVATE_BLOCK_TAG + encode_uvarint(len(block)) + block + rest
    return _BLOCK_AND_PRIVATE_DATA_TAG + encode_uvarint(len(body)) + body


def wrap_filtered(channel_id: str, block: bytes) -> bytes:
    """A serialized DeliverResponse with the filtered form of the serialized block."""
    filtered = filter_block(channel_id, parse(Block, block))
    return DeliverResponse(filtered_block=filtered).SerializeToString()


def omit_transactions(block: bytes) -> bytes:
    """The serialized block with header and metadata only; a config block stays whole, since its
    reader must learn the new configuration."""
    parsed = parse(Block, block)
    if is_config_block(parsed):
        return block
    return Block(header=parsed.header, metadata=parsed.metadata).SerializeToString()


def is_config_block(block: Block) -> bool:
    """Whether the block holds one transaction and that is a configuration
    (fabric protoutil/blockutils.go, IsConfigBlock)."""
    if len(block.data.data) != 1:
        return False
    try:
        _, header = _read_header(block.data.data[0])
    except MalformedMessage:
        return False
    return header.type in (HeaderType.CONFIG, HeaderType.ORDERER_TRANSACTION)


def filter_block(channel_id: str, block: Block) -> FilteredBlock:
    """Ids, kinds, codes and events without payload. A transaction whose header cannot be read is
    left out, since there is no id to report it under."""
    slots = block.metadata.metadata
    index = BlockMetadataIndex.TRANSACTIONS_FILTER
    flags = slots[index] if len(slots) > index else b""
    filtered = FilteredBlock(channel_id=channel_id, number=block.header.number)
    for tx_num, envelope in enumerate(block.data.data):
        try:
            payload, header = _read_header(envelope)
        except MalformedMessage:
            continue
        code = flags[tx_num] if tx_num < len(flags) else TxValidationCode.INVALID_OTHER_REASON
        transaction = FilteredTransaction(
            txid=header.tx_id,
            type=HeaderType.ValueType(header.type),
            tx_validation_code=TxValidationCode.ValueType(code),
        )
        if header.type == HeaderType.ENDORSER_TRANSACTION:
            transaction.transaction_actions.CopyFrom(_filter_actions(payload.data))
        filtered.filtered_transactions.append(transaction)
    return filtered


def _filter_actions(data: bytes) -> FilteredTransactionActions:
    actions = FilteredTransactionActions()
    try:
        for action in parse(Transaction, data).actions:
            endorsed = parse(ChaincodeActionPayload, action.payload)
            if not endorsed.HasField("action"):
                continue
            response = parse(ProposalResponsePayload, endorsed.action.proposal_response_payload)
            result = parse(ChaincodeAction, response.extension)
            event = parse(ChaincodeEvent, result.events)
            if event.chaincode_id:
                shown = ChaincodeEvent(
                    tx_id=event.tx_id,
                    chaincode_id=event.chaincode_id,
                    event_name=event.event_name,
                )
                actions.chaincode_actions.append(FilteredChaincodeAction(chaincode_event=shown))
    except MalformedMessage:
        # The transaction is invalid, its code says so, and it has no events to report.
        return FilteredTransactionActions()
    return actions


def _read_uvarint(data: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if offset >= len(data):
            break
        value |= (data[offset] & 0x7F) << shift
        offset += 1
        if data[offset - 1] < 0x80:
            return value, offset
    raise MalformedMessage("DeliverResponse", "the length of the block is cut off")


def _read_header(envelope: bytes) -> tuple[Payload, ChannelHeader]:
    payload = parse(Payload, parse(Envelope, envelope).payload)
    if not payload.HasField("header"):
        raise MalformedMessage("Payload", "no header")
    return payload, parse(ChannelHeader, payload.header.channel_header)
