"""A block, read once: its header, its envelopes, its metadata, and whether an orderer signed it.

Sources: fabric protoutil/blockutils.go and common/deliverclient/block_verification.go.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tongban.node.core.transaction import (
    ParsedTransaction,
    Repeated,
    parse_envelope,
    read_envelope,
)
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import (
    Block,
    BlockHeader,
    BlockMetadata,
    BlockMetadataIndex,
    Envelope,
    LastConfig,
    Metadata,
    OrdererBlockMetadata,
)
from tongban.protos.digest import (
    compute_data_hash,
    compute_header_hash,
    encode_block_header,
    encode_uvarint,
)
from tongban.protos.errors import LimitExceeded, MalformedMessage, TongbanError
from tongban.protos.limits import TRANSACTIONS_PER_BLOCK_MAX

METADATA_SLOTS = len(BlockMetadataIndex.keys())
"""Entries of a block's metadata; a block with fewer is refused."""

_SIZE_DIGITS_MAX = 5
"""Digits of seven bits in the length of a payload: more than any message that is accepted needs."""


class BlockRefused(TongbanError):
    """A block is not the next one of its channel, or not what an orderer signed."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"block {number}: {reason}")
        self.number = number
        self.reason = reason


@dataclass(frozen=True)
class ParsedBlock:
    """A block with every envelope read."""

    number: int
    previous_hash: bytes
    data_hash: bytes
    data: tuple[bytes, ...]
    """The envelopes as received."""

    transactions: tuple[ParsedTransaction, ...]
    malformed: str
    """Why the envelopes do not have the form that the data hash relies on; empty if they have."""

    metadata: tuple[bytes, ...]

    @cached_property
    def header_bytes(self) -> bytes:
        """What the header hash and the orderer's signature are taken over."""
        return encode_block_header(self.number, self.previous_hash, self.data_hash)

    @cached_property
    def header_hash(self) -> bytes:
        return compute_header_hash(self.number, self.previous_hash, self.data_hash)

    @property
    def is_config(self) -> bool:
        """Whether it carries a channel configuration, which stands alone in its block."""
        return len(self.transactions) == 1 and self.transactions[0].is_config

    @property
    def flags(self) -> bytes:
        """The validation codes that a peer stored; empty from an orderer."""
        return self._slot(BlockMetadataIndex.TRANSACTIONS_FILTER)

    @property
    def commit_hash(self) -> bytes:
        """The commit hash that a peer stored; empty if there is none.

        Raises:
            MalformedMessage: its slot is unparsable.
        """
        return parse(Metadata, self._slot(BlockMetadataIndex.COMMIT_HASH), "commit hash").value

    @property
    def last_config(self) -> int:
        """The number of the newest configuration block up to this one, as the orderer claims.

        Raises:
            MalformedMessage: the signatures' slot is unparsable.
        """
        signed = parse(Metadata, self._slot(BlockMetadataIndex.SIGNATURES), "block signatures")
        if signed.value:
            return parse(OrdererBlockMetadata, signed.value).last_config.index
        old = parse(Metadata, self._slot(BlockMetadataIndex.LAST_CONFIG), "last config")
        return parse(LastConfig, old.value).index

    def _slot(self, index: int) -> bytes:
        return self.metadata[index] if index < len(self.metadata) else b""


def parse_block(block: bytes | Block) -> ParsedBlock:
    """Read a block and all its envelopes. What is wrong inside an envelope is kept as its code.

    Raises:
        MalformedMessage: it is not a block, or has no header.
        LimitExceeded: more than TRANSACTIONS_PER_BLOCK_MAX envelopes.
    """
    message = parse(Block, block) if isinstance(block, bytes) else block
    if not message.HasField("header"):
        raise MalformedMessage("block", "it has no header")
    data = tuple(message.data.data)
    if len(data) > TRANSACTIONS_PER_BLOCK_MAX:
        raise LimitExceeded("block", TRANSACTIONS_PER_BLOCK_MAX, len(data), "transactions")
    transactions, malformed = _read_envelopes(data)
    return ParsedBlock(
        number=message.header.number,
        previous_hash=message.header.previous_hash,
        data_hash=message.header.data_hash,
        data=data,
        transactions=transactions,
        malformed=malformed,
        metadata=tuple(message.metadata.metadata),
    )


