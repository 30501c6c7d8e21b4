"""Which peers there are, what they can run and how far they are; decided from announcements.

An announcement replaces an older one of the same peer: incarnation first, then sequence. A peer
that has been silent for longer than PEER_SILENCE_SECONDS counts as gone. The clock is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

PEER_SILENCE_SECONDS = 15.0
"""Three announcement intervals: one may be lost, and one may be late."""

PEERS_MAX = 1_000
"""Peers that a directory holds; further ones are ignored."""


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
        return presence is not None and chaincode in presence.chaincodes


SYSTEM_CHAINCODES = frozenset({"_lifecycle", "cscc", "qscc", "lscc"})
"""Assumed on every peer (fabric internal/pkg/gateway/registry.go)."""


class PeerDirectory:
    """Peers by identity, with the time of their last announcement in seconds."""

    def __init__(self) -> None:
        self._peers: dict[bytes, tuple[PeerRecord, float]] = {}

    def learn(self, record: PeerRecord, now: float) -> bool:
        """Take a verified announcement. Returns whether it was news, and so worth passing on."""
        known = self._peers.get(record.identity)
        if known is None:
            if len(self._peers) >= PEERS_MAX:
                return False
        elif not record.is_newer_than(known[0]):
            return False
        self._peers[record.identity] = (record, now)
        return True

    def mark_unreachable(self, identity: bytes) -> None:
        """Forget a peer that could not be reached, until it announces itself again."""
        self._peers.pop(identity, None)

    def live(self, now: float) -> list[PeerRecord]:
        return [
            record for record, seen in self._peers.values() if now - seen <= PEER_SILENCE_SECONDS
        ]

    def on_channel(self, channel_id: str, now: float) -> list[PeerRecord]:
        return [record for record in self.live(now) if channel_id in record.channels]

    def with_chaincode(self, channel_id: str, chaincode: str, now: float) -> list[PeerRecord]:
        """Peers of the channel that can run the chaincode."""
        peers = self.on_channel(channel_id, now)
        if chaincode in SYSTEM_CHAINCODES:
            return peers
        return [peer for peer in peers if peer.can_run(channel_id, chaincode)]


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
