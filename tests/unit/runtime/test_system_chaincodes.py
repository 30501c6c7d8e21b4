"""cscc, qscc and lscc through a peer, as tools call them."""

import asyncio
from pathlib import Path

import pytest

from tests.support.channels import describe
from tests.support.endorsing import EndorsingPeer
from tests.support.pki import Member
from tongban.node.core.channel import build_channel_config, build_genesis_block
from tongban.node.core.received import ReceivedProposal
from tongban.node.storage.layout import TxLocation
from tongban.protos import (
    common_pb2,
    configtx_pb2,
    ledger_info_pb2,
    query_pb2,
    transaction_pb2,
)
from tongban.protos.proposal_response_pb2 import ProposalResponse


@pytest.fixture
def peer(tmp_path: Path) -> EndorsingPeer:
    peer = EndorsingPeer({}, tmp_path)
    block = common_pb2.Block()
    block.header.number = peer.channel.height
    block.header.previous_hash = b"\x22" * 32
    block.data.data.append(common_pb2.Envelope(payload=b"p", signature=b"s").SerializeToString())
    peer.channel.blocks.append(block.SerializeToString())
    peer.channel.height += 1
    peer.channel.places["known"] = TxLocation(1, 0, 11)
    return peer


def call(
    peer: EndorsingPeer,
    chaincode: str,
    *args: str | bytes,
    channel_id: str = "",
    member: Member | None = None,
) -> ProposalResponse:
    signed = peer.propose(chaincode, *args, channel_id=channel_id, member=member or peer.org1.admin)
    response = asyncio.run(peer.endorser.process(ReceivedProposal(signed)))
    assert peer.snapshot_is_closed()
    return response


def test_the_ledger_answers_queries(peer: EndorsingPeer) -> None:
    last = peer.channel.blocks[-1]
    digest = peer.channel.last_header_hash
    calls: list[tuple[str, str | bytes]] = [
        ("GetBlockByNumber", "1"),
        ("GetBlockByNumber", str(2**64 - 1)),
        ("GetBlockByHash", digest),
        ("GetBlockByTxID", "known"),
    ]
    for function, arg in calls:
        response = call(peer, "qscc", function, "mychannel", arg, channel_id="mychannel")
        assert response.response.status == 200, response.response.message
        assert response.response.payload == last
        assert response.HasField("endorsement"), "tools check that the peer vouches for it"
    response = call(peer, "qscc", "GetChainInfo", "mychannel", channel_id="mychannel")
    info = ledger_info_pb2.BlockchainInfo.FromString(response.response.payload)
    assert (info.height, info.currentBlockHash) == (2, digest)
    assert info.previousBlockHash == b"\x22" * 32
    response = call(
        peer, "qscc", "GetTransactionByID", "mychannel", "known", channel_id="mychannel"
    )
    found = transaction_pb2.ProcessedTransaction.FromString(response.response.payload)
    assert (found.validationCode, found.transactionEnvelope.payload) == (11, b"p")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("GetChainInfo",), "Incorrect number of arguments, 1"),
        (("GetBlockByNumber", "mychannel"), "missing 3rd argument for GetBlockByNumber"),
        (("GetChainInfo", "nowhere"), "Invalid chain ID, nowhere"),
        (("Nope", "mychannel", "x"), "access denied for [Nope][mychannel]: [Unmapped policy for "),
        (("{}{0}", "mychannel", "x"), "access denied for [{}{0}][mychannel]: [Unmapped policy "),
        (("GetBlockByNumber", "mychannel", "x"), "Failed to parse block number with error"),
        (("GetBlockByNumber", "mychannel", "9" * 5000), "Failed to parse block number with error"),
        (("GetBlockByNumber", "mychannel", "\uff11"), "Failed to parse block number with error"),
        (
            ("GetBlockByNumber", "mychannel", "2"),
            "Failed to get block number 2, error no such block number [2] in index",
        ),
        (
            ("GetBlockByHash", "mychannel", b"\xff"),
            "Failed to get block hash ff, error no such block hash [ff] in index",
        ),
        (
            ("GetTransactionByID", "mychannel", "no"),
            "Failed to get transaction with id no, error no such transaction ID [no] in index",
        ),
        (
            ("GetBlockByTxID", "mychannel", "no"),
            "Failed to get block for txID no, error no such transaction ID [no] in index",
        ),
    ],
)
def test_queries_are_refused_in_fabrics_words(
    peer: EndorsingPeer, args: tuple[str | bytes, ...], text: str
) -> None:
    response = call(peer, "qscc", *args, channel_id="mychannel")
    assert response.response.status == 500
    assert response.response.message.startswith(text)
    assert not response.HasField("endorsement")


