"""All the peers this peer knows, and a link to each: whom the gateway can ask, and how.

Peers are found from the anchor peers of the channels and from what other peers pass on. Every
ANNOUNCE_SECONDS, and when something worth knowing changes, the peer tells its neighbours about
itself; news about others is passed on once.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from grpc import aio

from tongban.node.core.errors import AccessDenied
from tongban.node.core.gateway.announcement import (
    read_announcement,
    sign_announcement,
    signed_bytes,
)
from tongban.node.core.gateway.answer import EndorserAnswer
from tongban.node.core.gateway.directory import (
    PEERS_MAX,
    ChannelPresence,
    PeerDirectory,
    PeerRecord,
    by_preference,
)
from tongban.node.core.lru import LruCache
from tongban.node.core.policy import SignedBy
from tongban.node.core.received import ReceivedProposal
from tongban.node.runtime.pace import Pace
from tongban.node.runtime.peer_link import PeerLink, unreachable
from tongban.protos.errors import TongbanError
from tongban.protos.signing import Signer
from tongban.protos.stream_pb2 import SignedAnnouncement

ANNOUNCE_SECONDS = 5.0
"""Between two announcements of a peer that has nothing new to say."""

LOOK_UP_SECONDS = 0.1
"""How long a look-up of peers is good for, if nothing is heard of any meanwhile."""

LOOK_UPS_MAX = 1_024
"""Pairs of channel and chaincode whose peers are remembered."""

LocalEndorser = Callable[[ReceivedProposal], Awaitable[EndorserAnswer]]

Verify = Callable[[Iterable[str], SignedBy], None]


@dataclass(frozen=True, slots=True)
class OwnPeer:
    """What the network says of this peer, and in its name."""

    endpoint: str
    """host:port under which other nodes reach it."""
    msp_id: str
    signer: Signer
    endorse: LocalEndorser
    presence: Callable[[], Mapping[str, ChannelPresence]]
    """What it can do now."""
    height: Callable[[str], int]
    """How many blocks of a channel it has now."""
    evaluate: LocalEndorser | None = None
    """Answers without an endorsement; if that is not possible, :attr:`endorse` does."""


class _Found(NamedTuple):
    height: int
    """Of this peer, by which peers are ordered."""

    until: float
    peers: list[PeerRecord]


class PeerNetwork:
    """Implements the gateway's ``Endorsers``."""

    def __init__(
        self,
        own: OwnPeer,
        connect: Callable[[str], aio.Channel],
        verify: Verify,
        pace: Pace | None = None,
    ) -> None:
        """``verify`` raises AccessDenied unless the signer is a peer on one of the channels."""
        self._pace = pace
        self._signer = own.signer
        self._connect = connect
        self._local_endorser = own.endorse
        self._local_evaluator = own.evaluate or own.endorse
        self._verify = verify
        self._presence = own.presence
        self._height = own.height
        self._directory = PeerDirectory()
        self._found = _nothing_found()
        self._signed: dict[bytes, SignedAnnouncement] = {}
        self._links: dict[str, tuple[PeerLink, asyncio.Task[None]]] = {}
        self._anchors: dict[str, dict[str, str]] = {}
        self._local = PeerRecord(
            own.endpoint, own.msp_id, own.signer.creator, time.time_ns(), sequence=0
        )
        self._changed = asyncio.Event()
        self._fault: BaseException | None = None

    @property
    def local(self) -> PeerRecord:
        return self._local

    @property
    def links(self) -> list[PeerLink]:
        return [link for link, _ in self._links.values()]

    async def run(self) -> None:
        """Announce until cancelled; a fault in a link comes out."""
        try:
            while True:
                if self._fault is not None:
                    raise self._fault
                self._announce()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ANNOUNCE_SECONDS):
                        await self._changed.wait()
                self._changed.clear()
        finally:
            for _, task in self._links.values():
                task.cancel()

    def changed(self) -> None:
        """Something that other peers want to know is different now; tell them soon."""
        self._changed.set()

    def seed(self, channel_id: str, anchors: Mapping[str, str]) -> None:
        """Link to the anchor peers that a channel names now: MSP ids by endpoint."""
        self._anchors[channel_id] = dict(anchors)
        for endpoint in anchors:
            self._link_to(endpoint)

    def known_announcements(self) -> list[SignedAnnouncement]:
        """What to tell a peer that has just connected."""
        now = time.monotonic()
        live = {record.identity for record in self._directory.live(now)}
        return [signed for identity, signed in self._signed.items() if identity in live]

    def learn(self, announcements: Iterable[SignedAnnouncement]) -> None:
        """Take what another peer says; what is not properly signed is ignored."""
        taken = itertools.islice(announcements, PEERS_MAX)
        news = [signed for signed in taken if self._learn_one(signed)]
        if news:
            for link in self.links:
                link.announce(news)

    def _learn_one(self, signed: SignedAnnouncement) -> bool:
        known = self._signed.get(signed.identity)
        if known is not None and known.announcement == signed.announcement:
            return False
        try:
            record = read_announcement(signed)
            signature = SignedBy(signed_bytes(signed), signed.identity, signed.signature)
            self._verify(record.channels, signature)
        except (AccessDenied, TongbanError):
            return False
        if record.identity == self._local.identity:
            self._outlive(record)
            return False
        if not self._directory.learn(record, time.monotonic()):
            return False
        self._found = _nothing_found()
        self._signed[record.identity] = signed
        self._link_to(record.endpoint)
        return True

    def _outlive(self, earlier: PeerRecord) -> None:
        """Others know this peer from a life that they take for a later one, since its clock has
        been set back: go beyond that."""
        if earlier.endpoint == self._local.endpoint and earlier.is_newer_than(self._local):
            self._local = replace(self._local, incarnation=earlier.incarnation + 1, sequence=0)
            self.changed()

    def with_chaincode(self, channel_id: str, chaincode: str) -> list[PeerRecord]:
        now = time.monotonic()
        height = self._height(channel_id)
        found = self._found.find((channel_id, chaincode))
        if found is None or found.height != height or found.until < now:
            peers = self._look_up(channel_id, chaincode, now)
            found = _Found(height, now + LOOK_UP_SECONDS, peers)
            self._found.put((channel_id, chaincode), found)
        return found.peers

    def _look_up(self, channel_id: str, chaincode: str, now: float) -> list[PeerRecord]:
        peers = [
            self._with_height_now(peer, channel_id)
            for peer in self._directory.with_chaincode(channel_id, chaincode, now)
        ]
        known = by_preference(peers, channel_id, self._local.msp_id, self._local.endpoint)
        return [*known, *self._foreign_anchors(channel_id)]

    def _foreign_anchors(self, channel_id: str) -> list[PeerRecord]:
        """Anchor peers that do not speak our stream and so cannot say what they run. They are
        tried last; one without the chaincode says so and is passed over."""
        return [
            PeerRecord(endpoint, msp_id, endpoint.encode(), incarnation=0, sequence=0)
            for endpoint, msp_id in self._anchors.get(channel_id, {}).items()
            if (link := self._links.get(endpoint)) is not None and link[0].is_foreign
        ]

    def _with_height_now(self, peer: PeerRecord, channel_id: str) -> PeerRecord:
        """What this peer last told the others of itself may be seconds old, and would put it
        behind them (fabric internal/pkg/gateway/registry.go, channelMembers)."""
        if peer.identity != self._local.identity:
            return peer
        chaincodes = peer.channels[channel_id].chaincodes
        presence = ChannelPresence(self._height(channel_id), chaincodes)
        return replace(peer, channels={channel_id: presence})

    def forget(self, peer: PeerRecord) -> None:
        if peer.identity != self._local.identity:
            self._directory.mark_unreachable(peer.identity)
            self._found = _nothing_found()

    def evaluate(self, peer: PeerRecord, proposal: ReceivedProposal) -> Awaitable[EndorserAnswer]:
        if peer.identity == self._local.identity:
            return self._local_evaluator(proposal)
        return self.call(peer, proposal)

    def call(self, peer: PeerRecord, proposal: ReceivedProposal) -> Awaitable[EndorserAnswer]:
        if peer.identity == self._local.identity:
            return self._local_endorser(proposal)
        return self._call_remote(peer.endpoint, proposal)

    async def _call_remote(self, endpoint: str, proposal: ReceivedProposal) -> EndorserAnswer:
        link = self._links.get(endpoint)
        if link is None:
            return unreachable(f"no connection to {endpoint}")
        # Its client may know what the last block did; the other peer must not endorse on less.
        height = self._height(proposal.channel_header.channel_id)
        return await link[0].endorse(proposal.signed, height)

    def _announce(self) -> None:
        previous = self._local
        self._local = replace(
            previous, sequence=previous.sequence + 1, channels=dict(self._presence())
        )
        self._directory.learn(self._local, time.monotonic())
        self._found = _nothing_found()
        self._tidy()
        signed = sign_announcement(self._local, self._signer)
        self._signed[self._local.identity] = signed
        for link in self.links:
            link.announce([signed])

    def _tidy(self) -> None:
        """Drop what belongs to peers that are forgotten or have moved."""
        remembered = self._directory.remembered(time.monotonic())
        identities = {record.identity for record in remembered}
        self._signed = {key: value for key, value in self._signed.items() if key in identities}
        wanted = {endpoint for anchors in self._anchors.values() for endpoint in anchors}
        wanted.update(record.endpoint for record in remembered)
        for endpoint in [endpoint for endpoint in self._links if endpoint not in wanted]:
            self._links.pop(endpoint)[1].cancel()

    def _link_to(self, endpoint: str) -> None:
        if endpoint == self._local.endpoint:
            return
        if endpoint in self._links:
            self._links[endpoint][0].wake()
            return
        self._tidy()
        link = PeerLink(endpoint, self._connect, self.known_announcements, self.learn, self._pace)
        task = asyncio.get_running_loop().create_task(link.run())
        task.add_done_callback(self._link_ended)
        self._links[endpoint] = (link, task)

    def _link_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self._fault = task.exception() or AssertionError("a link ended")
            self._changed.set()


def _nothing_found() -> LruCache[tuple[str, str], _Found]:
    return LruCache(LOOK_UPS_MAX)
