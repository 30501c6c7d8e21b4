"""qscc: reads blocks and transactions of a channel's ledger.

Source of functions and texts: fabric core/scc/qscc/query.go.
"""

from tongban.node.runtime.access import AccessControl
from tongban.node.runtime.channel_access import ChannelAccess, PeerChannels
from tongban.node.runtime.contract_host import Response
from tongban.node.runtime.syscc.call import (
    ERROR,
    SUCCESS,
    CallRefused,
    SystemCall,
    argument,
    check_access,
)
from tongban.protos import common_pb2, ledger_info_pb2, transaction_pb2

NAME = "qscc"

LAST_BLOCK = 2**64 - 1
"""The number that means the last block (fabric core/ledger/kvledger/kv_ledger.go)."""


class LedgerQueries:
    """The chaincode."""

    def __init__(self, channels: PeerChannels, access: AccessControl) -> None:
        self._channels = channels
        self._access = access

    async def invoke(self, call: SystemCall) -> Response:
        try:
            return Response(SUCCESS, "", self._answer(call))
        except CallRefused as refused:
            return Response(ERROR, refused.text)

    def _answer(self, call: SystemCall) -> bytes:
        if len(call.args) < 2:
            raise CallRefused(f"Incorrect number of arguments, {len(call.args)}")
        function, channel_id = argument(call.args[0]), argument(call.args[1])
        if call.proposal.spec_name != NAME:
            raise CallRefused(
                "Rejecting invoke of QSCC from another chaincode because of potential for "
                f"deadlocks, original invocation for '{call.proposal.spec_name or ''}'"
            )
        if function != "GetChainInfo" and len(call.args) < 3:
            raise CallRefused(f"missing 3rd argument for {function}")
        channel = self._channels.find(channel_id)
        if channel is None:
            raise CallRefused(f"Invalid chain ID, {channel_id}")
        denied = f"access denied for [{_safe(function)}][{_safe(channel_id)}]: [{{}}]"
        check_access(self._access, f"{NAME}/{function}", channel.config, call, denied)
        match function:
            case "GetChainInfo":
                return _chain_info(channel)
            case "GetBlockByNumber":
                return _block_by_number(channel, argument(call.args[2]))
            case "GetBlockByHash":
                return _block_by_hash(channel, call.args[2])
            case "GetTransactionByID":
                return _transaction(channel, argument(call.args[2]))
            case "GetBlockByTxID":
                return _block_by_tx_id(channel, argument(call.args[2]))
        raise CallRefused(f"Requested function {function} not found.")


def _safe(text: str) -> str:
    """Text that ``str.format`` leaves alone."""
    return text.replace("{", "{{").replace("}", "}}")


def _chain_info(channel: ChannelAccess) -> bytes:
    height = channel.height
    last = common_pb2.Block.FromString(channel.get_block(height - 1))
    return ledger_info_pb2.BlockchainInfo(
        height=height,
        currentBlockHash=channel.last_header_hash,
        previousBlockHash=last.header.previous_hash,
    ).SerializeToString()


def _block_by_number(channel: ChannelAccess, text: str) -> bytes:
    if not (text.isascii() and text.isdigit()) or int(text[:21]) > LAST_BLOCK:
        raise CallRefused(
            f'Failed to parse block number with error strconv.ParseUint: parsing "{text}": '
            f"{'value out of range' if text.isascii() and text.isdigit() else 'invalid syntax'}"
        )
    number = int(text)
    if number == LAST_BLOCK:
        number = channel.height - 1
    try:
        return channel.get_block(number)
    except KeyError:
        raise CallRefused(
            f"Failed to get block number {number}, error no such block number [{number}] in index"
        ) from None


def _block_by_hash(channel: ChannelAccess, digest: bytes) -> bytes:
    number = channel.find_block_num(digest)
    if number is None:
        raise CallRefused(
            f"Failed to get block hash {digest.hex()}, error no such block hash [{digest.hex()}] "
            "in index"
        )
    return channel.get_block(number)


def _transaction(channel: ChannelAccess, tx_id: str) -> bytes:
    place = channel.find_transaction(tx_id)
    if place is None:
        raise CallRefused(
            f"Failed to get transaction with id {tx_id}, error no such transaction ID [{tx_id}] "
            "in index"
        )
    block = common_pb2.Block.FromString(channel.get_block(place.block_num))
    envelope = common_pb2.Envelope.FromString(block.data.data[place.tx_num])
    return transaction_pb2.ProcessedTransaction(
        transactionEnvelope=envelope, validationCode=place.code
    ).SerializeToString()


def _block_by_tx_id(channel: ChannelAccess, tx_id: str) -> bytes:
    place = channel.find_transaction(tx_id)
    if place is None:
        raise CallRefused(
            f"Failed to get block for txID {tx_id}, error no such transaction ID [{tx_id}] in index"
        )
    return channel.get_block(place.block_num)