def test_only_readers_query(peer: EndorsingPeer) -> None:
    response = call(
        peer,
        "qscc",
        "GetChainInfo",
        "mychannel",
        channel_id="mychannel",
        member=peer.org1.issue("nobody", ["orderer"]),
    )
    assert response.response.message.startswith(
        "access denied for [GetChainInfo][mychannel]: [Failed evaluating policy on signed data"
    )


def test_a_peer_tells_its_channels_and_their_configuration(peer: EndorsingPeer) -> None:
    response = call(peer, "cscc", "GetChannels")
    channels = query_pb2.ChannelQueryResponse.FromString(response.response.payload)
    assert [channel.channel_id for channel in channels.channels] == ["mychannel"]
    response = call(peer, "cscc", "GetConfigBlock", "mychannel", channel_id="mychannel")
    assert response.response.payload == peer.channel.blocks[0]
    response = call(peer, "cscc", "GetChannelConfig", "mychannel", channel_id="mychannel")
    found = configtx_pb2.Config.FromString(response.response.payload)
    assert found == peer.channel.config.config


def test_an_admin_joins_the_peer_to_a_channel(peer: EndorsingPeer) -> None:
    config = build_channel_config(describe([peer.org1, peer.org2]))
    block = build_genesis_block("newchannel", config).SerializeToString()
    refused = call(peer, "cscc", "JoinChain", block, member=peer.user)
    assert refused.response.message.startswith("access denied for [JoinChain][newchannel]: [Failed")
    assert not peer.channels.joined
    response = call(peer, "cscc", "JoinChain", block)
    assert response.response.status == 200, response.response.message
    assert peer.channels.joined == ["newchannel"]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((), "Incorrect number of arguments, 0"),
        (("JoinChain",), "Incorrect number of arguments, 1"),
        (("JoinChain", b"\xff"), "Failed to reconstruct the genesis block, "),
        (("JoinChain", b""), "Failed to reconstruct the genesis block, "),
        (
            ("GetConfigBlock", "nowhere"),
            "access denied for [GetConfigBlock][nowhere]: Failed to get policy manager for channel "
            "[nowhere]",
        ),
        (("GetChannelConfig", ""), "empty channel name provided"),
        (
            ("GetChannelConfig", "nowhere"),
            "access denied for [GetChannelConfig][nowhere]: Failed to get policy manager for "
            "channel [nowhere]",
        ),
        (("Nope", "x"), "Requested function Nope not found."),
    ],
)
def test_configuration_calls_are_refused_in_fabrics_words(
    peer: EndorsingPeer, args: tuple[str | bytes, ...], text: str
) -> None:
    response = call(peer, "cscc", *args)
    assert response.response.status == 500
    assert response.response.message.startswith(text)
    assert not peer.channels.joined


def test_there_are_no_chaincodes_of_the_old_kind(peer: EndorsingPeer) -> None:
    response = call(peer, "lscc", "GetChaincodes", channel_id="mychannel")
    assert response.response.status == 200
    assert not query_pb2.ChaincodeQueryResponse.FromString(response.response.payload).chaincodes
    response = call(peer, "lscc", "deploy", "x", channel_id="mychannel")
    assert response.response.message == "invalid function to lscc: deploy"
