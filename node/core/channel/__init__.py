"""A channel's configuration: reading it, who may do what, changing it, and the first one."""

from tongban.node.core.channel.acl import policy_for, policy_path_for
from tongban.node.core.channel.compute import compute_update
from tongban.node.core.channel.config import (
    ChannelConfig,
    OrdererParameters,
    config_of_block,
)
from tongban.node.core.channel.genesis import (
    ChannelDescription,
    OrganizationDescription,
    build_channel_config,
    build_genesis_block,
)
from tongban.node.core.channel.organizations import AnchorAddress, OrgConfig
from tongban.node.core.channel.update import (
    apply_update,
    check_config_block,
    check_successor,
    update_of_envelope,
)

__all__ = [
    "AnchorAddress",
    "ChannelConfig",
    "ChannelDescription",
    "OrdererParameters",
    "OrgConfig",
    "OrganizationDescription",
    "apply_update",
    "build_channel_config",
    "build_genesis_block",
    "check_config_block",
    "check_successor",
    "compute_update",
    "config_of_block",
    "policy_for",
    "policy_path_for",
    "update_of_envelope",
]
