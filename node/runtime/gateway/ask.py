"""Ask one endorser, but not for ever."""

import asyncio
from collections.abc import Awaitable, Callable

from tongban.node.core.gateway.answer import EndorserAnswer
from tongban.node.core.gateway.directory import PeerRecord
from tongban.node.core.received import ReceivedProposal

Call = Callable[[PeerRecord, ReceivedProposal], Awaitable[EndorserAnswer]]
"""One of the calls of ``ports.Endorsers``."""


def ask(
    call: Call, peer: PeerRecord, received: ReceivedProposal, limit: float | None
) -> Awaitable[EndorserAnswer]:
    """The endorser's answer, or that it gave none within ``limit`` seconds."""
    return call(peer, received) if limit is None else _ask_within(call, peer, received, limit)


async def _ask_within(
    call: Call, peer: PeerRecord, received: ReceivedProposal, limit: float
) -> EndorserAnswer:
    try:
        async with asyncio.timeout(limit):
            return await call(peer, received)
    except TimeoutError:
        # Not unreachable: a slow contract must not take the peer from everybody else.
        return EndorserAnswer(error=f"no answer from {peer.endpoint} within {limit:g} s")
