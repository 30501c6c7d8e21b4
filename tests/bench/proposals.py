"""Signed requests that cost a load generator as little as they can.

Every proposal is a real one, with a nonce, a time and a signature of its own; what is the same in
all of them is serialized once. Tests hold the bytes against the messages' own.
"""

import os
import time
from typing import NamedTuple

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from tongban.protos.chaincode_pb2 import ChaincodeID, ChaincodeInput, ChaincodeInvocationSpec
from tongban.protos.chaincode_pb2 import ChaincodeSpec as Spec
from tongban.protos.common_pb2 import ChannelHeader, Header, HeaderType, SignatureHeader
from tongban.protos.digest import compute_tx_id
from tongban.protos.gateway_pb2 import CommitStatusRequest, EndorseRequest
from tongban.protos.proposal_pb2 import (
    ChaincodeHeaderExtension,
    ChaincodeProposalPayload,
    Proposal,
    SignedProposal,
)
from tongban.protos.signing import Signer
from tongban.sdk.core.fields import encode_field, encode_fields, encode_size, tag_of
from tongban.sdk.core.proposal import NONCE_BYTES

_TIMESTAMP = tag_of(ChannelHeader, "timestamp")
_TX_ID = tag_of(ChannelHeader, "tx_id")
_NONCE = tag_of(SignatureHeader, "nonce")
_CHANNEL_HEADER = tag_of(Header, "channel_header")
_SIGNATURE_HEADER = tag_of(Header, "signature_header")
_HEADER = tag_of(Proposal, "header")
_PAYLOAD = tag_of(Proposal, "payload")
_INPUT = tag_of(ChaincodeProposalPayload, "input")
_SPEC = tag_of(ChaincodeInvocationSpec, "chaincode_spec")
_CALL = tag_of(Spec, "input")
_ARGS = tag_of(ChaincodeInput, "args")
_TRANSACTION_ID = tag_of(EndorseRequest, "transaction_id")
_CONTENT = tag_of(EndorseRequest, "proposed_transaction")
"""A SubmitRequest has its envelope under the same number."""
_MESSAGE = tag_of(SignedProposal, "proposal_bytes")
_SIGNATURE = tag_of(SignedProposal, "signature")
"""An Envelope and a SignedCommitStatusRequest have the same two fields."""


class Proposed(NamedTuple):
    """What a client keeps of a transaction that it has proposed."""

    transaction_id: bytes
    names: bytes
    """Transaction id and channel, as every request to a gateway begins."""
    head: bytes
    """How the proposal begins, and how the payload of the transaction must."""
    request: bytes
    """A serialized EndorseRequest; an EvaluateRequest has the same bytes."""


class Proposer:
    """Asks and signs for one identity on one channel."""

    def __init__(self, signer: Signer, channel_id: str, chaincode: str) -> None:
        creator = signer.creator
        self._creator, self._sign = creator, signer.sign
        named = ChaincodeID(name=chaincode)
        extension = ChaincodeHeaderExtension(chaincode_id=named).SerializeToString()
        self._kind = _serialized(ChannelHeader(type=HeaderType.ENDORSER_TRANSACTION)) + _TIMESTAMP
        self._channel = _serialized(ChannelHeader(channel_id=channel_id)) + _before(_TX_ID, 64)
        self._extension = _serialized(ChannelHeader(extension=extension))
        signer_header = _serialized(SignatureHeader(creator=creator)) + _before(_NONCE, NONCE_BYTES)
        size = len(signer_header) + NONCE_BYTES
        self._signer = self._extension + _before(_SIGNATURE_HEADER, size) + signer_header
        self._spec = _serialized(Spec(type=Spec.Type.NODE, chaincode_id=named))
        self._channel_name = _serialized(EndorseRequest(channel_id=channel_id))
        self._asker = _serialized(CommitStatusRequest(channel_id=channel_id, identity=creator))
        self._channel_header_size = len(self._kind) + len(self._channel) + 64 + len(self._extension)

    def propose(self, *args: bytes) -> Proposed:
        """A new transaction: the function's name and its arguments."""
        nonce = os.urandom(NONCE_BYTES)
        transaction_id = compute_tx_id(nonce, self._creator).encode()
        names = _NAMED + transaction_id + self._channel_name
        head = encode_field(_HEADER, self._header(transaction_id, nonce))
        call = encode_field(_SPEC, self._spec + encode_field(_CALL, encode_fields(_ARGS, args)))
        proposal = head + encode_field(_PAYLOAD, encode_field(_INPUT, call))
        request = names + encode_field(_CONTENT, self._signed(proposal))
        return Proposed(transaction_id, names, head, request)

    def _header(self, transaction_id: bytes, nonce: bytes) -> bytes:
        """Both headers; what lies between the values that change is always the same."""
        seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
        timestamp = Timestamp(seconds=seconds, nanos=nanos).SerializeToString()
        size = self._channel_header_size + 1 + len(timestamp)
        return b"".join(
            (
                _CHANNEL_HEADER,
                encode_size(size),
                self._kind,
                encode_size(len(timestamp)),
                timestamp,
                self._channel,
                transaction_id,
                self._signer,
                nonce,
            )
        )

    def submission(self, proposed: Proposed, payload: bytes) -> bytes:
        """A serialized SubmitRequest with the payload signed.

        Raises:
            ValueError: the payload is of another transaction than the one proposed.
        """
        if not payload.startswith(proposed.head):
            raise ValueError("the gateway prepared another transaction than the one proposed")
        return proposed.names + encode_field(_CONTENT, self._signed(payload))

    def status_request(self, proposed: Proposed) -> bytes:
        """A serialized SignedCommitStatusRequest."""
        return self._signed(_NAMED + proposed.transaction_id + self._asker)

    def _signed(self, message: bytes) -> bytes:
        return encode_field(_MESSAGE, message) + encode_field(_SIGNATURE, self._sign(message))


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


def _before(tag: bytes, size: int) -> bytes:
    """What stands before the content of a field of this size."""
    return tag + encode_size(size)


_NAMED = _before(_TRANSACTION_ID, 64)
