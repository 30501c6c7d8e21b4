"""Whether a block is the next of its channel and the channel's orderers stand behind it.

Sources: fabric common/deliverclient/block_verification.go, protoutil/blockutils.go
(BlockSignatureVerifier).
"""

from collections.abc import Iterator

from tongban.node.core.block import BlockRefused, ParsedBlock, check_integrity
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.identity import serialize_identity
from tongban.node.core.policy import SignatureVerifier, SignedBy, evaluate_signatures
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import (
    BlockMetadataIndex,
    IdentifierHeader,
    Metadata,
    MetadataSignature,
    SignatureHeader,
)
from tongban.protos.errors import MalformedMessage

BLOCK_VALIDATION = "/Channel/Orderer/BlockValidation"
"""The policy that the signatures on a block must satisfy."""

IDENTIFIER_CAPABILITY = "V3_0"
"""The channel capability with which signers may be named by their consenter number."""


def verify_block(
    block: ParsedBlock,
    previous_hash: bytes,
    number: int,
    channel: ChannelConfig,
    verifier: SignatureVerifier,
) -> None:
    """Return if the block may follow the one with hash ``previous_hash``. ``channel`` is the
    configuration before it.

    Raises:
        BlockRefused: it may not; the reason says what was expected and found.
    """
    check_integrity(block, number, previous_hash)
    policy = channel.policies.find(BLOCK_VALIDATION)
    if policy is None:
        raise BlockRefused(number, f"the channel has no policy {BLOCK_VALIDATION}")
    try:
        signatures = list(read_signatures(block, channel))
    except MalformedMessage as error:
        raise BlockRefused(number, f"its signatures are unreadable: {error}") from None
    verdict = evaluate_signatures(policy, signatures, channel.msps, verifier)
    if not verdict.satisfied:
        raise BlockRefused(number, f"the orderers' signatures do not do: {verdict.explain()}")


def read_signatures(block: ParsedBlock, channel: ChannelConfig) -> Iterator[SignedBy]:
    """The signatures on a block and what each covers. A consenter number that the channel does not
    have is skipped.

    Raises:
        MalformedMessage: the signatures or a header of one cannot be read.
    """
    raw = block.metadata[BlockMetadataIndex.SIGNATURES] if block.metadata else b""
    metadata = parse(Metadata, raw, "block signatures")
    numbered = IDENTIFIER_CAPABILITY in channel.channel_capabilities
    for one in metadata.signatures:
        if numbered and one.identifier_header and not one.signature_header:
            header = one.identifier_header
            signer = _find_consenter(one, channel)
        else:
            header = one.signature_header
            signer = parse(SignatureHeader, header, "signature header of a block").creator
        if signer is not None:
            yield SignedBy(metadata.value + header + block.header_bytes, signer, one.signature)


def _find_consenter(signature: MetadataSignature, channel: ChannelConfig) -> bytes | None:
    number = parse(IdentifierHeader, signature.identifier_header).identifier
    for consenter in channel.orderer.consenters:
        if consenter.id == number:
            return serialize_identity(consenter.msp_id, consenter.identity)
    return None
