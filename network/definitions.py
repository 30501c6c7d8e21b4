"""What a channel has a definition of, as one of its peers tells it."""

from dataclasses import dataclass

from tongban.network.connections import Connections
from tongban.network.errors import NetworkError
from tongban.network.topology import Channel, Organization
from tongban.node.core.policy import format_policy
from tongban.protos import lifecycle_pb2
from tongban.protos.application_policy_pb2 import ApplicationPolicy
from tongban.protos.codec import parse

ADMIN = "Admin"
LIFECYCLE = "_lifecycle"


@dataclass(frozen=True, slots=True)
class ContractDefinition:
    """A contract that a channel runs."""

    name: str
    version: str
    sequence: int
    endorsement: str
    """In the policy language, or the path of the channel's policy."""


def list_definitions(connections: Connections, channel: Channel) -> list[ContractDefinition]:
    """All definitions of the channel, by name.

    Raises:
        EvaluateError: no peer answered.
    """
    args = lifecycle_pb2.QueryChaincodeDefinitionsArgs()
    with connections.gateway(first_with_peers(connections, channel), ADMIN) as gateway:
        lifecycle = gateway.get_network(channel.id).get_contract(LIFECYCLE)
        data = lifecycle.evaluate("QueryChaincodeDefinitions", args.SerializeToString())
    found = parse(lifecycle_pb2.QueryChaincodeDefinitionsResult, data).chaincode_definitions
    return [
        ContractDefinition(one.name, one.version, one.sequence, _policy(one.validation_parameter))
        for one in sorted(found, key=lambda one: one.name)
    ]


def first_with_peers(connections: Connections, channel: Channel) -> Organization:
    """Raises NetworkError if no organization of the channel has a peer."""
    for organization in connections.members(channel):
        if organization.peers:
            return organization
    raise NetworkError(f"no organization of {channel.id} has a peer")


def _policy(validation_parameter: bytes) -> str:
    policy = parse(ApplicationPolicy, validation_parameter)
    if policy.HasField("signature_policy"):
        return format_policy(policy.signature_policy)
    return policy.channel_config_policy_reference
