"""A channel's configuration: reading it, who may do what, changing it, and the first one."""

from tongban.node.core.channel.acl import policy_for, policy_path_for
from tongban.node.core.channel.config import (
    ChannelConfig,
    OrdererParameters,
    config_of_block,
)
from tongban.node.core.channel.organizations import AnchorAddress, OrgConfig

__all__ = [
    "AnchorAddress",
    "ChannelConfig",
    "OrdererParameters",
    "OrgConfig",
    "config_of_block",
    "policy_for",
    "policy_path_for",
]
