"""Every refusal of a proposal: its words, how it is returned, and that nothing was done."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.endorsing import NOW, EndorsingPeer, ProposalParts, a_program
from tests.support.pki import EXPIRED, make_organization
from tests.support.program import run_program
from tongban.node.core.errors import Overloaded
from tongban.node.core.proposal import ClockRules, Delivery, ProposalRefused
from tongban.node.core.received import ReceivedProposal
from tongban.node.runtime.endorser import EndorserOptions
from tongban.node.storage.layout import TxLocation
from tongban.protos import chaincode_pb2, common_pb2, proposal_pb2

BOTH = Delivery.ERROR_AND_RESPONSE
ERROR = Delivery.ERROR_ONLY

GARBAGE = b"\x0a\xff\xff"


@pytest.fixture
def peer(tmp_path: Path) -> EndorsingPeer:
    return EndorsingPeer({"basic": run_program}, tmp_path)


def refusal_of(peer: EndorsingPeer, signed: proposal_pb2.SignedProposal) -> ProposalRefused:
    with pytest.raises(ProposalRefused) as caught:
        asyncio.run(peer.endorser.process(ReceivedProposal(signed)))
    check_nothing_happened(peer)
    response = caught.value.to_response()
    assert response.response.status == 500
    assert response.response.message == str(caught.value)
    assert not response.payload
    return caught.value


def check_nothing_happened(peer: EndorsingPeer) -> None:
    assert not peer.host.calls, "no contract was run"
    assert not peer.channel.held
    assert peer.snapshot_is_closed()
    assert peer.endorser.in_work == 0


def extension(**fields: object) -> bytes:
    return proposal_pb2.ChaincodeHeaderExtension(**fields).SerializeToString()  # type: ignore[arg-type]


def invocation(**fields: object) -> bytes:
    spec = chaincode_pb2.ChaincodeSpec(**fields)  # type: ignore[arg-type]
    return chaincode_pb2.ChaincodeInvocationSpec(chaincode_spec=spec).SerializeToString()


def with_fields(**fields: object) -> Callable[[ProposalParts], None]:
    def change(parts: ProposalParts) -> None:
        for name, value in fields.items():
            setattr(parts, name, value)

    return change


FORMS = [
    (with_fields(extension=extension()), "ChaincodeHeaderExtension.ChaincodeId is nil", BOTH),
    (
        with_fields(extension=extension(chaincode_id=chaincode_pb2.ChaincodeID(version="1"))),
        "ChaincodeHeaderExtension.ChaincodeId.Name is empty",
        BOTH,
    ),
    (
        with_fields(extension=GARBAGE),
        "error unmarshaling ChaincodeHeaderExtension: ChaincodeHeaderExtension: not a serialized",
        BOTH,
    ),
    (with_fields(input=b""), "chaincode invocation spec did not contain chaincode spec", BOTH),
    (with_fields(input=invocation(timeout=1)), "chaincode input did not contain any input", BOTH),
    (
        with_fields(input=GARBAGE),
        "error unmarshaling ChaincodeInvocationSpec: ChaincodeInvocationSpec: not a serialized",
        BOTH,
    ),
    (
        with_fields(header_type=common_pb2.CONFIG_UPDATE),
        "error validating proposal: invalid header type CONFIG_UPDATE",
        BOTH,
    ),
    (with_fields(header_type=99), "error validating proposal: invalid header type 99", BOTH),
    (with_fields(epoch=1), "error validating proposal: epoch is non-zero", BOTH),
    (with_fields(nonce=b""), "error validating proposal: nonce is empty", BOTH),
    (with_fields(creator=b""), "error validating proposal: creator is empty", BOTH),
    (
        with_fields(tx_id="ab"),
        "error validating proposal: incorrectly computed txid 'ab' -- expected '",
        BOTH,
    ),
    (with_fields(signature=b""), "error validating proposal: empty signature bytes", BOTH),
    (
        with_fields(creator=b"nobody"),
        "error validating proposal: access denied: channel [mychannel] creator org unknown, "
        "creator is malformed",
        BOTH,
    ),
    (
        with_fields(signature=b"\x30\x06\x02\x01\x01\x02\x01\x01"),
        "error validating proposal: access denied: channel [mychannel] creator org [Org1MSP]",
        BOTH,
    ),
    (
        with_fields(seconds=int(NOW.timestamp()) - 901),
        "request unauthorized due to incorrect timestamp 2025-06-01T11:44:59Z, peer time "
        "2025-06-01T12:00:00Z, peer.authentication.timewindow 15m0s",
        ERROR,
    ),
    (
        with_fields(seconds=int(NOW.timestamp()) + 901),
        "request unauthorized due to incorrect timestamp 2025-06-01T12:15:01Z, peer time "
        "2025-06-01T12:00:00Z, peer.authentication.timewindow 15m0s",
        ERROR,
    ),
]


@pytest.mark.parametrize(("change", "text", "delivery"), FORMS, ids=[row[1][:60] for row in FORMS])
def test_a_malformed_proposal_is_refused_in_fabrics_words(
    peer: EndorsingPeer, change: Callable[[ProposalParts], None], text: str, delivery: Delivery
) -> None:
    refused = refusal_of(peer, peer.propose("basic", *a_program(), change=change))
    assert str(refused).startswith(text)
    assert refused.delivery is delivery


@pytest.mark.parametrize(
    ("signed", "text"),
    [
        (
            proposal_pb2.SignedProposal(proposal_bytes=GARBAGE),
            "failed parsing proposal: error unmarshaling Proposal: ",
        ),
        (
            proposal_pb2.SignedProposal(
                proposal_bytes=proposal_pb2.Proposal(header=GARBAGE).SerializeToString()
            ),
            "failed parsing header: error unmarshaling Header: ",
        ),
        (
            proposal_pb2.SignedProposal(
                proposal_bytes=proposal_pb2.Proposal(
                    header=common_pb2.Header(signature_header=GARBAGE).SerializeToString()
                ).SerializeToString()
            ),
            "failed parsing signature header: error unmarshaling SignatureHeader: ",
        ),
        (
            proposal_pb2.SignedProposal(
                proposal_bytes=proposal_pb2.Proposal(
                    header=common_pb2.Header(channel_header=GARBAGE).SerializeToString()
                ).SerializeToString()
            ),
            "failed parsing channel header: error unmarshaling ChannelHeader: ",
        ),
        (proposal_pb2.SignedProposal(), "request unauthorized due to incorrect timestamp 1970-"),
    ],
)
def test_unreadable_outer_layers_fail_the_call_without_a_response(
    peer: EndorsingPeer, signed: proposal_pb2.SignedProposal, text: str
) -> None:
    refused = refusal_of(peer, signed)
    assert str(refused).startswith(text)
    assert refused.delivery is ERROR


def test_an_unreadable_payload_is_refused_with_a_response(peer: EndorsingPeer) -> None:
    signed = peer.propose("basic", *a_program())
    proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
    proposal.payload = GARBAGE
    signed.proposal_bytes = proposal.SerializeToString()
    refused = refusal_of(peer, signed)
    assert str(refused).startswith("error unmarshaling ChaincodeProposalPayload: ")
    assert refused.delivery is BOTH


def test_an_expired_client_fails_the_call_without_a_response(peer: EndorsingPeer) -> None:
    late = peer.org1.issue("late", ["client"], not_after=EXPIRED)
    refused = refusal_of(peer, peer.propose("basic", *a_program(), member=late))
    assert str(refused) == "proposal client identity expired"
    assert refused.delivery is ERROR


def test_clock_rules_can_be_switched_off_by_configuration(tmp_path: Path) -> None:
    rules = ClockRules(time_window=None, refuse_expired=False)
    peer = EndorsingPeer({"basic": run_program}, tmp_path, options=EndorserOptions(rules))
    late = peer.org1.issue("late", ["client"], not_after=EXPIRED)
    signed = peer.propose("basic", *a_program(), member=late, seconds=5)
    assert asyncio.run(peer.endorser.process(ReceivedProposal(signed))).response.status == 200


def test_another_time_window_shows_in_the_text(tmp_path: Path) -> None:
    rules = ClockRules(time_window=timedelta(hours=1, seconds=1))
    options = EndorserOptions(rules, now=lambda: NOW)
    peer = EndorsingPeer({"basic": run_program}, tmp_path, options=options)
    refused = refusal_of(peer, peer.propose("basic", *a_program(), seconds=5))
    assert str(refused).endswith("peer.authentication.timewindow 1h0m1s")


def test_an_invalid_identity_gets_the_same_words_as_a_wrong_signature(peer: EndorsingPeer) -> None:
    nobody = peer.org1.issue("nobody", ["client", "peer"])
    refused = refusal_of(peer, peer.propose("basic", *a_program(), member=nobody))
    assert str(refused) == (
        "error validating proposal: access denied: channel [mychannel] creator org [Org1MSP]"
    )


def test_a_client_of_a_foreign_organization_is_unknown(peer: EndorsingPeer) -> None:
    stranger = make_organization("Org9MSP", users=1).users[0]
    refused = refusal_of(peer, peer.propose("basic", *a_program(), member=stranger))
    assert "creator org unknown, creator is malformed" in str(refused)


def test_a_channelless_call_of_another_organization_is_unknown(peer: EndorsingPeer) -> None:
    signed = peer.propose("cscc", "GetChannels", member=peer.org2.users[0], channel_id="")
    assert str(refusal_of(peer, signed)) == (
        "error validating proposal: access denied: channel [] creator org unknown, creator is "
        "malformed"
    )


def test_a_used_transaction_id_is_refused(peer: EndorsingPeer) -> None:
    signed = peer.propose("basic", *a_program())
    proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
    header = common_pb2.Header.FromString(proposal.header)
    tx_id = common_pb2.ChannelHeader.FromString(header.channel_header).tx_id
    peer.channel.places[tx_id] = TxLocation(1, 0, 11)
    refused = refusal_of(peer, signed)
    creator = peer.user.identity.hex()
    assert str(refused) == f"duplicate transaction found [{tx_id}]. Creator [{creator}]"
    assert refused.delivery is BOTH


def test_a_creator_who_is_no_writer_is_refused(peer: EndorsingPeer) -> None:
    refused = refusal_of(peer, peer.propose("basic", *a_program(), member=peer.org1.peers[0]))
    assert str(refused).startswith(
        "Failed evaluating policy on signed data during check policy on channel [mychannel] with "
        "policy [/Channel/Application/Writers]: [implicit policy evaluation failed - 0 sub-policies"
    )
    assert refused.delivery is BOTH


def test_an_unknown_channel_is_a_response(peer: EndorsingPeer) -> None:
    signed = peer.propose("basic", *a_program(), channel_id="nowhere")
    response = asyncio.run(peer.endorser.process(ReceivedProposal(signed)))
    assert response.response.status == 500
    assert response.response.message == "channel 'nowhere' not found"
    assert not response.payload and not response.HasField("endorsement")
    check_nothing_happened(peer)


@pytest.mark.parametrize(
    ("chaincode", "channel_id", "text"),
    [
        (
            "unknown",
            "mychannel",
            "make sure the chaincode unknown has been successfully defined on channel mychannel "
            "and try again: chaincode unknown not found",
        ),
        (
            "basic",
            "",
            "make sure the chaincode basic has been successfully defined on channel  and try "
            "again: could not get channel config for channel ''",
        ),
    ],
)
def test_an_undefined_chaincode_is_a_response(
    peer: EndorsingPeer, chaincode: str, channel_id: str, text: str
) -> None:
    signed = peer.propose(chaincode, *a_program(), channel_id=channel_id)
    response = asyncio.run(peer.endorser.process(ReceivedProposal(signed)))
    assert (response.response.status, response.response.message) == (500, text)
    assert not response.payload and not response.HasField("endorsement")
    check_nothing_happened(peer)


def test_more_calls_than_the_limit_are_refused_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        options = EndorserOptions(concurrency_limit=1, now=lambda: NOW)
        peer = EndorsingPeer({"basic": run_program}, tmp_path, options=options)
        one, other = (ReceivedProposal(peer.propose("basic", *a_program())) for _ in range(2))
        first = asyncio.ensure_future(peer.endorser.process(one))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as caught:
            await peer.endorser.process(other)
        assert str(caught.value) == (
            "too many requests for /protos.Endorser, exceeding concurrency limit (1)"
        )
        assert (await first).response.status == 200
        assert peer.endorser.in_work == 0

    asyncio.run(run())
