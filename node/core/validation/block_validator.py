"""Judges the transactions of a block, one slice at a time.

Every transaction is judged against the state before the block; then ids that repeat inside the
block are refused; then, in order, what each read is compared with what it would read now, and the
writes of those that stay valid are applied (fabric core/committer/txvalidator/v20/validator.go,
core/ledger/kvledger/txmgmt/validation). Nothing that stands in a block makes this raise.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from tongban.node.core.block import ParsedBlock
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.commit_input import HistoryEntry, PurgedKey
from tongban.node.core.errors import UnknownIdentity, UnsupportedCapability
from tongban.node.core.identity import Identity
from tongban.node.core.policy import (
    KnownSignatures,
    SignatureCheck,
    SignatureVerifier,
    SignedBy,
    find_signers,
)
from tongban.node.core.rwset_reader import TxRwSet
from tongban.node.core.state import (
    CONFIG_KEY,
    CONFIG_NAMESPACE,
    StateReader,
    UpdateBatch,
    Version,
    VersionedValue,
)
from tongban.node.core.transaction import Code, EndorserBody, ParsedTransaction
from tongban.node.core.validation.config_transactions import ConfigRefused, apply_config
from tongban.node.core.validation.definitions import Definitions
from tongban.node.core.validation.endorsement import EndorsementChecker, written_collections
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
from tongban.protos.errors import TongbanError
from tongban.protos.transaction_pb2 import TxValidationCode

_VALID = TxValidationCode.VALID


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
        self._signatures = KnownSignatures(verifier)
        self._expiry_schedule = expiry_schedule or NothingExpires()
        policies = policies or EndorsementPolicies(channel)
        self._definitions = Definitions(self._state, policies)
        self._endorsement = EndorsementChecker(self._definitions, policies, self._state)
        self._codes: list[Code] = []
        self._effects = _Effects(block.number, self._state, self._definitions)
        self._applied = 0
        self._new_channel = channel
        self._config: bytes | None = None
        self._config_refusal = ""

    def signature_checks(self) -> list[SignatureCheck]:
        """The signatures that the verdict will ask for, of creators and of endorsers. Skipped are
        those that cannot hold because nobody knows their identity."""
        checks: list[SignatureCheck] = []
        for transaction in self._block.transactions:
            header = transaction.header
            if transaction.form_code != _VALID or header is None:
                continue
            creator = self._find_identity(header.creator)
            if creator is not None:
                checks.append(SignatureCheck(creator, transaction.payload, transaction.signature))
            if transaction.body is not None:
                checks.extend(self._endorsement_checks(transaction.body))
        return checks

    def take_results(self, checks: Sequence[SignatureCheck], results: Iterable[bool]) -> None:
        """Whether the signatures of these checks hold."""
        self._signatures.take(checks, results)

    def step(self) -> bool:
        """Judge one more transaction, or apply one. False if nothing is left to do."""
        transactions = self._block.transactions
        if len(self._codes) < len(transactions):
            self._codes.append(self._judge(len(self._codes)))
            if len(self._codes) == len(transactions):
                self._refuse_repeated_ids()
            return True
        if self._applied < len(transactions):
            self._apply(self._applied)
            self._applied += 1
        return self._applied < len(transactions)

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

    def _judge(self, index: int) -> Code:
        """The code of one transaction before repeated ids and reads are looked at."""
        transaction = self._block.transactions[index]
        header = transaction.header
        if transaction.form_code != _VALID or header is None:
            return transaction.form_code
        if not self._is_signed(transaction):
            return TxValidationCode.BAD_CREATOR_SIGNATURE
        if transaction.body_code != _VALID:
            return transaction.body_code
        if transaction.is_config:
            return self._judge_config(transaction)
        if self._ledger.has_tx(header.tx_id):
            return TxValidationCode.DUPLICATE_TXID
        if transaction.body is None:
            return transaction.content_code
        endorsers = find_signers(
            _signatures(transaction.body), self._channel.msps, self._signatures
        )
        return self._endorsement.check(transaction.body, tuple(endorsers))

    def _is_signed(self, transaction: ParsedTransaction) -> bool:
        """Whether a valid identity of this channel signed the payload. A transaction that names
        another channel has no identity here."""
        header = transaction.header
        assert header is not None
        if header.channel_id != self._channel.channel_id:
            return False
        creator = self._find_identity(header.creator)
        if creator is None:
            return False
        try:
            self._channel.msps.validate(creator)
        except TongbanError:
            return False
        return self._signatures.verify(creator, transaction.payload, transaction.signature)

    def _judge_config(self, transaction: ParsedTransaction) -> Code:
        try:
            self._new_channel = apply_config(self._new_channel, transaction.data, self._verifier)
        except ConfigRefused as refusal:
            self._config_refusal = str(refusal)
            return TxValidationCode.INVALID_CONFIG_TRANSACTION
        self._config = transaction.data
        return _VALID

    def _refuse_repeated_ids(self) -> None:
        """Of valid transactions with one id only the first stays."""
        seen: set[str] = set()
        for index, transaction in enumerate(self._block.transactions):
            if self._codes[index] != _VALID or transaction.is_config:
                continue
            assert transaction.header is not None
            if transaction.header.tx_id in seen:
                self._codes[index] = TxValidationCode.DUPLICATE_TXID
            seen.add(transaction.header.tx_id)

    def _apply(self, index: int) -> None:
        if self._codes[index] != _VALID:
            return
        transaction = self._block.transactions[index]
        if transaction.body is None:
            self._effects.add_config(index, transaction.data)
            return
        rwset = transaction.body.rwset
        code = validate_reads(rwset, self._state, self._effects.updates)
        self._codes[index] = code
        if code == _VALID:
            self._effects.add(index, rwset)

    def _find_identity(self, serialized: bytes) -> Identity | None:
        try:
            return self._channel.msps.deserialize(serialized)
        except UnknownIdentity:
            return None

    def _endorsement_checks(self, body: EndorserBody) -> Iterator[SignatureCheck]:
        for data, endorser, signature in _signatures(body):
            identity = self._find_identity(endorser)
            if identity is not None:
                yield SignatureCheck(identity, data, signature)


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
        apply_writes(rwset, Version(self._number, index), self._state, self.updates)
        for part in rwset.namespaces:
            for write in part.writes:
                self.history.append(HistoryEntry(part.namespace, write.key, index))
            for collection in part.collections:
                for key in collection.purged:
                    purged = PurgedKey(index, part.namespace, collection.collection, key)
                    self.purges.append(purged)
        for namespace, name, digest in written_collections(rwset):
            lives = self._definitions.blocks_to_live(namespace, name)
            expires = expires_at(self._number, lives)
            self.private_hashes.append(PrivateHash(index, namespace, name, digest, expires))


def _signatures(body: EndorserBody) -> list[SignedBy]:
    """Each endorser signs the response payload followed by its own identity."""
    payload = body.response_payload
    return [
        SignedBy(payload + endorser, endorser, signature)
        for endorser, signature in body.endorsements
    ]
