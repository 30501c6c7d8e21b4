"""One simulation on one channel, for as long as a transaction needs it."""

from typing import NamedTuple

from tongban.node.core.identity import Identity
from tongban.node.core.simulation.simulator import Simulator
from tongban.node.runtime.channel_access import ChannelAccess, ChannelSnapshot


class Session(NamedTuple):
    """A simulation, and what it goes with. Whoever opens it closes the snapshot."""

    channel: ChannelAccess
    snapshot: ChannelSnapshot
    simulator: Simulator
    identity: Identity
    """The proposal's creator, as the channel's MSPs know it."""

    def fresh(self, tx_id: str) -> "Session":
        """The same snapshot with a simulation that knows nothing yet."""
        return self._replace(simulator=_new_simulator(self.channel, self.snapshot, tx_id))


def open_session(channel: ChannelAccess, tx_id: str, identity: Identity) -> Session:
    snapshot = channel.snapshot()
    return Session(channel, snapshot, _new_simulator(channel, snapshot, tx_id), identity)


def _new_simulator(channel: ChannelAccess, snapshot: ChannelSnapshot, tx_id: str) -> Simulator:
    return Simulator(snapshot, tx_id, channel.config.application_msp_ids)
