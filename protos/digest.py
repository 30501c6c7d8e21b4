"""Every digest that nodes must agree on, and the bytes it is taken over."""

import hashlib
from collections.abc import Iterable

EMPTY_SHA256 = hashlib.sha256(b"").digest()
"""The digest of no bytes; a hashed write with this value hash counts as a delete."""


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def compute_tx_id(nonce: bytes, creator: bytes) -> str:
    """Lower-case hex of SHA-256 over nonce and creator (fabric protoutil/proputils.go)."""
    return hashlib.sha256(nonce + creator).hexdigest()


def compute_proposal_hash(
    channel_header: bytes, signature_header: bytes, payload_without_transient: bytes
) -> bytes:
    """SHA-256 over both headers as received and a payload that holds only ``input``
    (fabric protoutil/proputils.go, GetProposalHash1 and GetProposalHash2)."""
    return sha256(channel_header + signature_header + payload_without_transient)


def compute_data_hash(data: Iterable[bytes]) -> bytes:
    """SHA-256 over the envelopes of a block in order (fabric protoutil/blockutils.go)."""
    digest = hashlib.sha256()
    for envelope in data:
        digest.update(envelope)
    return digest.digest()


def encode_block_header(number: int, previous_hash: bytes, data_hash: bytes) -> bytes:
    """DER of SEQUENCE{INTEGER, OCTET STRING, OCTET STRING} (fabric protoutil/blockutils.go)."""
    body = _der(0x02, _der_integer(number)) + _der(0x04, previous_hash) + _der(0x04, data_hash)
    return _der(0x30, body)


def compute_header_hash(number: int, previous_hash: bytes, data_hash: bytes) -> bytes:
    """The hash by which the next block refers to this one."""
    return sha256(encode_block_header(number, previous_hash, data_hash))


def encode_uvarint(value: int) -> bytes:
    """Seven bits a byte, least significant first."""
    if value < 0x80:
        return bytes((value,))
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_order_preserving(value: int) -> bytes:
    """A length byte and the big-endian number without leading zeros, so that encoded numbers sort
    like numbers (fabric common/ledger/util/util.go)."""
    body = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(body)]) + body


def decode_order_preserving(data: bytes, offset: int = 0) -> tuple[int, int]:
    """The number at ``offset`` and the offset behind it.

    Raises:
        ValueError: the bytes end too early.
    """
    if offset >= len(data):
        raise ValueError("no length byte")
    end = offset + 1 + data[offset]
    if end > len(data):
        raise ValueError("truncated number")
    return int.from_bytes(data[offset + 1 : end], "big"), end


def compute_commit_hash(flags: bytes, updates: bytes, previous: bytes) -> bytes:
    """``updates`` are the bytes of an Updates message; ``previous`` is empty for the first block
    (fabric core/ledger/kvledger/kv_ledger.go, addBlockCommitHash)."""
    return sha256(encode_uvarint(len(flags)) + flags + updates + previous)


def _der(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def _der_integer(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big")
