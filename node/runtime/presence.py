"""What this peer tells other peers about itself, and whose telling it believes."""

from collections.abc import Iterable

from tongban.node.core.errors import AccessDenied
from tongban.node.core.gateway.directory import ChannelPresence
from tongban.node.core.identity import role_principal
from tongban.node.core.lifecycle.availability import (
    PackageIndex,
    find_availability,
    list_definitions,
)
from tongban.node.core.policy import SignatureVerifier, SignedBy
from tongban.node.runtime.channel import Channel
from tongban.node.runtime.channels import Channels
from tongban.protos.msp_principal_pb2 import MSPRole


class Presence:
    """Heights and runnable chaincodes of this peer, on every channel."""

    def __init__(self, channels: Channels, packages: PackageIndex, msp_id: str) -> None:
        self._channels = channels
        self._packages = packages
        self._msp_id = msp_id

    def now(self) -> dict[str, ChannelPresence]:
        return {channel.channel_id: self._on(channel) for channel in self._channels.all()}

    def height(self, channel_id: str) -> int:
        """How many blocks of the channel this peer has now."""
        channel = self._channels.find(channel_id)
        return 0 if channel is None else channel.height

    def _on(self, channel: Channel) -> ChannelPresence:
        chaincodes: dict[str, str] = {}
        with channel.snapshot() as state:
            for name in list_definitions(state):
                found = find_availability(state, name, self._msp_id, self._packages)
                if found is not None and found.package_id is not None:
                    chaincodes[name] = found.definition.version
        return ChannelPresence(channel.height, chaincodes)


def check_peer(
    channels: Channels, verifier: SignatureVerifier, claimed: Iterable[str], signed: SignedBy
) -> None:
    """Return if the signature is that of a peer of an organization on one of the claimed channels.

    Raises:
        AccessDenied: it is not.
    """
    reason = "no channel in common"
    for channel_id in claimed:
        channel = channels.find(channel_id)
        if channel is None:
            continue
        msps = channel.config.msps
        try:
            identity = msps.deserialize(signed.identity)
            msps.validate(identity)
        except AccessDenied as error:
            reason = str(error)
            continue
        if not msps.satisfies(identity, role_principal(identity.mspid, MSPRole.PEER)):
            reason = "the identity is not a peer's"
        elif not verifier.verify(identity, signed.data, signed.signature):
            reason = "the signature does not hold"
        else:
            return
    raise AccessDenied(f"announcement refused: {reason}")
