"""Which chaincode a name means on a channel, and whether this peer can run it.

What the look-up reads through the simulation is one key, as on every peer; the rest is remembered
for as long as the channel stays at one height (fabric core/chaincode/lifecycle/
endorsement_info.go).
"""

from typing import NamedTuple

from tongban.node.core.channel import ChannelConfig
from tongban.node.core.lifecycle.availability import PackageIndex, find_availability
from tongban.node.core.lifecycle.definitions import read_sequence, sequence_key
from tongban.node.core.lifecycle.state_layout import LIFECYCLE_NAMESPACE
from tongban.node.core.simulation.simulator import LEGACY_NAMESPACE, Simulator
from tongban.node.core.state import Version
from tongban.node.runtime.channel_access import ChannelSnapshot
from tongban.protos.errors import TongbanError

CHANNELS_MAX = 1_000
"""Channels whose look-ups are remembered."""


class ChaincodeUnavailable(TongbanError):
    """A chaincode is not defined on the channel, or this peer cannot run it."""


class ResolvedChaincode(NamedTuple):
    """What to run."""

    name: str
    version: str
    init_required: bool
    package_id: str
    endorsement_plugin: str


class _Runnable(NamedTuple):
    chaincode: ResolvedChaincode
    read_at: Version
    """Of the key that a simulation reads to find the chaincode."""


class ChaincodeLookup:
    """The chaincodes of one peer."""

    def __init__(self, packages: PackageIndex, own_msp_id: str) -> None:
        self._packages = packages
        self._own_msp_id = own_msp_id
        self._known: dict[str, tuple[int, dict[str, _Runnable]]] = {}
        """By channel: a height, and what was found there."""

    def resolve(
        self, config: ChannelConfig, snapshot: ChannelSnapshot, simulator: Simulator, name: str
    ) -> ResolvedChaincode:
        """The chaincode in force.

        Raises:
            ChaincodeUnavailable: there is none, or it is not approved or installed here.
        """
        known = self._known_at(config.channel_id, snapshot.height)
        runnable = known.get(name)
        if runnable is not None:
            simulator.note_read(LIFECYCLE_NAMESPACE, sequence_key(name), runnable.read_at)
            return runnable.chaincode
        sequence = read_sequence(simulator, name)
        if not sequence:
            simulator.get_state(LEGACY_NAMESPACE, name)
            raise ChaincodeUnavailable(f"chaincode {name} not found")
        found = find_availability(snapshot, name, self._own_msp_id, self._packages)
        if found is None:
            raise ChaincodeUnavailable(
                f"unknown chaincode '{name}' for channel '{config.channel_id}'"
            )
        if not found.is_approved:
            raise ChaincodeUnavailable(
                f"chaincode definition for '{name}' at sequence {sequence} on channel "
                f"'{config.channel_id}' has not yet been approved by this org"
            )
        if found.package_id is None:
            raise ChaincodeUnavailable(
                f"chaincode definition for '{name}' exists, but chaincode is not installed"
            )
        definition = found.definition
        chaincode = ResolvedChaincode(
            name,
            definition.version,
            definition.init_required,
            found.package_id,
            definition.parameters.endorsement_plugin,
        )
        # Only what can run is remembered: a missing package may be installed at any time.
        read = snapshot.get(LIFECYCLE_NAMESPACE, sequence_key(name).encode())
        assert read is not None, "it has a sequence"
        known[name] = _Runnable(chaincode, read.version)
        return chaincode

    def _known_at(self, channel_id: str, height: int) -> dict[str, _Runnable]:
        """What is known of a channel at this height."""
        known = self._known.get(channel_id)
        if known is None or known[0] != height:
            if len(self._known) >= CHANNELS_MAX:
                self._known.clear()
            known = self._known[channel_id] = (height, {})
        return known[1]
