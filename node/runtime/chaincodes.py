"""Which chaincode a name means on a channel, and whether this peer can run it.

What the look-up reads through the simulation is one key, as on every peer; the rest is remembered
for as long as the channel stays at one height (fabric core/chaincode/lifecycle/
endorsement_info.go).
"""

from typing import NamedTuple

from tongban.node.core.channel import ChannelConfig
from tongban.node.core.lifecycle.availability import (
    Availability,
    PackageIndex,
    find_availability,
)
from tongban.node.core.lifecycle.definitions import read_sequence
from tongban.node.core.simulation.simulator import LEGACY_NAMESPACE, Simulator
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


class ChaincodeLookup:
    """The chaincodes of one peer."""

    def __init__(self, packages: PackageIndex, own_msp_id: str) -> None:
        self._packages = packages
        self._own_msp_id = own_msp_id
        self._known: dict[str, tuple[int, dict[str, Availability]]] = {}
        """By channel: a height, and what was found there."""

    def resolve(
        self, config: ChannelConfig, snapshot: ChannelSnapshot, simulator: Simulator, name: str
    ) -> ResolvedChaincode:
        """The chaincode in force.

        Raises:
            ChaincodeUnavailable: there is none, or it is not approved or installed here.
        """
        sequence = read_sequence(simulator, name)
        if not sequence:
            simulator.get_state(LEGACY_NAMESPACE, name)
            raise ChaincodeUnavailable(f"chaincode {name} not found")
        found = self._find(config.channel_id, snapshot, name)
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
        return ResolvedChaincode(
            name,
            definition.version,
            definition.init_required,
            found.package_id,
            definition.parameters.endorsement_plugin,
        )

    def _find(self, channel_id: str, snapshot: ChannelSnapshot, name: str) -> Availability | None:
        height = snapshot.height
        known = self._known.get(channel_id)
        if known is None or known[0] != height:
            if len(self._known) >= CHANNELS_MAX:
                self._known.clear()
            known = self._known[channel_id] = (height, {})
        found = known[1].get(name)
        if found is None:
            found = find_availability(snapshot, name, self._own_msp_id, self._packages)
            if found is not None and found.package_id is not None:
                # Without a package it is looked up again: one may be installed at any time.
                known[1][name] = found
        return found
