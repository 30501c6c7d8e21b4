"""Digests, against blocks that Fabric wrote."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.recorded import RECORDED, RECORDED_BLOCKS, recorded_block
from tongban.protos import codec
from tongban.protos.chaincode_pb2 import ChaincodeInvocationSpec
from tongban.protos.common_pb2 import ChannelHeader, Envelope, Payload, SignatureHeader
from tongban.protos.digest import (
    compute_commit_hash,
    compute_data_hash,
    compute_header_hash,
    compute_proposal_hash,
    compute_tx_id,
    decode_order_preserving,
    encode_block_header,
    encode_order_preserving,
    encode_uvarint,
)
from tongban.protos.proposal_pb2 import ChaincodeProposalPayload
from tongban.protos.proposal_response_pb2 import ProposalResponsePayload
from tongban.protos.transaction_pb2 import ChaincodeActionPayload, Transaction


@pytest.fixture(scope="module")
def expected() -> list[dict[str, object]]:
    document = json.loads((RECORDED / "expected.json").read_text())
    blocks: list[dict[str, object]] = document["blocks"] if isinstance(document, dict) else document
    return blocks


def test_headers_chain_and_data_hashes_hold(expected: list[dict[str, object]]) -> None:
    previous = b""
    for number in range(RECORDED_BLOCKS):
        block = recorded_block(number)
        header = block.header
        assert header.previous_hash == previous
        assert compute_data_hash(block.data.data) == header.data_hash
        previous = compute_header_hash(header.number, header.previous_hash, header.data_hash)
        assert previous.hex() == expected[number]["header_hash"]


def test_transaction_ids_and_proposal_hashes_hold() -> None:
    checked = 0
    for number in (10, 36, 47, 62, 84):
        for data in recorded_block(number).data.data:
            payload = codec.parse(Payload, codec.parse(Envelope, data).payload)
            channel_header = codec.parse(ChannelHeader, payload.header.channel_header)
            header = codec.parse(SignatureHeader, payload.header.signature_header)
            assert compute_tx_id(header.nonce, header.creator) == channel_header.tx_id
            if channel_header.type != 3:
                continue
            action = codec.parse(Transaction, payload.data).actions[0]
            body = codec.parse(ChaincodeActionPayload, action.payload)
            visible = codec.parse(ChaincodeProposalPayload, body.chaincode_proposal_payload)
            codec.parse(ChaincodeInvocationSpec, visible.input)
            response = codec.parse(ProposalResponsePayload, body.action.proposal_response_payload)
            assert response.proposal_hash == compute_proposal_hash(
                payload.header.channel_header,
                payload.header.signature_header,
                body.chaincode_proposal_payload,
            )
            checked += 1
    assert checked > 300


def test_a_block_header_is_der() -> None:
    assert encode_block_header(0, b"", b"").hex() == "3007020100" + "0400" + "0400"
    assert (
        encode_block_header(128, b"\x01", b"\x02").hex()
        == "300a" + "02020080" + "040101" + "040102"
    )
    long = encode_block_header(2**64 - 1, b"p" * 100, b"d" * 100)
    assert long[:3] == b"\x30\x81\xd7"
    assert long[3:14].hex() == "0209" + "00" + "ff" * 8


def test_the_commit_hash_covers_flags_updates_and_the_one_before() -> None:
    base = compute_commit_hash(b"\x00", b"u", b"p")
    assert base == compute_commit_hash(b"\x00", b"u", b"p")
    others = {
        compute_commit_hash(b"\x01", b"u", b"p"),
        compute_commit_hash(b"\x00", b"v", b"p"),
        compute_commit_hash(b"\x00", b"u", b"q"),
        compute_commit_hash(b"\x00\x00", b"u", b"p"),
    }
    assert len(others) == 4
    assert base not in others


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**32, "8080808010")],
)
def test_a_uvarint(value: int, encoded: str) -> None:
    assert encode_uvarint(value).hex() == encoded


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_encoded_numbers_sort_like_numbers_and_come_back(one: int, other: int) -> None:
    a, b = encode_order_preserving(one), encode_order_preserving(other)
    assert (a < b) == (one < other)
    assert decode_order_preserving(a) == (one, len(a))
    assert decode_order_preserving(b"x" + a + b, 1) == (one, 1 + len(a))
    for cut in range(len(a)):
        with pytest.raises(ValueError, match=r"no length byte|truncated"):
            decode_order_preserving(a[:cut])
