"""Which peers there are, what they can run and how far they are; decided from announcements.

An announcement replaces an older one of the same peer: incarnation first, then sequence. A peer
that has been silent for longer than PEER_SILENCE_SECONDS counts as gone, but is remembered for
PEER_MEMORY_SECONDS, so that what it said earlier does not bring it back. The clock is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tongban.node.core.simulation.interest import SYSTEM_CHAINCODES

PEER_SILENCE_SECONDS = 15.0
"""Three announcement intervals: one may be lost, and one may be late."""

PEER_MEMORY_SECONDS = 300.0
"""After so long a silence a peer may begin anew, even with a lower incarnation: its clock may have
been set back."""

PEERS_MAX = 1_000
"""Peers that a directory holds; further ones are ignored until some have been forgotten."""


@dataclass(frozen=True, slots=True)
class ChannelPresence:
    """A peer on a channel: its height (a count of blocks), and chaincode versions by name."""

    height: int
    chaincodes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """What is known of a peer. ``identity`` is its serialized identity."""

    endpoint: str
    msp_id: str
    identity: bytes
    incarnation: int
    sequence: int
    channels: Mapping[str, ChannelPresence] = field(default_factory=dict)

    def is_newer_than(self, other: "PeerRecord") -> bool:
        return (self.incarnation, self.sequence) > (other.incarnation, other.sequence)

    def height_on(self, channel_id: str) -> int:
        presence = self.channels.get(channel_id)
        return presence.height if presence else 0

    def can_run(self, channel_id: str, chaincode: str) -> bool:
        presence = self.channels.get(channel_id)
        return presence is not None and (
            chaincode in presence.chaincodes or chaincode in SYSTEM_CHAINCODES
        )


@dataclass(slots=True)
class _Entry:
    record: PeerRecord
    seen: float
    """When the announcement came, in seconds."""
    is_reachable: bool = True


class PeerDirectory:
    """Peers by identity, as their last announcements describe them."""

    def __init__(self) -> None:
        self._peers: dict[bytes, _Entry] = {}

    def learn(self, record: PeerRecord, now: float) -> bool:
        """Take a verified announcement. Returns whether it was news, and so worth passing on."""
        known = self._peers.get(record.identity)
        if known is None:
            if len(self._peers) >= PEERS_MAX:
                self._forget_silent(now)
            if len(self._peers) >= PEERS_MAX:
                return False
        elif not record.is_newer_than(known.record) and not _is_forgotten(known, now):
            return False
        self._peers[record.identity] = _Entry(record, now)
        return True

    def mark_unreachable(self, identity: bytes) -> None:
        """Leave out a peer that could not be reached, until it announces itself anew."""
        known = self._peers.get(identity)
        if known is not None:
            known.is_reachable = False

    def live(self, now: float) -> list[PeerRecord]:
        return [
            entry.record
            for entry in self._peers.values()
            if entry.is_reachable and now - entry.seen <= PEER_SILENCE_SECONDS
        ]

    def remembered(self, now: float) -> list[PeerRecord]:
        """Peers that are live, and those that may return."""
        self._forget_silent(now)
        return [entry.record for entry in self._peers.values()]

    def _forget_silent(self, now: float) -> None:
        self._peers = {
            identity: entry
            for identity, entry in self._peers.items()
            if not _is_forgotten(entry, now)
        }

    def on_channel(self, channel_id: str, now: float) -> list[PeerRecord]:
        return [record for record in self.live(now) if channel_id in record.channels]

    def with_chaincode(self, channel_id: str, chaincode: str, now: float) -> list[PeerRecord]:
        """Peers of the channel that can run the chaincode."""
        return [
            peer for peer in self.on_channel(channel_id, now) if peer.can_run(channel_id, chaincode)
        ]


def _is_forgotten(entry: _Entry, now: float) -> bool:
    return now - entry.seen > PEER_MEMORY_SECONDS


def by_preference(
    peers: list[PeerRecord], channel_id: str, local_msp_id: str, local_endpoint: str
) -> list[PeerRecord]:
    """Own organization first, then by height, the local peer first among equals
    (fabric internal/pkg/gateway/registry.go, sorting of endorsers)."""
    return sorted(
        peers,
        key=lambda peer: (
            peer.msp_id != local_msp_id,
            -peer.height_on(channel_id),
            peer.endpoint != local_endpoint,
            peer.endpoint,
        ),
    )
