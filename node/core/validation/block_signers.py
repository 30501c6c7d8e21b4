"""Who signed the transactions of a block: the creator of each, and its endorsers.

What has to be verified is known before anything is judged, so it can be verified elsewhere in one
go. Without results each signature is verified where the verdict asks for it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tongban.node.core.channel import ChannelConfig
from tongban.node.core.errors import UnknownIdentity
from tongban.node.core.identity import Identity
from tongban.node.core.policy import SignatureCheck, Verifier
from tongban.node.core.transaction import EndorserBody, ParsedTransaction
from tongban.node.core.validation.endorsement_policies import Endorsers
from tongban.protos.errors import TongbanError
from tongban.protos.limits import SIGNATURES_PER_SET_MAX
from tongban.protos.transaction_pb2 import TxValidationCode

_VALID = TxValidationCode.VALID

AHEAD_BYTES_MAX = 64 * 1024 * 1024
"""Bytes of what endorsers signed that are put together ahead for a block. A large response with
hundreds of endorsements would otherwise become a hundred times what it is in the block."""


class _Place(NamedTuple):
    """Which checks are those of one transaction: its creator's is the first, and those of its
    endorsers follow."""

    first: int
    end: int
    late: EndorserBody | None
    """Whose endorsers have no checks, since all they signed would take too much memory at once."""


class BlockSigners:
    """The signatures on the transactions of one block."""

    def __init__(
        self, transactions: Sequence[ParsedTransaction], channel: ChannelConfig, verifier: Verifier
    ) -> None:
        self._channel = channel
        self._verifier = verifier
        self._identities: dict[bytes, Identity | None] = {}
        self._valid: dict[Identity, bool] = {}
        self._results: Sequence[bool] | None = None
        self._checks: list[SignatureCheck] = []
        self._ahead_bytes = 0
        self._places = [self._plan(transaction) for transaction in transactions]

    @property
    def checks(self) -> Sequence[SignatureCheck]:
        """The signatures that the verdict may ask for. Skipped are those that cannot hold because
        nobody knows their identity, and those that are better verified one by one."""
        return self._checks

    def take(self, results: Sequence[bool]) -> None:
        """Whether the signatures hold, in the order of the checks."""
        assert len(results) == len(self._checks)
        self._results = results

    def is_signed(self, index: int) -> bool:
        """Whether a valid identity of this channel signed the payload of a transaction. One that
        names another channel has no identity here."""
        place = self._places[index]
        return (
            place is not None
            and self._is_valid(self._checks[place.first].identity)
            and self._holds(place.first)
        )

    def endorsers(self, index: int) -> Endorsers:
        """Who endorsed a transaction whose creator is known; each once, and only those whose
        signatures hold. They need not be valid here: that is asked when a principal is tested
        (fabric common/policies/policy.go, SignatureSetToValidIdentities)."""
        place = self._places[index]
        assert place is not None
        found: dict[str, Identity] = {}
        for number in range(place.first + 1, place.end):
            identity = self._checks[number].identity
            if identity.id not in found and self._holds(number):
                found[identity.id] = identity
        if place.late is not None:
            for identity, message, signature in self._endorsements(place.late):
                if identity.id not in found and self._verifier.verify(identity, message, signature):
                    found[identity.id] = identity
        return tuple(found.values())

    def _plan(self, transaction: ParsedTransaction) -> _Place | None:
        """None if the creator's signature cannot hold; then no other is asked for."""
        header = transaction.header
        if transaction.form_code != _VALID or header is None:
            return None
        if header.channel_id != self._channel.channel_id:
            return None
        creator = self._find(header.creator)
        if creator is None:
            return None
        checks = self._checks
        first = len(checks)
        checks.append(SignatureCheck(creator, transaction.payload, transaction.signature))
        body, late = transaction.body, None
        if body is not None:
            size = len(body.response_payload) * len(body.endorsements)
            if self._ahead_bytes + size > AHEAD_BYTES_MAX:
                late = body
            else:
                self._ahead_bytes += size
                checks.extend(self._endorsements(body))
        return _Place(first, len(checks), late)

    def _endorsements(self, body: EndorserBody) -> Iterator[SignatureCheck]:
        """Each endorser signs the response payload followed by its own identity."""
        payload = body.response_payload
        for endorser, signature in body.endorsements[:SIGNATURES_PER_SET_MAX]:
            identity = self._find(endorser)
            if identity is not None:
                yield SignatureCheck(identity, payload + endorser, signature)

    def _find(self, serialized: bytes) -> Identity | None:
        try:
            return self._identities[serialized]
        except KeyError:
            pass
        try:
            found = self._channel.msps.deserialize(serialized)
        except UnknownIdentity:
            found = None
        self._identities[serialized] = found
        return found

    def _is_valid(self, identity: Identity) -> bool:
        known = self._valid.get(identity)
        if known is None:
            try:
                self._channel.msps.validate(identity)
                known = True
            except TongbanError:
                known = False
            self._valid[identity] = known
        return known

    def _holds(self, number: int) -> bool:
        if self._results is not None:
            return self._results[number]
        return self._verifier.verify(*self._checks[number])
