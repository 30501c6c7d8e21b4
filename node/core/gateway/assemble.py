"""From a proposal and endorsements to the envelope that its creator signs.

Header bytes and the endorsed payload travel verbatim; the transient map is left out
(fabric protoutil/txutils.go, internal/pkg/gateway/submit.go).
"""

from collections.abc import Iterable, Mapping, Sequence

from tongban.node.core.proposal import encode_payload
from tongban.node.core.received import ReceivedProposal
from tongban.protos import common_pb2, transaction_pb2
from tongban.protos.proposal_response_pb2 import Endorsement


def distinct_endorsements(endorsements: Iterable[Endorsement]) -> list[Endorsement]:
    """One endorsement for each endorser, the first one."""
    first: dict[bytes, Endorsement] = {}
    for endorsement in endorsements:
        first.setdefault(endorsement.endorser, endorsement)
    return list(first.values())


def needed_endorsements(
    layout: Mapping[str, int], endorsements: Iterable[tuple[str, Endorsement]]
) -> list[Endorsement]:
    """As many of each organization as the layout asks for, in the order given; each comes with its
    organization's MSP id. Others are left out: every peer would have to verify them."""
    lacking = dict(layout)
    needed: list[Endorsement] = []
    for msp_id, endorsement in endorsements:
        if lacking.get(msp_id, 0) > 0:
            lacking[msp_id] -= 1
            needed.append(endorsement)
    return needed


def build_transaction_payload(
    received: ReceivedProposal,
    proposal_response_payload: bytes,
    endorsements: Sequence[Endorsement],
) -> bytes:
    """The serialized Payload of the transaction, to be signed by the proposal's creator."""
    header = received.header
    action = transaction_pb2.ChaincodeActionPayload(
        chaincode_proposal_payload=encode_payload(received.payload.input),
        action=transaction_pb2.ChaincodeEndorsedAction(
            proposal_response_payload=proposal_response_payload,
            endorsements=distinct_endorsements(endorsements),
        ),
    )
    transaction = transaction_pb2.Transaction()
    transaction.actions.add(header=header.signature_header, payload=action.SerializeToString())
    return common_pb2.Payload(
        header=header, data=transaction.SerializeToString()
    ).SerializeToString()
