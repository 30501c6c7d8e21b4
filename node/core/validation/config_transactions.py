"""Whether a configuration in a block follows from the one before it, and can be followed."""

from tongban.node.core.channel import ChannelConfig
from tongban.node.core.channel.update import check_config_block
from tongban.node.core.policy import SignatureVerifier
from tongban.protos.codec import parse
from tongban.protos.configtx_pb2 import ConfigEnvelope
from tongban.protos.errors import TongbanError


class ConfigRefused(TongbanError):
    """A configuration does not follow from the one in force, or cannot be used."""


def apply_config(
    channel: ChannelConfig, envelope: bytes, verifier: SignatureVerifier
) -> ChannelConfig:
    """The configuration in a serialized ConfigEnvelope, if it is the next after ``channel``.

    Raises:
        ConfigRefused: it is not, or it asks for a capability that this version does not know; the
            reason says which.
    """
    try:
        successor = check_config_block(channel, parse(ConfigEnvelope, envelope), verifier)
        successor.check_supported()
    except TongbanError as error:
        raise ConfigRefused(str(error)) from None
    return successor
