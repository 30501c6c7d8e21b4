"""What a peer's page of health tells of its orderers, other peers, and the fences."""

import asyncio
from typing import Final

from tongban.node.runtime.deliver_client import BlockFollower
from tongban.node.runtime.operations import Operations
from tongban.node.runtime.peer_network import PeerNetwork
from tongban.node.runtime.workers.fences import HELD, missing_fences
from tongban.node.runtime.workers.host import WorkerHost
from tongban.node.runtime.workers.probe import describe_fences
from tongban.node.runtime.workers.settings import WorkerSettings

ORDERER_SECONDS_MAX: Final = 10.0
"""A peer without an orderer for longer is not healthy: it endorses, and falls behind."""


def watch_follower(operations: Operations, channel_id: str, follower: BlockFollower) -> None:
    """The peer gets the blocks of a channel."""

    async def check() -> str | None:
        trouble = follower.trouble()
        if trouble is None or trouble[0] <= ORDERER_SECONDS_MAX:
            return None
        return f"no orderer for {trouble[0]:.0f} s: {trouble[1]}"

    def describe() -> str:
        if follower.address is None:
            trouble = follower.trouble()
            return f"no orderer: {trouble[1]}" if trouble else "no orderer"
        return f"follows {follower.address}"

    component = f"orderer of {channel_id}"
    operations.add_check(component, check)
    operations.describe(component, describe)


def describe_peers(operations: Operations, network: PeerNetwork) -> None:
    """Which other peers are connected. Not a check: they are other departments' to run."""

    def describe() -> str:
        up = [link.endpoint for link in network.links if link.is_up]
        down = [link.endpoint for link in network.links if not link.is_up]
        parts = [f"connected: {', '.join(up) or 'none'}"]
        return "; ".join([*parts, f"not connected: {', '.join(down)}"] if down else parts)

    operations.describe("peers", describe)


class FenceHealth:
    """Which fences hold around contracts: as running workers report them, and where the sandbox is
    required, found out at the start."""

    def __init__(self, host: WorkerHost, settings: WorkerSettings) -> None:
        self._host = host
        self._settings = settings
        self._probed: dict[str, str] | None = None

    def watch(self, operations: Operations) -> None:
        operations.add_check("sandbox", self._check)
        operations.describe("sandbox", self._describe)

    async def probe(self) -> None:
        """Put the fences up around a process once, where they are required."""
        if self._settings.sandbox == "required":
            self._probed = await asyncio.to_thread(describe_fences, self._settings)

    async def _check(self) -> str | None:
        if self._probed is None:
            return None
        missing = missing_fences(self._probed)
        if not missing:
            return None
        text = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        return f"required, and contracts cannot run: {text}"

    def _describe(self) -> str:
        found = self._probed
        for status in self._host.status():
            found = dict(status.fences) or found
        if found is None:
            return f"{self._settings.sandbox}; no contract has run yet"
        open_fences = [f"{name} ({reason})" for name, reason in found.items() if reason != HELD]
        if not open_fences:
            return f"{self._settings.sandbox}; every fence holds"
        return f"{self._settings.sandbox}; all fences hold but {', '.join(open_fences)}"
