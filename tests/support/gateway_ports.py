"""What a gateway needs from the rest of a peer, by script: endorsers, a channel, orderers."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tongban.node.core.errors import AccessDenied, UnknownChannel
from tongban.node.core.gateway.answer import EndorserAnswer
from tongban.node.core.gateway.directory import ChannelPresence, PeerRecord
from tongban.node.core.gateway.plan import Layout
from tongban.node.core.policy import SignedBy
from tongban.node.core.received import ReceivedProposal
from tongban.node.runtime.commits import CommitFeed, CommitStatus
from tongban.node.runtime.gateway.gateway import Gateway
from tongban.node.runtime.gateway.submit import OrdererUnreachable
from tongban.protos.ab_pb2 import BroadcastResponse
from tongban.protos.chaincode_event_pb2 import ChaincodeEvent
from tongban.protos.chaincode_pb2 import ChaincodeID, ChaincodeInput, ChaincodeInvocationSpec
from tongban.protos.chaincode_pb2 import ChaincodeSpec as Spec
from tongban.protos.common_pb2 import ChannelHeader, Envelope, Header, SignatureHeader
from tongban.protos.common_pb2 import Payload as EnvelopePayload
from tongban.protos.proposal_pb2 import (
    ChaincodeAction,
    ChaincodeProposalPayload,
    Proposal,
    SignedProposal,
)
from tongban.protos.proposal_response_pb2 import (
    ChaincodeCall,
    ChaincodeInterest,
    Endorsement,
    ProposalResponse,
    ProposalResponsePayload,
    Response,
)

CHANNEL = "ch"
Answer = EndorserAnswer | Callable[[SignedProposal], EndorserAnswer]


def a_peer(
    name: str, org: str = "A", height: int = 5, chaincodes: tuple[str, ...] = ("cc",)
) -> PeerRecord:
    presence = ChannelPresence(height, dict.fromkeys(chaincodes, "1.0"))
    return PeerRecord(f"{name}:1", org, name.encode(), 1, 1, {CHANNEL: presence})


def a_proposal(
    chaincode: str = "cc",
    channel_id: str = CHANNEL,
    transient: Mapping[str, bytes] | None = None,
) -> SignedProposal:
    header = Header(
        channel_header=ChannelHeader(channel_id=channel_id, tx_id="tx").SerializeToString(),
        signature_header=SignatureHeader(creator=b"creator").SerializeToString(),
    )
    spec = Spec(chaincode_id=ChaincodeID(name=chaincode), input=ChaincodeInput(args=[b"f"]))
    payload = ChaincodeProposalPayload(
        input=ChaincodeInvocationSpec(chaincode_spec=spec).SerializeToString(),
        TransientMap=transient or {},
    )
    proposal = Proposal(header=header.SerializeToString(), payload=payload.SerializeToString())
    return SignedProposal(proposal_bytes=proposal.SerializeToString(), signature=b"s")


def an_envelope(tx_id: str = "tx", channel_id: str = CHANNEL, signature: bytes = b"s") -> Envelope:
    header = ChannelHeader(channel_id=channel_id, tx_id=tx_id).SerializeToString()
    payload = EnvelopePayload(header=Header(channel_header=header))
    return Envelope(payload=payload.SerializeToString(), signature=signature)


def endorsed(
    peer: str, result: bytes = b"ok", interest: ChaincodeInterest | None = None
) -> EndorserAnswer:
    """What a peer answers that has simulated the proposal."""
    action = ChaincodeAction(response=Response(status=200, payload=result))
    payload = ProposalResponsePayload(
        proposal_hash=b"h", extension=action.SerializeToString()
    ).SerializeToString()
    return EndorserAnswer(
        ProposalResponse(
            response=Response(status=200, payload=b"outer"),
            payload=payload,
            endorsement=Endorsement(endorser=peer.encode(), signature=b"by " + peer.encode()),
            interest=interest,
        )
    )


def refused(status: int, message: str, payload: bytes = b"") -> EndorserAnswer:
    response = Response(status=status, message=message)
    return EndorserAnswer(ProposalResponse(response=response, payload=payload))


def unreachable(text: str = "connection refused") -> EndorserAnswer:
    return EndorserAnswer(error=text, is_unreachable=True)


@dataclass
class FakeEndorsers:
    """Peers that answer by name. One without an answer never gives any."""

    peers: list[PeerRecord]
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)

    @property
    def local(self) -> PeerRecord:
        return a_peer("local", "A")

    def with_chaincode(self, channel_id: str, chaincode: str) -> list[PeerRecord]:
        return [
            peer
            for peer in self.peers
            if peer.can_run(channel_id, chaincode) and name_of(peer) not in self.forgotten
        ]

    def forget(self, peer: PeerRecord) -> None:
        self.forgotten.append(name_of(peer))

    async def evaluate(self, peer: PeerRecord, proposal: ReceivedProposal) -> EndorserAnswer:
        return await self.call(peer, proposal)

    async def call(self, peer: PeerRecord, proposal: ReceivedProposal) -> EndorserAnswer:
        name = name_of(peer)
        self.asked.append(name)
        answer = self.answers.get(name)
        if answer is None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.given_up.append(name)
                raise
        assert answer is not None
        return answer(proposal.signed) if callable(answer) else answer


def name_of(peer: PeerRecord) -> str:
    return peer.identity.decode()


@dataclass
class FakeOrderers:
    """Orderers that answer by address; None does not answer at all, an exception is raised."""

    answers: dict[str, BroadcastResponse | OrdererUnreachable | None]
    taken: list[tuple[str, Envelope]] = field(default_factory=list)

    @property
    def addresses(self) -> Sequence[str]:
        return list(self.answers)

    async def broadcast(self, address: str, envelope: Envelope) -> BroadcastResponse:
        self.taken.append((address, envelope))
        answer = self.answers[address]
        if answer is None:
            await asyncio.Event().wait()
        if isinstance(answer, OrdererUnreachable):
            raise answer
        assert answer is not None
        return answer


@dataclass
class FakeChannel:
    """A channel whose policies, blocks and readers are given."""

    plain: list[Layout] = field(default_factory=list)
    protected: list[Layout] | None = None
    """With transient data, if other ones."""
    orderers: FakeOrderers = field(default_factory=lambda: FakeOrderers({}))
    events: list[list[ChaincodeEvent]] = field(default_factory=list)
    """By block."""
    positions: dict[str, tuple[int, int]] = field(default_factory=dict)
    verdicts: dict[str, CommitStatus] = field(default_factory=dict)
    denied: str | None = None
    interests: list[ChaincodeInterest] = field(default_factory=list)
    checked: list[tuple[str, SignedBy]] = field(default_factory=list)
    feed: CommitFeed = field(default_factory=CommitFeed)
    waiting_for: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def height(self) -> int:
        return len(self.events)

    def orderer_msp_id(self, address: str) -> str:
        return f"{address}MSP"

    def layouts(self, interest: ChaincodeInterest, protect_transient: bool = False) -> list[Layout]:
        self.interests.append(interest)
        if protect_transient and self.protected is not None:
            return self.protected
        return self.plain

    def check_access(self, resource: str, signed: SignedBy) -> None:
        self.checked.append((resource, signed))
        if self.denied is not None:
            raise AccessDenied(self.denied)

    def subscribe(self, tx_id: str) -> asyncio.Future[CommitStatus]:
        verdict = self.feed.subscribe(tx_id)
        if tx_id in self.verdicts:
            verdict.set_result(self.verdicts[tx_id])
        return verdict

    def unsubscribe(self, tx_id: str, verdict: asyncio.Future[CommitStatus]) -> None:
        self.feed.unsubscribe(tx_id, verdict)

    def find_position(self, tx_id: str) -> tuple[int, int] | None:
        return self.positions.get(tx_id)

    async def wait_for_block(self, number: int) -> None:
        while number >= self.height:
            self.waiting_for.clear()
            await self.waiting_for.wait()

    async def chaincode_events(self, number: int) -> Sequence[ChaincodeEvent]:
        return self.events[number]

    def commit(self, *events: ChaincodeEvent) -> None:
        """One more block; its transactions are those of the events."""
        for place, event in enumerate(events):
            self.positions.setdefault(event.tx_id, (self.height, place))
        self.events.append(list(events))
        self.waiting_for.set()


def interest_in(*names: str, collections: Sequence[str] = ()) -> ChaincodeInterest:
    return ChaincodeInterest(
        chaincodes=[ChaincodeCall(name=name, collection_names=collections) for name in names]
    )


def a_gateway(channel: FakeChannel, endorsers: FakeEndorsers | None = None) -> Gateway:
    """A gateway of a peer that has joined CHANNEL alone."""

    def find(channel_id: str) -> FakeChannel:
        if channel_id != CHANNEL:
            raise UnknownChannel(channel_id)
        return channel

    return Gateway(find, endorsers or FakeEndorsers([]))


async def until(condition: Callable[[], bool]) -> None:
    """Give other tasks their turns until the condition holds. The caller bounds the wait."""
    while not condition():  # noqa: ASYNC110, nobody tells of it
        await asyncio.sleep(0)
