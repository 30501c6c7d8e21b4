"""The stages of a transaction as objects that can be held, stored, signed elsewhere and resumed.

Each has ``bytes`` (the whole object, to be carried away and read back), ``message`` (what is
signed), ``digest`` (SHA-256 of it, for signers that take digests) and ``signature``. The bytes are
those of the official clients, so an object made by one may be continued by another.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tongban.protos.codec import parse
from tongban.protos.common_pb2 import Envelope
from tongban.protos.errors import MalformedMessage
from tongban.protos.gateway_pb2 import (
    CommitStatusRequest,
    PreparedTransaction,
    ProposedTransaction,
    SignedCommitStatusRequest,
)
from tongban.protos.proposal_pb2 import SignedProposal

from .prepared import Prepared, parse_prepared
from .proposal import Invocation, Moment, ProposalBuilder, ProposalFacts, parse_proposal


@dataclass(frozen=True, slots=True)
class Party:
    """On whose behalf things are asked and signed."""

    creator: bytes
    """A serialized identity."""
    sign: Callable[[bytes], bytes] | None = None
    """From a message to its signature; None when everything is signed elsewhere."""
    tls_certificate_hash: bytes = b""
    """SHA-256 of the client's TLS certificate (DER), where the server wants one."""


class Signable:
    """Something whose ``message`` must be signed before it can be sent."""

    def __init__(self, message: bytes, signature: bytes = b"") -> None:
        self.message = message
        self.signature = signature

    @property
    def digest(self) -> bytes:
        """SHA-256 of what is signed."""
        return hashlib.sha256(self.message).digest()

    @property
    def is_signed(self) -> bool:
        return bool(self.signature)

    def sign_by(self, party: Party) -> None:
        """Afterwards it is signed; a signature that is there already stays.

        Raises:
            RuntimeError: it is unsigned and the party cannot sign.
        """
        if self.signature:
            return
        if party.sign is None:
            raise RuntimeError(
                f"{type(self).__name__} is not signed and the gateway has no signer: sign its"
                " digest and read it back together with the signature"
            )
        self.signature = party.sign(self.message)


class SignableProposal(Signable):
    """A proposal before it is endorsed or evaluated."""

    def __init__(
        self,
        message: bytes,
        facts: ProposalFacts,
        organizations: tuple[str, ...] = (),
        signature: bytes = b"",
    ) -> None:
        super().__init__(message, signature)
        self.facts = facts
        self.organizations = organizations

    @classmethod
    def build(cls, builder: ProposalBuilder, invocation: Invocation, moment: Moment) -> Self:
        facts, message = builder.build(invocation, moment)
        return cls(message, facts, invocation.organizations)

    @classmethod
    def parse(cls, data: bytes, signature: bytes | None = None) -> Self:
        """Read back ``bytes``; a signature given here replaces the one inside.

        Raises:
            MalformedMessage: these are not the bytes of a proposal.
        """
        proposed = parse(ProposedTransaction, data)
        facts = parse_proposal(proposed.proposal.proposal_bytes)
        return cls(
            proposed.proposal.proposal_bytes,
            facts,
            tuple(proposed.endorsing_organizations),
            proposed.proposal.signature if signature is None else signature,
        )

    @property
    def transaction_id(self) -> str:
        return self.facts.transaction_id

    @property
    def channel_id(self) -> str:
        return self.facts.channel_id

    @property
    def bytes(self) -> bytes:
        return ProposedTransaction(
            transaction_id=self.transaction_id,
            proposal=SignedProposal(proposal_bytes=self.message, signature=self.signature),
            endorsing_organizations=self.organizations,
        ).SerializeToString()


class SignableTransaction(Signable):
    """An endorsed transaction before it is submitted."""

    def __init__(self, message: bytes, prepared: Prepared, signature: bytes = b"") -> None:
        super().__init__(message, signature)
        self.prepared = prepared

    @classmethod
    def parse(cls, data: bytes, signature: bytes | None = None) -> Self:
        """Read back ``bytes``; a signature given here replaces the one inside.

        Raises:
            MalformedMessage: these are not the bytes of an endorsed transaction, or its two
                transaction ids differ.
        """
        outer = parse(PreparedTransaction, data)
        prepared = parse_prepared(outer.envelope.payload)
        if outer.transaction_id != prepared.transaction_id:
            raise MalformedMessage(
                "PreparedTransaction",
                f"it names transaction {outer.transaction_id or '(none)'} and holds"
                f" {prepared.transaction_id or '(none)'}",
            )
        inner = outer.envelope.signature
        return cls(outer.envelope.payload, prepared, inner if signature is None else signature)

    @property
    def transaction_id(self) -> str:
        return self.prepared.transaction_id

    @property
    def channel_id(self) -> str:
        return self.prepared.channel_id

    @property
    def result(self) -> bytes:
        """What the contract function returned, if the transaction commits."""
        return self.prepared.result

    @property
    def bytes(self) -> bytes:
        return PreparedTransaction(
            transaction_id=self.transaction_id,
            envelope=Envelope(payload=self.message, signature=self.signature),
        ).SerializeToString()


class SignableCommit(Signable):
    """The question for the verdict on a submitted transaction."""

    def __init__(self, message: bytes, transaction_id: str, signature: bytes = b"") -> None:
        super().__init__(message, signature)
        self.transaction_id = transaction_id

    @classmethod
    def build(cls, transaction_id: str, channel_id: str, party: Party) -> Self:
        message = build_status_request(transaction_id, channel_id, party.creator)
        return cls(message, transaction_id)

    @classmethod
    def parse(cls, data: bytes, signature: bytes | None = None) -> Self:
        """Read back ``bytes``; a signature given here replaces the one inside.

        Raises:
            MalformedMessage: these are not the bytes of a commit status request.
        """
        outer = parse(SignedCommitStatusRequest, data)
        request = parse(CommitStatusRequest, outer.request)
        if not request.transaction_id:
            raise MalformedMessage("CommitStatusRequest", "expected a transaction id")
        inner = outer.signature if signature is None else signature
        return cls(outer.request, request.transaction_id, inner)

    @property
    def bytes(self) -> bytes:
        return SignedCommitStatusRequest(
            request=self.message, signature=self.signature
        ).SerializeToString()


def build_status_request(transaction_id: str, channel_id: str, creator: bytes) -> bytes:
    """A serialized CommitStatusRequest."""
    return CommitStatusRequest(
        transaction_id=transaction_id, channel_id=channel_id, identity=creator
    ).SerializeToString()
