"""Validates the blocks of a channel once more and compares with what a peer recorded in them.

Stricter than a peer that follows the channel: every byte of a block must be accounted for, so that
a changed one is found wherever it is. A block must be in its shortest serialized form without
unknown fields; every signature on it must hold, not just enough of them; the entries of its
metadata that no signature covers must be what follows from the blocks before.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from tongban.node.core.block import METADATA_SLOTS, BlockRefused, ParsedBlock, parse_block
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.commit_hash import compute_block_commit_hash
from tongban.node.core.commit_input import Expiry, StateKey
from tongban.node.core.errors import UnknownIdentity
from tongban.node.core.memory_state import MemoryState
from tongban.node.core.policy import SignatureVerifier
from tongban.node.core.state import StateReader, UpdateBatch
from tongban.node.core.validation.block_signatures import read_signatures, verify_block
from tongban.node.core.validation.block_validator import (
    BlockValidator,
    TxIdIndex,
    check_application_capability,
)
from tongban.node.core.validation.endorsement_policies import EndorsementPolicies
from tongban.node.core.validation.expiry import ExpirySchedule
from tongban.node.core.validation.genesis import accept_genesis
from tongban.node.core.validation.verdict import BlockVerdict
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import Block, LastConfig, Metadata, OrdererBlockMetadata
from tongban.protos.common_pb2 import BlockMetadataIndex as Slot
from tongban.protos.errors import TongbanError
from tongban.protos.transaction_pb2 import TxValidationCode


class FlagMismatch(NamedTuple):
    """A transaction got another code than the one recorded; None where one of them has none."""

    tx_num: int
    recorded: int | None
    found: int | None

    def __str__(self) -> str:
        return (
            f"transaction {self.tx_num}: recorded {_code_name(self.recorded)}, "
            f"found {_code_name(self.found)}"
        )


class Examination(NamedTuple):
    """What was found about one block."""

    number: int
    block: ParsedBlock
    verdict: BlockVerdict
    commit_hash: bytes
    """As it must be; empty for block 0."""

    flag_mismatches: tuple[FlagMismatch, ...]
    commit_hash_mismatch: str
    """Recorded and found; empty if they are the same or the block has none to compare."""

    @property
    def is_clean(self) -> bool:
        return not self.flag_mismatches and not self.commit_hash_mismatch


class AuditedState(StateReader, TxIdIndex, ExpirySchedule, Protocol):
    """Where an audit keeps what the blocks have changed so far."""

    def add_block(
        self,
        number: int,
        updates: UpdateBatch,
        tx_ids: Iterable[str | None],
        expiries: Iterable[Expiry],
        expired: Iterable[StateKey],
    ) -> None: ...


class ChannelAuditor:
    """Examines the blocks of one channel in order. Keeps the state in memory unless given another
    place for it, which is empty."""

    def __init__(self, state: AuditedState | None = None) -> None:
        self._state = state or MemoryState()
        self._verifier = SignatureVerifier()
        self._policies: EndorsementPolicies | None = None
        self._height = 0
        self._header_hash = b""
        self._commit_hash = b""
        self._last_config = 0
        self._records_flags = True
        self._records_commit_hash = True

    @property
    def height(self) -> int:
        """Blocks accepted so far, which is the number of the next."""
        return self._height

    @property
    def records_flags(self) -> bool:
        """Whether the blocks carry a peer's codes; those fetched from an orderer do not."""
        return self._records_flags

    def examine(self, data: bytes) -> Examination:
        """Judge the next block. Nothing is changed, so that a doubtful copy can be tried first.

        Raises:
            BlockRefused: the block is broken: its form, its place in the chain, its data hash, its
                signatures, its metadata, or a configuration that does not follow.
        """
        try:
            return self._examine(data)
        except BlockRefused as refused:
            if refused.number == self._height:
                raise
            raise BlockRefused(self._height, refused.reason) from None
        except TongbanError as error:
            raise BlockRefused(self._height, str(error)) from None

    def accept(self, examination: Examination) -> None:
        """Make an examined block part of the channel, with the codes found here."""
        assert examination.number == self._height
        block, verdict = examination.block, examination.verdict
        self._state.add_block(
            self._height, verdict.updates, verdict.tx_ids, verdict.expiries, verdict.expired
        )
        self._height += 1
        self._header_hash = block.header_hash
        self._commit_hash = examination.commit_hash
        if verdict.config is not None:
            self._last_config = block.number
            self._policies = EndorsementPolicies(verdict.channel)
        if block.number == 1:
            self._records_flags = bool(block.flags)
            self._records_commit_hash = bool(block.metadata[Slot.COMMIT_HASH])

    def _examine(self, data: bytes) -> Examination:
        message = parse(Block, data)
        message.DiscardUnknownFields()
        if message.SerializeToString() != data:
            raise BlockRefused(self._height, "expected its shortest form and no unknown fields")
        block = parse_block(message)
        if self._height == 0:
            verdict = accept_genesis(block)
            check_application_capability(verdict.channel)
        else:
            verdict = self._validate(block)
        self._check_metadata(block, verdict)
        return self._compare(block, verdict)

    def _validate(self, block: ParsedBlock) -> BlockVerdict:
        assert self._policies is not None
        channel = self._policies.channel
        verify_block(block, self._header_hash, self._height, channel, self._verifier)
        self._check_every_signature(block, channel)
        validator = BlockValidator(
            block,
            channel,
            self._state,
            self._state,
            self._verifier,
            policies=self._policies,
            expiry_schedule=self._state,
        )
        verdict = validator.finish()
        if verdict.config_refusal:
            raise BlockRefused(block.number, f"its configuration: {verdict.config_refusal}")
        return verdict

    def _check_every_signature(self, block: ParsedBlock, channel: ChannelConfig) -> None:
        given = parse(Metadata, block.metadata[Slot.SIGNATURES])
        signatures = list(read_signatures(block, channel))
        if len(signatures) != len(given.signatures):
            raise BlockRefused(block.number, "a signature names an unknown orderer")
        for index, (signed, serialized, signature) in enumerate(signatures):
            try:
                signer = channel.msps.deserialize(serialized)
            except UnknownIdentity as error:
                raise BlockRefused(block.number, f"signature {index}: {error}") from None
            if not self._verifier.verify(signer, signed, signature):
                raise BlockRefused(block.number, f"signature {index} does not hold")

    def _check_metadata(self, block: ParsedBlock, verdict: BlockVerdict) -> None:
        """The entries beside flags and commit hash are what an orderer writes."""
        slots = block.metadata + (b"",) * (METADATA_SLOTS - len(block.metadata))
        last_config = self._last_config if verdict.config is None else block.number
        signed = parse(Metadata, slots[Slot.SIGNATURES])
        signed.DiscardUnknownFields()
        if signed.SerializeToString() != slots[Slot.SIGNATURES]:
            raise BlockRefused(block.number, "its signatures are not in their shortest form")
        ordered = parse(OrdererBlockMetadata, signed.value)
        if ordered.last_config.index != last_config:
            raise BlockRefused(
                block.number,
                f"expected the last configuration in block {last_config}, "
                f"found {ordered.last_config.index}",
            )
        if block.number == 0 and (signed.signatures or ordered.consenter_metadata):
            raise BlockRefused(0, "expected no signatures on the first block")
        old = Metadata(value=LastConfig(index=last_config).SerializeToString())
        if slots[Slot.LAST_CONFIG] not in (b"", old.SerializeToString()):
            raise BlockRefused(block.number, "unexpected content in metadata entry LAST_CONFIG")
        # Orderers before 2.0 repeat here what they also sign.
        if slots[Slot.ORDERER] not in (b"", ordered.consenter_metadata):
            raise BlockRefused(block.number, "unexpected content in metadata entry ORDERER")
        if any(slots[METADATA_SLOTS:]):
            raise BlockRefused(block.number, "unexpected content behind the known metadata")

    def _compare(self, block: ParsedBlock, verdict: BlockVerdict) -> Examination:
        commit_hash = b""
        if block.number:
            commit_hash = compute_block_commit_hash(
                verdict.flags, verdict.updates, self._commit_hash
            )
        return Examination(
            number=block.number,
            block=block,
            verdict=verdict,
            commit_hash=commit_hash,
            flag_mismatches=self._compare_flags(block, verdict.flags),
            commit_hash_mismatch=self._compare_commit_hash(block, commit_hash),
        )

    def _compare_flags(self, block: ParsedBlock, found: bytes) -> tuple[FlagMismatch, ...]:
        recorded = block.flags
        is_open = block.number <= 1 or not self._records_flags
        if recorded == found or (is_open and not recorded):
            return ()
        count = max(len(recorded), len(found))
        pairs = [(_at(recorded, index), _at(found, index)) for index in range(count)]
        return tuple(
            FlagMismatch(index, *pair) for index, pair in enumerate(pairs) if pair[0] != pair[1]
        )

    def _compare_commit_hash(self, block: ParsedBlock, found: bytes) -> str:
        recorded = (
            block.metadata[Slot.COMMIT_HASH] if len(block.metadata) > Slot.COMMIT_HASH else b""
        )
        expected = Metadata(value=found).SerializeToString() if found else b""
        is_open = block.number == 1 or not self._records_commit_hash
        if recorded == expected or (is_open and not recorded):
            return ""
        return f"recorded {_shown_hash(recorded)}, found {found.hex() or 'none'}"


def _at(flags: bytes, index: int) -> int | None:
    return flags[index] if index < len(flags) else None


def _code_name(code: int | None) -> str:
    if code is None:
        return "none"
    try:
        return f"{code} ({TxValidationCode.Name(TxValidationCode.ValueType(code))})"
    except ValueError:
        return f"{code} (unknown)"


def _shown_hash(entry: bytes) -> str:
    try:
        return parse(Metadata, entry).value.hex() or "none"
    except TongbanError:
        return "something unreadable"
