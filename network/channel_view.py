"""A channel as a person wants to see it: who is on it, who orders, which policies hold."""

from collections.abc import Iterator
from typing import Any

from tongban.network.connections import Connections
from tongban.network.definitions import ADMIN, first_with_peers
from tongban.network.topology import Channel
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.policy import format_policy
from tongban.protos.codec import parse
from tongban.protos.configtx_pb2 import Config, ConfigGroup, ConfigPolicy
from tongban.protos.ledger_info_pb2 import BlockchainInfo
from tongban.protos.policies_pb2 import ImplicitMetaPolicy, Policy, SignaturePolicyEnvelope


def view_channel(connections: Connections, channel: Channel) -> dict[str, Any]:
    """The channel as a peer of its first organization with peers has it, ready for JSON.

    Raises:
        EvaluateError: the peer did not answer, or refused.
        InvalidConfig: its configuration cannot be read.
    """
    with connections.gateway(first_with_peers(connections, channel), ADMIN) as gateway:
        network = gateway.get_network(channel.id)
        told = network.get_contract("qscc").evaluate("GetChainInfo", channel.id)
        config = network.get_contract("cscc").evaluate("GetChannelConfig", channel.id)
    info = parse(BlockchainInfo, told)
    found = ChannelConfig.from_config(channel.id, parse(Config, config))
    return {
        "channel": channel.id,
        "height": info.height,
        "current_block_hash": info.currentBlockHash.hex(),
        "config_sequence": found.sequence,
        "organizations": [
            {
                "group": name,
                "msp_id": organization.mspid,
                "anchor_peers": [str(anchor) for anchor in organization.anchor_peers],
            }
            for name, organization in found.application_orgs.items()
        ],
        "orderers": list(found.orderer_addresses),
        "consensus": found.consensus_type,
        "batch": {
            "count_max": found.batch_count_max,
            "bytes_max": found.batch_bytes_absolute_max,
            "bytes_preferred": found.batch_bytes_preferred_max,
            "timeout_ms": found.batch_timeout_ms,
        },
        "capabilities": {
            "channel": sorted(found.channel_capabilities),
            "orderer": sorted(found.orderer_capabilities),
            "application": sorted(found.application_capabilities),
        },
        "policies": dict(_policies("/Channel", found.config.channel_group)),
    }


def _policies(path: str, group: ConfigGroup) -> Iterator[tuple[str, str]]:
    """In words, by path; those of single organizations are left out."""
    for name, policy in sorted(group.policies.items()):
        yield f"{path}/{name}", _in_words(policy)
    for name in ("Application", "Orderer"):
        if name in group.groups:
            yield from _policies(f"{path}/{name}", group.groups[name])


def _in_words(held: ConfigPolicy) -> str:
    policy = held.policy
    if policy.type == Policy.IMPLICIT_META:
        meta = parse(ImplicitMetaPolicy, policy.value)
        return f"{ImplicitMetaPolicy.Rule.Name(meta.rule)} {meta.sub_policy}"
    if policy.type == Policy.SIGNATURE:
        return format_policy(parse(SignaturePolicyEnvelope, policy.value))
    return f"of type {policy.type}"
