"""Judges the transactions of a block, one slice at a time.

Every transaction is judged against the state before the block; then one with the id of a valid one
before it in the block is refused; then what it read is compared with what it would read now, and
if it is valid still, its writes are applied (fabric core/committer/txvalidator/v20/validator.go,
core/ledger/kvledger/txmgmt/validation). Fabric goes through the block once for each of these; once
for all of them gives the same, since each looks only at earlier transactions. Nothing that stands
in a block makes this raise.
"""

from collections.abc import Sequence
from typing import Protocol

from tongban.node.core.block import ParsedBlock
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.commit_input import HistoryEntry, PurgedKey
from tongban.node.core.errors import UnsupportedCapability
from tongban.node.core.policy import SignatureCheck, SignatureVerifier
from tongban.node.core.rwset_reader import NsRwSet, TxRwSet
from tongban.node.core.state import (
    CONFIG_KEY,
    CONFIG_NAMESPACE,
    StateReader,
    UpdateBatch,
    Version,
    VersionedValue,
)
from tongban.node.core.transaction import Code, ParsedTransaction
from tongban.node.core.validation.block_signers import BlockSigners
from tongban.node.core.validation.config_transactions import ConfigRefused, apply_config
from tongban.node.core.validation.definitions import Definitions
from tongban.node.core.validation.endorsement import EndorsementChecker
from tongban.node.core.validation.endorsement_policies import EndorsementPolicies
from tongban.node.core.validation.expiry import (
    ExpirySchedule,
    NothingExpires,
    expires_at,
    schedule,
    spare_written,
)
from tongban.node.core.validation.mvcc import validate_reads
from tongban.node.core.validation.reading import BlockReader
from tongban.node.core.validation.verdict import BlockVerdict, PrivateHash
from tongban.node.core.validation.writes import apply_writes
from tongban.protos.common_pb2 import HeaderType
from tongban.protos.transaction_pb2 import TxValidationCode

_VALID = TxValidationCode.VALID
_CONFIG = HeaderType.CONFIG

APPLICATION_CAPABILITIES = frozenset({"V2_0", "V2_5"})
"""One of these must be on: under older ones Fabric validates by other rules, with definitions of a
lifecycle that this node does not have (fabric core/committer/txvalidator/txvalidator.go)."""


class TxIdIndex(Protocol):
    """Which transaction ids earlier blocks have used, valid or not."""

    def has_tx(self, tx_id: str) -> bool: ...


def check_application_capability(channel: ChannelConfig) -> None:
    """Return if blocks of the channel can be judged here.

    Raises:
        UnsupportedCapability: they would need the rules of an older capability.
    """
    if not channel.application_capabilities & APPLICATION_CAPABILITIES:
        raise UnsupportedCapability("Application", tuple(channel.application_capabilities))


