"""What a system chaincode is given, and how its refusals become responses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tongban.node.core.channel import ChannelConfig
from tongban.node.core.errors import AccessDenied
from tongban.node.core.identity import Identity
from tongban.node.core.proposal import ParsedProposal
from tongban.node.core.simulation.simulator import Simulator
from tongban.node.runtime.access import AccessControl
from tongban.node.runtime.channel_access import ChannelAccess
from tongban.node.runtime.contract_host import Response
from tongban.protos.errors import TongbanError

SUCCESS = 200
ERROR = 500
NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class SystemCall:
    """One call of a system chaincode."""

    args: tuple[bytes, ...]
    """The function's name first."""

    proposal: ParsedProposal
    """The proposal that led here, directly or through another chaincode."""

    identity: Identity
    """The proposal's creator, valid and with a right signature."""

    channel: ChannelAccess | None
    """The proposal's channel; None for a call that concerns only this peer."""

    simulator: Simulator | None
    """The proposal's simulation, if it has one."""


class SystemChaincode(Protocol):
    async def invoke(self, call: SystemCall) -> Response: ...


SystemChaincodes = Mapping[str, SystemChaincode]


class CallRefused(TongbanError):
    """A call of a system chaincode is refused; the text is its answer."""

    def __init__(self, text: str, status: int = ERROR) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


def check_access(
    access: AccessControl,
    resource: str,
    config: ChannelConfig | None,
    call: SystemCall,
    denied: str,
) -> None:
    """Return if the caller may use the resource. ``denied`` is how the refusal begins and ends,
    with ``{}`` for the reason.

    Raises:
        CallRefused: it may not.
    """
    try:
        access.check(resource, config, call.identity, call.proposal)
    except AccessDenied as error:
        raise CallRefused(denied.format(error)) from None


def argument(data: bytes) -> str:
    """An argument as text; bytes that are not UTF-8 are shown as such."""
    return data.decode("utf-8", "backslashreplace")
