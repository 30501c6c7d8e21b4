"""The forms of a delivered block."""

from tests.support.ordering import envelope, small_network
from tongban.node.core.block_build import build_block, read_chain_end
from tongban.node.core.delivered_block import (
    filter_block,
    is_config_block,
    unwrap_block,
    wrap_block,
    wrap_filtered,
    wrap_with_private_data,
)
from tongban.protos.ab_pb2 import DeliverResponse as OrdererResponse
from tongban.protos.chaincode_event_pb2 import ChaincodeEvent
from tongban.protos.common_pb2 import Block, HeaderType, Status
from tongban.protos.events_pb2 import DeliverResponse
from tongban.protos.proposal_pb2 import ChaincodeAction
from tongban.protos.proposal_response_pb2 import ProposalResponsePayload
from tongban.protos.rwset_pb2 import NsPvtReadWriteSet, TxPvtReadWriteSet
from tongban.protos.transaction_pb2 import (
    ChaincodeActionPayload,
    ChaincodeEndorsedAction,
    Transaction,
    TransactionAction,
    TxValidationCode,
)


def transaction(event: ChaincodeEvent) -> bytes:
    action = ChaincodeAction(events=event.SerializeToString())
    response = ProposalResponsePayload(extension=action.SerializeToString())
    endorsed = ChaincodeEndorsedAction(proposal_response_payload=response.SerializeToString())
    payload = ChaincodeActionPayload(action=endorsed)
    return Transaction(
        actions=[TransactionAction(payload=payload.SerializeToString())]
    ).SerializeToString()


def block(*data: bytes, flags: bytes = b"") -> Block:
    network = small_network()
    built = build_block(read_chain_end(network.genesis), data, network.orderer.signer, b"n", 1)
    built.metadata.metadata[2] = flags
    return built


def test_a_wrapped_block_is_what_the_message_would_be() -> None:
    for size in (0, 1, 127, 128, 20_000):
        stored = block(b"x" * size).SerializeToString()
        wrapped = wrap_block(stored)
        assert wrapped == OrdererResponse(block=Block.FromString(stored)).SerializeToString()
        assert wrapped == DeliverResponse(block=Block.FromString(stored)).SerializeToString()
        assert unwrap_block(wrapped) == (stored, Status.SUCCESS)


def test_a_status_is_no_block() -> None:
    response = OrdererResponse(status=Status.NOT_FOUND).SerializeToString()
    assert unwrap_block(response) == (None, Status.NOT_FOUND)


def test_private_sets_stand_beside_the_block() -> None:
    stored = block(b"x").SerializeToString()
    private = {4: TxPvtReadWriteSet(ns_pvt_rwset=[NsPvtReadWriteSet(namespace="property")])}
    found = DeliverResponse.FromString(wrap_with_private_data(stored, private))
    assert found.block_and_private_data.block.SerializeToString() == stored
    assert found.block_and_private_data.private_data_map[4] == private[4]
    empty = DeliverResponse.FromString(wrap_with_private_data(stored, {}))
    assert empty.WhichOneof("Type") == "block_and_private_data"


def test_a_filtered_block_has_codes_and_events_without_payload() -> None:
    client = small_network().client
    event = ChaincodeEvent(chaincode_id="basic", tx_id="t", event_name="Created", payload=b"secret")
    good = envelope(client, transaction(event)).SerializeToString()
    quiet = envelope(client, transaction(ChaincodeEvent())).SerializeToString()
    bad = envelope(client, b"\xff\xff").SerializeToString()
    config = envelope(client, b"", kind=HeaderType.CONFIG).SerializeToString()
    flags = bytes([TxValidationCode.VALID, TxValidationCode.MVCC_READ_CONFLICT, 7, 7, 0])
    stored = block(good, quiet, b"\xff", bad, config, flags=flags)

    response = DeliverResponse.FromString(wrap_filtered("mychannel", stored.SerializeToString()))
    filtered = response.filtered_block
    assert (filtered.channel_id, filtered.number) == ("mychannel", 1)
    shown = filtered.filtered_transactions
    # The one without a readable header has no id to report it under.
    assert [each.tx_validation_code for each in shown] == [0, 11, 7, 0]
    assert all(each.txid for each in shown)
    (action,) = shown[0].transaction_actions.chaincode_actions
    assert action.chaincode_event == ChaincodeEvent(
        chaincode_id="basic", tx_id="t", event_name="Created"
    )
    assert not shown[1].transaction_actions.chaincode_actions
    assert not shown[2].transaction_actions.chaincode_actions
    assert [each.type for each in shown][-1] == HeaderType.CONFIG
    assert shown[-1].WhichOneof("Data") is None


def test_missing_flags_are_not_taken_for_valid() -> None:
    client = small_network().client
    stored = block(envelope(client, transaction(ChaincodeEvent())).SerializeToString())
    (shown,) = filter_block("mychannel", stored).filtered_transactions
    assert shown.tx_validation_code != TxValidationCode.VALID


def test_only_a_lone_configuration_makes_a_config_block() -> None:
    client = small_network().client
    config = envelope(client, kind=HeaderType.CONFIG).SerializeToString()
    assert is_config_block(small_network().genesis)
    assert is_config_block(block(config))
    assert not is_config_block(block(config, config))
    assert not is_config_block(block(b"\xff"))
    assert not is_config_block(block())
