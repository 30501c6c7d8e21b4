"""Blocks and their commit inputs for storage tests: real wire shapes, no signatures.

A block is described by what its transactions write; :func:`revalidate` reads the same description
back out of the block, so recovery is tested with a function that is as pure as validation.
"""

from collections.abc import Mapping, Sequence

from tongban.node.core.commit_input import CommitInput, HistoryEntry
from tongban.node.core.state import UpdateBatch, Version, VersionedValue
from tongban.node.storage.ledger import Ledger
from tongban.node.storage.snapshot import StateSnapshot
from tongban.protos import (
    common_pb2,
    kvrwset_pb2,
    proposal_pb2,
    proposal_response_pb2,
    rwset_pb2,
    transaction_pb2,
)
from tongban.protos.digest import (
    compute_commit_hash,
    compute_data_hash,
    compute_header_hash,
    sha256,
)

Writes = Mapping[str, bytes | None]
"""What one transaction writes in namespace ``cc``; None deletes."""

NAMESPACE = "cc"


def tx_id(number: int, tx_num: int) -> str:
    return sha256(b"%d/%d" % (number, tx_num)).hex()


def an_envelope(writes: Writes, identity: str, seconds: int, padding: int = 0) -> bytes:
    rwset = kvrwset_pb2.KVRWSet(
        writes=[
            kvrwset_pb2.KVWrite(key=key, is_delete=value is None, value=value or b"")
            for key, value in writes.items()
        ]
    )
    part = rwset_pb2.NsReadWriteSet(namespace=NAMESPACE, rwset=rwset.SerializeToString())
    results = rwset_pb2.TxReadWriteSet(ns_rwset=[part])
    action = proposal_pb2.ChaincodeAction(results=results.SerializeToString())
    response = proposal_response_pb2.ProposalResponsePayload(extension=action.SerializeToString())
    endorsed = transaction_pb2.ChaincodeEndorsedAction(
        proposal_response_payload=response.SerializeToString()
    )
    body = transaction_pb2.ChaincodeActionPayload(
        chaincode_proposal_payload=bytes(padding), action=endorsed
    )
    transaction = transaction_pb2.Transaction(
        actions=[transaction_pb2.TransactionAction(payload=body.SerializeToString())]
    )
    channel_header = common_pb2.ChannelHeader(type=3, channel_id="c", tx_id=identity)
    channel_header.timestamp.seconds = seconds
    payload = common_pb2.Payload(
        header=common_pb2.Header(channel_header=channel_header.SerializeToString()),
        data=transaction.SerializeToString(),
    )
    return common_pb2.Envelope(payload=payload.SerializeToString()).SerializeToString()


def _writes_of(envelope: bytes) -> tuple[str, list[kvrwset_pb2.KVWrite]]:
    payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(envelope).payload)
    header = common_pb2.ChannelHeader.FromString(payload.header.channel_header)
    transaction = transaction_pb2.Transaction.FromString(payload.data)
    body = transaction_pb2.ChaincodeActionPayload.FromString(transaction.actions[0].payload)
    response = proposal_response_pb2.ProposalResponsePayload.FromString(
        body.action.proposal_response_payload
    )
    action = proposal_pb2.ChaincodeAction.FromString(response.extension)
    parts = rwset_pb2.TxReadWriteSet.FromString(action.results).ns_rwset
    return header.tx_id, list(kvrwset_pb2.KVRWSet.FromString(parts[0].rwset).writes)


def judge(number: int, block: common_pb2.Block, previous_commit_hash: bytes) -> CommitInput:
    """A stand-in for validation: every transaction is valid, and its writes are applied."""
    updates = UpdateBatch()
    history: list[HistoryEntry] = []
    tx_ids: list[str | None] = []
    digest = b""
    for tx_num, envelope in enumerate(block.data.data):
        identity, writes = _writes_of(envelope)
        tx_ids.append(identity)
        for write in writes:
            key = write.key.encode()
            version = Version(number, tx_num)
            if write.is_delete:
                updates.delete(NAMESPACE, key, version)
            else:
                updates.put(NAMESPACE, key, VersionedValue(write.value, version))
            history.append(HistoryEntry(NAMESPACE, key, tx_num))
            digest += write.SerializeToString()
    flags = bytes(len(block.data.data))
    commit_hash = compute_commit_hash(flags, digest, previous_commit_hash) if number else b""
    final = common_pb2.Block(header=block.header, data=block.data)
    final.metadata.metadata.extend([b"", b"", flags, b"", b""])
    if number:
        metadata = common_pb2.Metadata(value=commit_hash)
        final.metadata.metadata[common_pb2.COMMIT_HASH] = metadata.SerializeToString()
    header = block.header
    return CommitInput(
        number=number,
        block=final.SerializeToString(),
        header_hash=compute_header_hash(number, header.previous_hash, header.data_hash),
        flags=flags,
        tx_ids=tx_ids,
        updates=updates,
        commit_hash=commit_hash,
        history=history,
    )


def revalidate(number: int, stored: bytes, before: StateSnapshot) -> CommitInput:
    saved = before.savepoint()
    return judge(number, common_pb2.Block.FromString(stored), saved.commit_hash if saved else b"")


def next_input(ledger: Ledger, transactions: Sequence[Writes], padding: int = 0) -> CommitInput:
    """The next block of this ledger, with these transactions."""
    number = ledger.height
    envelopes = [
        an_envelope(writes, tx_id(number, tx_num), 1000 + number, padding)
        for tx_num, writes in enumerate(transactions)
    ]
    block = common_pb2.Block(data=common_pb2.BlockData(data=envelopes))
    block.header.number = number
    block.header.previous_hash = ledger.last_header_hash
    block.header.data_hash = compute_data_hash(envelopes)
    return judge(number, block, ledger.commit_hash)


def commit(ledger: Ledger, *transactions: Writes, padding: int = 0) -> CommitInput:
    given = next_input(ledger, transactions, padding)
    ledger.commit(given)
    return given
