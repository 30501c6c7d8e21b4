"""Which values a group of the configuration may hold, and how their bytes are read.

A value that the section does not know makes the configuration unusable, since we would silently
ignore what others obey (fabric common/channelconfig/standardvalues.go).
"""

from collections.abc import Mapping
from typing import TypeVar

from google.protobuf.message import Message

from tongban.node.core.errors import InvalidConfig
from tongban.protos import (
    application_values_pb2,
    channel_values_pb2,
    codec,
    msp_config_pb2,
    orderer_values_pb2,
)
from tongban.protos.configtx_pb2 import ConfigGroup
from tongban.protos.errors import MalformedMessage

KNOWN_VALUES: Mapping[str, Mapping[str, type[Message]]] = {
    "channel": {
        "HashingAlgorithm": channel_values_pb2.HashingAlgorithm,
        "BlockDataHashingStructure": channel_values_pb2.BlockDataHashingStructure,
        "OrdererAddresses": channel_values_pb2.OrdererAddresses,
        "Orderers": channel_values_pb2.Orderers,
        "Consortium": channel_values_pb2.Consortium,
        "Capabilities": channel_values_pb2.Capabilities,
    },
    "orderer": {
        "ConsensusType": orderer_values_pb2.ConsensusType,
        "BatchSize": orderer_values_pb2.BatchSize,
        "BatchTimeout": orderer_values_pb2.BatchTimeout,
        "ChannelRestrictions": orderer_values_pb2.ChannelRestrictions,
        "Orderers": channel_values_pb2.Orderers,
        "Capabilities": channel_values_pb2.Capabilities,
    },
    "orderer_org": {
        "MSP": msp_config_pb2.MSPConfig,
        "Endpoints": channel_values_pb2.OrdererAddresses,
    },
    "application": {
        "ACLs": application_values_pb2.ACLs,
        "Capabilities": channel_values_pb2.Capabilities,
    },
    "application_org": {
        "MSP": msp_config_pb2.MSPConfig,
        "AnchorPeers": application_values_pb2.AnchorPeers,
    },
}
"""By kind of group. The endpoints of an organization have the shape of OrdererAddresses."""


M = TypeVar("M", bound=Message)


def value_of(values: Mapping[str, Message], name: str, kind: type[M]) -> M:
    """The value of that name, or an empty one if the group has none, as Fabric takes it."""
    found = values.get(name)
    if found is None:
        return kind()
    assert isinstance(found, kind)
    return found


def read_group_values(path: str, group: ConfigGroup, kind: str) -> dict[str, Message]:
    """The values of a group as messages, by name.

    Raises:
        InvalidConfig: a value is unknown or cannot be read.
    """
    known = KNOWN_VALUES[kind]
    values = {}
    for name, holder in group.values.items():
        place = f"{path}/{name}"
        if name not in known:
            raise InvalidConfig(place, f"expected one of {', '.join(sorted(known))}")
        try:
            values[name] = codec.parse(known[name], holder.value, name)
        except MalformedMessage as error:
            raise InvalidConfig(place, str(error)) from None
    return values
