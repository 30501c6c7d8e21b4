"""Which transaction an envelope is, as its own header says."""

from tongban.node.core.gateway.errors import Code, GatewayError
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import ChannelHeader, Envelope, Payload
from tongban.protos.errors import TongbanError


def read_envelope_id(envelope: Envelope) -> tuple[str, str]:
    """Channel id and transaction id.

    Raises:
        GatewayError: the envelope has no readable channel header.
    """
    try:
        payload = parse(Payload, envelope.payload)
        header = parse(ChannelHeader, payload.header.channel_header)
    except TongbanError as error:
        text = f"a prepared transaction is required: {error}"
        raise GatewayError(Code.INVALID_ARGUMENT, text) from None
    return header.channel_id, header.tx_id
