"""Chaincodes that are part of every peer."""

from tongban.node.runtime.access import AccessControl
from tongban.node.runtime.channel_access import PeerChannels
from tongban.node.runtime.syscc import cscc, lifecycle, lscc, qscc
from tongban.node.runtime.syscc.call import SystemChaincodes
from tongban.node.runtime.syscc.installer import Installer


def build_system_chaincodes(
    channels: PeerChannels, access: AccessControl, installer: Installer
) -> SystemChaincodes:
    """All of them, by name."""
    return {
        lifecycle.NAME: lifecycle.LifecycleChaincode(access, installer),
        cscc.NAME: cscc.ChannelConfigurer(channels, access),
        lscc.NAME: lscc.LegacyLifecycle(access),
        qscc.NAME: qscc.LedgerQueries(channels, access),
    }
