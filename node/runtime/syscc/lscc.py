"""lscc: the lifecycle of older releases, of which tools still ask for the list of chaincodes.

There are none of that kind on this peer, so the list is empty; everything else is refused
(fabric core/scc/lscc/lscc.go).
"""

from tongban.node.runtime.access import AccessControl
from tongban.node.runtime.contract_host import Response
from tongban.node.runtime.syscc.call import (
    ERROR,
    SUCCESS,
    CallRefused,
    SystemCall,
    argument,
    check_access,
)
from tongban.protos import query_pb2

NAME = "lscc"

_RESOURCES = {
    "GetChaincodes": "lscc/GetInstantiatedChaincodes",
    "getchaincodes": "lscc/GetInstantiatedChaincodes",
}


class LegacyLifecycle:
    """The chaincode."""

    def __init__(self, access: AccessControl) -> None:
        self._access = access

    async def invoke(self, call: SystemCall) -> Response:
        try:
            return Response(SUCCESS, "", self._answer(call))
        except CallRefused as refused:
            return Response(ERROR, refused.text)

    def _answer(self, call: SystemCall) -> bytes:
        if not call.args:
            raise CallRefused("invalid number of arguments to lscc: 0")
        function = argument(call.args[0])
        resource = _RESOURCES.get(function)
        if resource is None:
            raise CallRefused(f"invalid function to lscc: {function}")
        config = None if call.channel is None else call.channel.config
        channel_id = "" if call.channel is None else call.channel.channel_id
        denied = f"access denied for [{function}][{channel_id}]: {{}}"
        check_access(self._access, resource, config, call, denied)
        return query_pb2.ChaincodeQueryResponse().SerializeToString()
