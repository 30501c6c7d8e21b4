"""The gateway's unary calls: how many are being served."""

import asyncio
from typing import cast

import pytest

from tests.support.gateway_ports import (
    FakeChannel,
    FakeEndorsers,
    a_gateway,
    a_peer,
    a_proposal,
    refused,
    until,
)
from tongban.node.core.gateway.errors import GatewayError
from tongban.node.services.gateway import GatewayService
from tongban.node.services.guard import Context
from tongban.protos.gateway_pb2 import EndorseRequest, EvaluateRequest

SECONDS_MAX = 5.0


class NoDeadline:
    def time_remaining(self) -> None:
        return None


CONTEXT = cast(Context, NoDeadline())


def test_calls_count_while_they_are_served_however_they_end() -> None:
    async def work() -> None:
        endorsers = FakeEndorsers([a_peer("a1")])
        service = GatewayService(a_gateway(FakeChannel([{"A": 1}]), endorsers))
        asked = EvaluateRequest(proposed_transaction=a_proposal())
        calls = [asyncio.create_task(service.Evaluate(asked, CONTEXT)) for _ in range(3)]
        await until(lambda: len(endorsers.asked) == 3)
        assert service.count_open == 3
        calls[0].cancel()
        await until(calls[0].done)
        assert service.count_open == 2
        endorsers.answers["a1"] = refused(500, "no", b"p")
        with pytest.raises(GatewayError):
            await service.Endorse(EndorseRequest(proposed_transaction=a_proposal()), CONTEXT)
        assert service.count_open == 2
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert service.count_open == 0

    async def bounded() -> None:
        async with asyncio.timeout(SECONDS_MAX):
            await work()

    asyncio.run(bounded())