class BlockValidator:
    """One block of one channel. To have signatures verified on threads, give the results of
    :meth:`signature_checks` to :meth:`take_results` first. Then call :meth:`step` until it says
    that nothing is left, then :meth:`finish`."""

    def __init__(
        self,
        block: ParsedBlock,
        channel: ChannelConfig,
        state: StateReader,
        ledger: TxIdIndex,
        verifier: SignatureVerifier,
        *,
        policies: EndorsementPolicies | None = None,
        expiry_schedule: ExpirySchedule | None = None,
    ) -> None:
        """``policies`` of the same ``channel`` may be kept from block to block, and remember.

        Raises:
            UnsupportedCapability: the channel's application capability is older than V2_0.
        """
        assert policies is None or policies.channel is channel
        check_application_capability(channel)
        self._block = block
        self._channel = channel
        self._state = BlockReader(state)
        self._ledger = ledger
        self._verifier = verifier
        self._signers = BlockSigners(block.transactions, channel, verifier)
        self._expiry_schedule = expiry_schedule or NothingExpires()
        policies = policies or EndorsementPolicies(channel)
        self._definitions = Definitions(self._state, policies)
        self._endorsement = EndorsementChecker(self._definitions, policies, self._state)
        self._codes: list[Code] = []
        self._valid_ids: set[str] = set()
        self._effects = _Effects(block.number, self._state, self._definitions)
        self._new_channel = channel
        self._config: bytes | None = None
        self._config_refusal = ""

    def signature_checks(self) -> Sequence[SignatureCheck]:
        """The signatures that the verdict may ask for, of creators and of endorsers."""
        return self._signers.checks

    def take_results(self, results: Sequence[bool]) -> None:
        """Whether the signatures hold, in the order of the checks."""
        self._signers.take(results)

    def step(self) -> bool:
        """Judge one more transaction and apply it if it is valid. False if nothing is left."""
        codes, transactions = self._codes, self._block.transactions
        index = len(codes)
        if index == len(transactions):
            return False
        transaction = transactions[index]
        code = self._judge(index, transaction)
        if code == _VALID:
            code = self._apply(index, transaction)
        codes.append(code)
        return index + 1 < len(transactions)

    def finish(self) -> BlockVerdict:
        """The verdict. Does what :meth:`step` has left."""
        while self.step():
            pass
        effects = self._effects
        number = self._block.number
        lives = self._definitions.blocks_to_live
        expired = self._expiry_schedule.find_expired(number)
        return BlockVerdict(
            flags=bytes(self._codes),
            tx_ids=tuple([transaction.index_id for transaction in self._block.transactions]),
            updates=effects.updates,
            history=tuple(effects.history),
            expiries=tuple(schedule(number, effects.updates, lives)),
            expired=tuple(spare_written(expired, effects.updates)),
            purges=tuple(effects.purges),
            private_hashes=tuple(effects.private_hashes),
            config=self._config,
            channel=self._new_channel,
            config_refusal=self._config_refusal,
        )

    def _judge(self, index: int, transaction: ParsedTransaction) -> Code:
        """The code of one transaction before repeated ids and reads are looked at."""
        header = transaction.header
        if transaction.form_code != _VALID or header is None:
            return transaction.form_code
        if not self._signers.is_signed(index):
            return TxValidationCode.BAD_CREATOR_SIGNATURE
        if transaction.body_code != _VALID:
            return transaction.body_code
        if header.type == _CONFIG:
            return self._judge_config(transaction)
        if self._ledger.has_tx(header.tx_id):
            return TxValidationCode.DUPLICATE_TXID
        if transaction.body is None:
            return transaction.content_code
        return self._endorsement.check(transaction.body, self._signers.endorsers(index))

    def _judge_config(self, transaction: ParsedTransaction) -> Code:
        try:
            self._new_channel = apply_config(self._new_channel, transaction.data, self._verifier)
        except ConfigRefused as refusal:
            self._config_refusal = str(refusal)
            return TxValidationCode.INVALID_CONFIG_TRANSACTION
        self._config = transaction.data
        return _VALID

    def _apply(self, index: int, transaction: ParsedTransaction) -> Code:
        """The code of a transaction that was good so far, whose effects are there if it is VALID.
        Of good ones with one id only the first stays, even if what it read has changed."""
        header, body = transaction.header, transaction.body
        if body is None:
            self._effects.add_config(index, transaction.data)
            return _VALID
        assert header is not None
        if header.tx_id in self._valid_ids:
            return TxValidationCode.DUPLICATE_TXID
        self._valid_ids.add(header.tx_id)
        code = validate_reads(body.rwset, self._state, self._effects.updates)
        if code == _VALID:
            self._effects.add(index, body.rwset)
        return code


class _Effects:
    """What the valid transactions of a block add up to."""

    def __init__(self, number: int, state: StateReader, definitions: Definitions) -> None:
        self._number = number
        self._state = state
        self._definitions = definitions
        self.updates = UpdateBatch()
        self.history: list[HistoryEntry] = []
        self.purges: list[PurgedKey] = []
        self.private_hashes: list[PrivateHash] = []

    def add_config(self, index: int, envelope: bytes) -> None:
        value = VersionedValue(envelope, Version(self._number, index))
        self.updates.put(CONFIG_NAMESPACE, CONFIG_KEY, value)

    def add(self, index: int, rwset: TxRwSet) -> None:
        version = Version(self._number, index)
        apply_writes(rwset, version, self._state, self.updates)
        for part in rwset.namespaces:
            for write in part.writes:
                self.history.append(HistoryEntry(part.namespace, write.key, index))
            if part.collections:
                self._add_collections(index, part)

    def _add_collections(self, index: int, part: NsRwSet) -> None:
        namespace = part.namespace
        for name, _, _, _, purged, digest in part.collections:
            for key in purged:
                self.purges.append(PurgedKey(index, namespace, name, key))
            if digest:
                expires = expires_at(
                    self._number, self._definitions.blocks_to_live(namespace, name)
                )
                self.private_hashes.append(PrivateHash(index, namespace, name, digest, expires))
