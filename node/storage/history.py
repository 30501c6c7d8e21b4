"""The past of a key: which valid transactions wrote it, and what.

The store keeps only places; values and times are read from the blocks
(fabric core/ledger/kvledger/history/query_executer.go).
"""

from collections.abc import Callable, Iterator

from tongban.node.storage import layout
from tongban.node.storage.kvstore import Readable, prefix_end
from tongban.protos import (
    common_pb2,
    kvrwset_pb2,
    proposal_pb2,
    proposal_response_pb2,
    queryresult_pb2,
    rwset_pb2,
    transaction_pb2,
)


def modifications(
    store: Readable, read_block: Callable[[int], bytes], namespace: str, key: bytes
) -> Iterator[queryresult_pb2.KeyModification]:
    """Newest first; deletes included, with an empty value."""
    prefix = layout.history_prefix(namespace, key)
    current = -1
    block = common_pb2.Block()
    for place, _ in store.iterate(prefix, prefix_end(prefix), reverse=True):
        block_num, tx_num = layout.parse_history_key(place, len(prefix))
        if block_num != current:
            block = common_pb2.Block.FromString(read_block(block_num))
            current = block_num
        yield find_modification(block.data.data[tx_num], namespace, key.decode())


def find_modification(envelope: bytes, namespace: str, key: str) -> queryresult_pb2.KeyModification:
    """What this transaction did to the key.

    The envelope is of a committed, valid transaction that writes the key, so whatever is not as
    it should be is a fault.
    """
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(envelope).payload)
    header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    transaction = transaction_pb2.Transaction.FromString(payload.data)
    action = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
    response = proposal_response_pb2.ProposalResponsePayload.FromString(
        action.action.proposal_response_payload
    )
    results = proposal_pb2.ChaincodeAction.FromString(response.extension).results
    for part in rwset_pb2.TxReadWriteSet.FromString(results).ns_rwset:
        if part.namespace != namespace:
            continue
        for write in kvrwset_pb2.KVRWSet.FromString(part.rwset).writes:
            if write.key == key:
                return queryresult_pb2.KeyModification(
                    tx_id=header.tx_id,
                    value=write.value,
                    timestamp=header.timestamp,
                    is_delete=write.is_delete or not write.value,
                )
    raise AssertionError(f"the history says that {header.tx_id} wrote {namespace}/{key!r}")
