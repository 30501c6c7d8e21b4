"""Endorsed transactions as the gateway hands them out: what they would do, and whether they are
what was proposed.

A client signs the gateway's bytes, so it looks first: the headers and the call must be those of its
proposal, byte for byte. Otherwise a gateway could have anything signed.
"""

from typing import NamedTuple

from tongban.protos.codec import parse
from tongban.protos.common_pb2 import ChannelHeader, Payload
from tongban.protos.errors import MalformedMessage
from tongban.protos.proposal_pb2 import ChaincodeAction, ChaincodeProposalPayload
from tongban.protos.proposal_response_pb2 import ProposalResponsePayload
from tongban.protos.transaction_pb2 import ChaincodeActionPayload, Transaction

from .fields import encode_field, tag_of
from .proposal import ProposalFacts


class Prepared(NamedTuple):
    """What an endorsed transaction says."""

    channel_id: str
    transaction_id: str
    result: bytes
    """What the contract function returned."""


def parse_prepared(payload_bytes: bytes) -> Prepared:
    """Read the payload of an endorsed envelope.

    Raises:
        MalformedMessage: it is not one, or has not exactly one action.
    """
    payload = parse(Payload, payload_bytes)
    header = parse(ChannelHeader, payload.header.channel_header)
    actions = parse(Transaction, payload.data).actions
    if len(actions) != 1:
        raise MalformedMessage("Transaction", f"expected one action, found {len(actions)}")
    action = parse(ChaincodeActionPayload, actions[0].payload)
    answer = parse(ProposalResponsePayload, action.action.proposal_response_payload)
    return Prepared(
        channel_id=header.channel_id,
        transaction_id=header.tx_id,
        result=parse(ChaincodeAction, answer.extension).response.payload,
    )


def check_prepared(payload_bytes: bytes, proposal: ProposalFacts) -> Prepared:
    """Read the payload of the envelope that a gateway made of this proposal.

    Raises:
        MalformedMessage: signing it would agree to something else than the proposal.
    """
    payload = parse(Payload, payload_bytes)
    actions = parse(Transaction, payload.data).actions
    if len(actions) != 1:
        raise MalformedMessage("Transaction", f"expected one action, found {len(actions)}")
    action = parse(ChaincodeActionPayload, actions[0].payload)
    if not (
        payload.header.channel_header == proposal.channel_header
        and payload.header.signature_header == proposal.signature_header
        and action.chaincode_proposal_payload == encode_field(_INPUT, proposal.call)
    ):
        raise MalformedMessage("Transaction", "it is another transaction than the one proposed")
    answer = parse(ProposalResponsePayload, action.action.proposal_response_payload)
    return Prepared(
        channel_id=proposal.channel_id,
        transaction_id=proposal.transaction_id,
        result=parse(ChaincodeAction, answer.extension).response.payload,
    )


_INPUT = tag_of(ChaincodeProposalPayload, "input")