def _read_envelopes(data: Sequence[bytes]) -> tuple[tuple[ParsedTransaction, ...], str]:
    """The envelopes, and the first that is not exactly what serializing it again gives. The data
    hash has no boundaries, so without that another cut of the same bytes would pass. A block with
    a configuration holds nothing else and is exempt."""
    malformed = "" if data else "it has no transactions"
    transactions: list[ParsedTransaction] = []
    repeated = Repeated()
    for index, raw in enumerate(data):
        parts = _split_shortest(raw)
        if parts is not None:
            transactions.append(read_envelope(*parts, repeated))
            continue
        transaction, defect = _read_odd_envelope(raw)
        transactions.append(transaction)
        if not malformed and defect:
            malformed = f"transaction {index}{defect}"
    if len(transactions) == 1 and transactions[0].is_config:
        malformed = ""
    return tuple(transactions), malformed


def _split_shortest(raw: bytes) -> tuple[bytes, bytes] | None:
    """Payload and signature, if the envelope is exactly what serializing it gives, neither is empty
    and the signature is no longer than ECDSA makes them. So are all good ones; for others, None."""
    try:
        size, at, shift = raw[1] & 0x7F, 2, 7
        while raw[at - 1] & 0x80:
            if at > _SIZE_DIGITS_MAX:
                return None
            size |= (raw[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
        end = at + size
        signature_size = raw[end + 1]
        is_shortest = (
            raw[0] == 0x0A
            and raw[end] == 0x12
            and size > 0
            and raw[at - 1] > 0  # else a digit too many
            and 0 < signature_size < 0x80
            and end + 2 + signature_size == len(raw)
        )
    except IndexError:
        return None
    return (raw[at:end], raw[end + 2 :]) if is_shortest else None


def _read_odd_envelope(raw: bytes) -> tuple[ParsedTransaction, str]:
    """One that may be malformed, and what is wrong with it."""
    try:
        envelope = parse(Envelope, raw)
    except MalformedMessage as error:
        return parse_envelope(raw), f": {error}"
    transaction = read_envelope(envelope.payload, envelope.signature, Repeated())
    if not envelope.payload or not envelope.signature:
        missing = "signature" if envelope.payload else "payload"
        return transaction, f" has no {missing}"
    if envelope.SerializeToString() != raw:
        return transaction, " is not in its shortest form"
    return transaction, ""


def check_integrity(block: ParsedBlock, number: int, previous_hash: bytes) -> None:
    """Return if the block is the next of its chain and its data is what its header says.

    Raises:
        BlockRefused: it is not; the reason says what was expected and found.
    """
    if block.number != number:
        raise BlockRefused(number, f"expected number {number}, found {block.number}")
    if block.previous_hash != previous_hash:
        raise BlockRefused(
            number,
            f"expected the previous hash {previous_hash.hex()}, found {block.previous_hash.hex()}",
        )
    if len(block.metadata) < METADATA_SLOTS:
        raise BlockRefused(
            number, f"expected {METADATA_SLOTS} metadata entries, found {len(block.metadata)}"
        )
    if block.malformed:
        raise BlockRefused(number, block.malformed)
    data_hash = compute_data_hash(block.data)
    if block.data_hash != data_hash:
        raise BlockRefused(
            number, f"the data hashes to {data_hash.hex()}, the header says {block.data_hash.hex()}"
        )


def serialize_block(block: ParsedBlock, metadata: Sequence[bytes]) -> bytes:
    """A serialized Block with this metadata. Joined by hand, since the library would copy every
    envelope twice more."""
    header = BlockHeader(
        number=block.number, previous_hash=block.previous_hash, data_hash=block.data_hash
    ).SerializeToString()
    slots = BlockMetadata(metadata=metadata).SerializeToString()
    data = [piece for raw in block.data for piece in (b"\x0a" + encode_uvarint(len(raw)), raw)]
    return b"".join(
        (
            b"\x0a" + encode_uvarint(len(header)),
            header,
            b"\x12" + encode_uvarint(sum(map(len, data))),
            *data,
            b"\x1a" + encode_uvarint(len(slots)),
            slots,
        )
    )
