"""cscc: joins channels and tells about those the peer has joined.

Source of functions and texts: fabric core/scc/cscc/configure.go.
"""

from tongban.node.core.channel import ChannelConfig
from tongban.node.runtime.access import AccessControl
from tongban.node.runtime.channel_access import ChannelAccess, PeerChannels
from tongban.node.runtime.contract_host import Response
from tongban.node.runtime.syscc.call import (
    ERROR,
    SUCCESS,
    CallRefused,
    SystemCall,
    argument,
    check_access,
)
from tongban.protos import common_pb2, query_pb2
from tongban.protos.codec import parse
from tongban.protos.errors import TongbanError

NAME = "cscc"

_WITHOUT_ARGUMENT = frozenset({"GetChannels", "JoinBySnapshotStatus"})


class ChannelConfigurer:
    """The chaincode."""

    def __init__(self, channels: PeerChannels, access: AccessControl) -> None:
        self._channels = channels
        self._access = access

    async def invoke(self, call: SystemCall) -> Response:
        try:
            return Response(SUCCESS, "", await self._answer(call))
        except CallRefused as refused:
            return Response(ERROR, refused.text)

    async def _answer(self, call: SystemCall) -> bytes:
        function = argument(call.args[0]) if call.args else ""
        if not call.args or (function not in _WITHOUT_ARGUMENT and len(call.args) < 2):
            raise CallRefused(f"Incorrect number of arguments, {len(call.args)}")
        if call.proposal.spec_name != NAME:
            raise CallRefused(
                "Rejecting invoke of CSCC from another chaincode, original invocation for "
                f"'{call.proposal.spec_name or ''}'"
            )
        match function:
            case "JoinChain":
                return await self._join(call)
            case "GetChannels":
                return self._channel_list(call)
            case "JoinBySnapshotStatus":
                denied = "access denied for [JoinBySnapshotStatus]: {}"
                check_access(self._access, f"{NAME}/{function}", None, call, denied)
                return query_pb2.JoinBySnapshotStatus().SerializeToString()
            case "GetConfigBlock":
                return self._config_block(call, argument(call.args[1]))
            case "GetChannelConfig":
                return self._channel_config(call, argument(call.args[1]))
        raise CallRefused(f"Requested function {function} not found.")

    async def _join(self, call: SystemCall) -> bytes:
        block = call.args[1]
        try:
            config = ChannelConfig.from_genesis(parse(common_pb2.Block, block))
        except TongbanError as error:
            raise CallRefused(f"Failed to reconstruct the genesis block, {error}") from None
        channel_id = config.channel_id
        if not config.application_orgs:
            raise CallRefused(
                f'"JoinChain" for channelID = {channel_id} failed because of validation of '
                "configuration block, because of Invalid configuration block, missing Application "
                "configuration group"
            )
        denied = f"access denied for [JoinChain][{channel_id}]: [{{}}]"
        check_access(self._access, f"{NAME}/JoinChain", None, call, denied)
        try:
            await self._channels.join(channel_id, block)
        except TongbanError as error:
            raise CallRefused(str(error)) from None
        return b""

    def _channel_list(self, call: SystemCall) -> bytes:
        denied = "access denied for [GetChannels]: {}"
        check_access(self._access, f"{NAME}/GetChannels", None, call, denied)
        answer = query_pb2.ChannelQueryResponse()
        for channel_id in self._channels.channel_ids():
            answer.channels.add(channel_id=channel_id)
        return answer.SerializeToString()

    def _config_block(self, call: SystemCall, channel_id: str) -> bytes:
        channel = self._get_channel(channel_id, "GetConfigBlock")
        denied = f"access denied for [GetConfigBlock][{channel_id}]: {{}}"
        check_access(self._access, f"{NAME}/GetConfigBlock", channel.config, call, denied)
        return channel.get_block(channel.config_block_num)

    def _channel_config(self, call: SystemCall, channel_id: str) -> bytes:
        if not channel_id:
            raise CallRefused("empty channel name provided")
        channel = self._get_channel(channel_id, "GetChannelConfig")
        denied = f"access denied for [GetChannelConfig][{channel_id}]: {{}}"
        check_access(self._access, f"{NAME}/GetChannelConfig", channel.config, call, denied)
        return channel.config.config.SerializeToString()

    def _get_channel(self, channel_id: str, function: str) -> ChannelAccess:
        """Only known channels have braces-free names, so what passes here can be formatted. An
        unknown one fails the check of access, which comes first on Go peers."""
        channel = self._channels.find(channel_id)
        if channel is None:
            raise CallRefused(
                f"access denied for [{function}][{channel_id}]: "
                f"Failed to get policy manager for channel [{channel_id}]"
            )
        return channel
