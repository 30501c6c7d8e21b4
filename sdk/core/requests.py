"""Requests to a gateway, of bytes that are signed already."""

from tongban.protos.common_pb2 import Envelope
from tongban.protos.gateway_pb2 import EndorseRequest, EvaluateRequest, SubmitRequest
from tongban.protos.proposal_pb2 import SignedProposal

from .fields import encode_field, encode_fields, tag_of
from .signable import SignableProposal, SignableTransaction

_PROPOSED = tag_of(EndorseRequest, "proposed_transaction")
_ENDORSING = tag_of(EndorseRequest, "endorsing_organizations")
_TARGETS = tag_of(EvaluateRequest, "target_organizations")
_PREPARED = tag_of(SubmitRequest, "prepared_transaction")
_TRANSACTION_ID = tag_of(EndorseRequest, "transaction_id")
_CHANNEL_ID = tag_of(EndorseRequest, "channel_id")
_PROPOSAL_BYTES = tag_of(SignedProposal, "proposal_bytes")
_PROPOSAL_SIGNATURE = tag_of(SignedProposal, "signature")
_PAYLOAD = tag_of(Envelope, "payload")
_SIGNATURE = tag_of(Envelope, "signature")


def build_endorse_request(proposal: SignableProposal) -> bytes:
    """A serialized EndorseRequest."""
    return _proposed(proposal) + encode_fields(_ENDORSING, map(str.encode, proposal.organizations))


def build_evaluate_request(proposal: SignableProposal) -> bytes:
    """A serialized EvaluateRequest."""
    return _proposed(proposal) + encode_fields(_TARGETS, map(str.encode, proposal.organizations))


def build_submit_request(transaction: SignableTransaction) -> bytes:
    """A serialized SubmitRequest."""
    envelope = encode_field(_PAYLOAD, transaction.message) + encode_field(
        _SIGNATURE, transaction.signature
    )
    names = _names(transaction.transaction_id, transaction.channel_id)
    return names + encode_field(_PREPARED, envelope)


def _proposed(proposal: SignableProposal) -> bytes:
    signed = encode_field(_PROPOSAL_BYTES, proposal.message) + encode_field(
        _PROPOSAL_SIGNATURE, proposal.signature
    )
    names = _names(proposal.transaction_id, proposal.channel_id)
    return names + encode_field(_PROPOSED, signed)


def _names(transaction_id: str, channel_id: str) -> bytes:
    """The first two fields, the same in all three requests."""
    first = encode_field(_TRANSACTION_ID, transaction_id.encode())
    return first + encode_field(_CHANNEL_ID, channel_id.encode()) if channel_id else first
