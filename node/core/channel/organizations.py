"""The organizations of a channel: their MSPs, anchor peers and orderer endpoints."""

from dataclasses import dataclass
from typing import NamedTuple

from tongban.node.core.channel.values import read_group_values, value_of
from tongban.node.core.errors import InvalidConfig, InvalidMspConfig
from tongban.node.core.identity import Msp
from tongban.protos.application_values_pb2 import AnchorPeers
from tongban.protos.channel_values_pb2 import OrdererAddresses
from tongban.protos.configtx_pb2 import ConfigGroup
from tongban.protos.msp_config_pb2 import MSPConfig


class AnchorAddress(NamedTuple):
    """Where other organizations find a peer of this one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, eq=False)
class OrgConfig:
    """One organization's group."""

    name: str
    """Of the group; not the MSP id."""
    mspid: str
    msp: Msp
    anchor_peers: tuple[AnchorAddress, ...] = ()
    orderer_endpoints: tuple[str, ...] = ()
    """``host:port`` each."""


class OrganizationReader:
    """Reads organizations. One MSP id may stand in several groups, with the same definition."""

    def __init__(self, *, ed25519: bool) -> None:
        self._ed25519 = ed25519
        self._definitions: dict[str, MSPConfig] = {}
        self.msps: dict[str, Msp] = {}

    def read_all(self, path: str, section: ConfigGroup, kind: str) -> dict[str, OrgConfig]:
        """The organizations of a section by group name, in the order of their names.

        Raises:
            InvalidConfig: one of them cannot be used.
        """
        return {
            name: self._read(f"{path}/{name}", name, section.groups[name], kind)
            for name in sorted(section.groups)
        }

    def _read(self, path: str, name: str, group: ConfigGroup, kind: str) -> OrgConfig:
        if group.groups:
            raise InvalidConfig(path, "organizations do not support sub-groups")
        values = read_group_values(path, group, kind)
        definition = values.get("MSP")
        if not isinstance(definition, MSPConfig):
            raise InvalidConfig(path, "the organization has no MSP")
        msp = self._read_msp(path, definition)
        anchors = value_of(values, "AnchorPeers", AnchorPeers)
        endpoints = value_of(values, "Endpoints", OrdererAddresses)
        return OrgConfig(
            name=name,
            mspid=msp.mspid,
            msp=msp,
            anchor_peers=tuple(
                AnchorAddress(peer.host, peer.port) for peer in anchors.anchor_peers
            ),
            orderer_endpoints=tuple(endpoints.addresses),
        )

    def _read_msp(self, path: str, definition: MSPConfig) -> Msp:
        try:
            msp = Msp.from_config(definition, ed25519=self._ed25519)
        except InvalidMspConfig as error:
            raise InvalidConfig(f"{path}/MSP", str(error)) from None
        known = self._definitions.setdefault(msp.mspid, definition)
        if known != definition:
            raise InvalidConfig(
                f"{path}/MSP", f"two organizations define MSP {msp.mspid} differently"
            )
        return self.msps.setdefault(msp.mspid, msp)
