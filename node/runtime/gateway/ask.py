"""Ask one endorser, but not for ever."""

import asyncio

from tongban.node.core.gateway.answer import EndorserAnswer
from tongban.node.core.gateway.directory import PeerRecord
from tongban.node.runtime.gateway.ports import Endorsers
from tongban.protos.proposal_pb2 import SignedProposal


async def ask(
    endorsers: Endorsers, peer: PeerRecord, signed: SignedProposal, limit: float | None
) -> EndorserAnswer:
    """The endorser's answer, or that it gave none within ``limit`` seconds."""
    if limit is None:
        return await endorsers.call(peer, signed)
    try:
        async with asyncio.timeout(limit):
            return await endorsers.call(peer, signed)
    except TimeoutError:
        # Not unreachable: a slow contract must not take the peer from everybody else.
        return EndorserAnswer(error=f"no answer from {peer.endpoint} within {limit:g} s")
