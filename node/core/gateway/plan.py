"""Whom to ask for endorsements: a plan that adapts as peers answer or fail.

A layout says how many peers of each organization must endorse. The plan tries layouts in the order
given. In a layout, each organization's peers are tried in order until enough have endorsed; when
an organization runs out, every layout that needs it is dropped (fabric internal/pkg/gateway,
plan of an endorsement).
"""

from collections.abc import Iterable, Mapping, Sequence

from tongban.node.core.gateway.directory import PeerRecord

Layout = Mapping[str, int]
"""MSP id to the number of its peers that must endorse."""


class EndorsementPlan:
    """Tells which peers to call next, given who has endorsed and who has failed."""

    def __init__(self, layouts: Iterable[Layout], peers: Sequence[PeerRecord]) -> None:
        self._by_org: dict[str, list[PeerRecord]] = {}
        for peer in peers:
            self._by_org.setdefault(peer.msp_id, []).append(peer)
        self._layouts = [layout for layout in layouts if self._has_enough(layout)]
        self._asked: set[bytes] = set()
        self._open: dict[str, int] = {}
        self._endorsed: dict[str, int] = {}

    def _has_enough(self, layout: Layout) -> bool:
        return all(len(self._by_org.get(org, ())) >= count for org, count in layout.items())

    @property
    def is_possible(self) -> bool:
        """Whether some layout can still be completed."""
        return bool(self._layouts)

    @property
    def is_complete(self) -> bool:
        """Whether the layout at hand has all its endorsements."""
        return self.is_possible and not self._lacking(self._layouts[0])

    @property
    def layout(self) -> Layout:
        """The layout at hand."""
        return self._layouts[0]

    def prefer(self, organization: str) -> None:
        """Try layouts that need this organization before the others."""
        self._layouts.sort(key=lambda layout: organization not in layout)

    def mark_endorsed(self, peer: PeerRecord) -> None:
        self._close(peer)
        self._endorsed[peer.msp_id] = self._endorsed.get(peer.msp_id, 0) + 1

    def mark_asked(self, peer: PeerRecord) -> None:
        self._asked.add(peer.identity)
        self._open[peer.msp_id] = self._open.get(peer.msp_id, 0) + 1

    def mark_failed(self, peer: PeerRecord) -> None:
        """The peer will not endorse. Layouts that can no longer be completed are dropped."""
        self._close(peer)
        self._layouts = [layout for layout in self._layouts if self._can_complete(layout)]

    def next_peers(self) -> list[PeerRecord]:
        """Peers to call now, none of which was called before. Marks them as asked."""
        if not self.is_possible:
            return []
        chosen: list[PeerRecord] = []
        for organization, lacking in self._lacking(self._layouts[0]).items():
            wanted = lacking - self._open.get(organization, 0)
            fresh = [p for p in self._by_org[organization] if p.identity not in self._asked]
            chosen.extend(fresh[: max(wanted, 0)])
        for peer in chosen:
            self.mark_asked(peer)
        return chosen

    def _lacking(self, layout: Layout) -> dict[str, int]:
        lacking = {org: count - self._endorsed.get(org, 0) for org, count in layout.items()}
        return {org: count for org, count in lacking.items() if count > 0}

    def _can_complete(self, layout: Layout) -> bool:
        for organization, lacking in self._lacking(layout).items():
            peers = self._by_org.get(organization, ())
            fresh = sum(peer.identity not in self._asked for peer in peers)
            if fresh + self._open.get(organization, 0) < lacking:
                return False
        return True

    def _close(self, peer: PeerRecord) -> None:
        if peer.identity in self._asked and self._open.get(peer.msp_id, 0) > 0:
            self._open[peer.msp_id] -= 1
        self._asked.add(peer.identity)
