"""Signed requests that cost a load generator as little as they can.

Every proposal is a real one, with a nonce, a time and a signature of its own; what is the same in
all of them is serialized once. Tests hold the bytes against the messages' own.
"""

import os
import time
from typing import NamedTuple

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
from tongban.sdk.core.fields import encode_field, encode_fields, tag_of
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
        self._creator, self._sign = signer.creator, signer.sign
        named = ChaincodeID(name=chaincode)
        extension = ChaincodeHeaderExtension(chaincode_id=named).SerializeToString()
        self._kind = ChannelHeader(type=HeaderType.ENDORSER_TRANSACTION).SerializeToString()
        self._channel = ChannelHeader(channel_id=channel_id).SerializeToString()
        self._extension = ChannelHeader(extension=extension).SerializeToString()
        self._signer = SignatureHeader(creator=self._creator).SerializeToString()
        self._spec = Spec(type=Spec.Type.NODE, chaincode_id=named).SerializeToString()
        self._channel_name = EndorseRequest(channel_id=channel_id).SerializeToString()
        self._asker = CommitStatusRequest(
            channel_id=channel_id, identity=self._creator
        ).SerializeToString()

    def propose(self, *args: bytes) -> Proposed:
        """A new transaction: the function's name and its arguments."""
        nonce = os.urandom(NONCE_BYTES)
        transaction_id = compute_tx_id(nonce, self._creator).encode()
        channel_header = b"".join(
            (
                self._kind,
                encode_field(_TIMESTAMP, _now()),
                self._channel,
                encode_field(_TX_ID, transaction_id),
                self._extension,
            )
        )
        head = encode_field(
            _HEADER,
            encode_field(_CHANNEL_HEADER, channel_header)
            + encode_field(_SIGNATURE_HEADER, self._signer + encode_field(_NONCE, nonce)),
        )
        call = encode_field(_SPEC, self._spec + encode_field(_CALL, encode_fields(_ARGS, args)))
        proposal = head + encode_field(_PAYLOAD, encode_field(_INPUT, call))
        names = encode_field(_TRANSACTION_ID, transaction_id) + self._channel_name
        request = names + encode_field(_CONTENT, self._signed(proposal))
        return Proposed(transaction_id, names, head, request)

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
        return self._signed(encode_field(_TRANSACTION_ID, proposed.transaction_id) + self._asker)

    def _signed(self, message: bytes) -> bytes:
        return encode_field(_MESSAGE, message) + encode_field(_SIGNATURE, self._sign(message))


def _now() -> bytes:
    seconds, nanos = divmod(time.time_ns(), 1_000_000_000)
    return Timestamp(seconds=seconds, nanos=nanos).SerializeToString()
