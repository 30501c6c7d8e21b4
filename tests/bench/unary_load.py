"""Load in the unary calls that every Fabric client makes."""

import asyncio

import grpc

from tests.bench.callers import LIMITS, Caller, Run
from tongban.protos.gateway_pb2 import CommitStatusResponse, EndorseResponse, EvaluateResponse
from tongban.sdk.core.unary import COMMIT_STATUS, ENDORSE, EVALUATE, SUBMIT

_Method = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


class UnaryLoad:
    """Every caller is a coroutine; a transaction is three calls, a query is one."""

    def __init__(self, channel: grpc.aio.Channel, run: Run) -> None:
        self._channel = channel
        self._endorse: _Method = channel.unary_unary(ENDORSE, None, None)
        self._submit: _Method = channel.unary_unary(SUBMIT, None, None)
        self._status: _Method = channel.unary_unary(COMMIT_STATUS, None, None)
        self._evaluate: _Method = channel.unary_unary(EVALUATE, None, None)
        self._run = run
        self.tally = run.tally

    async def connect(self) -> None:
        """Return when the connection stands."""
        await self._channel.channel_ready()

    async def work(self) -> None:
        """Return when every caller's time is up and its last call has been answered."""
        self._run.start()
        await asyncio.gather(*map(self._call_on, self._run.callers))

    async def _call_on(self, caller: Caller) -> None:
        run = self._run
        call = self._query if run.is_query else self._transact
        while (request := run.begin(caller)) is not None:
            try:
                await call(caller, request)
            except grpc.aio.AioRpcError as error:
                run.tally.fail(f"{error.code()}: {error.details()}")

    async def _transact(self, caller: Caller, request: bytes) -> None:
        proposer, proposed = self._run.proposer, caller.proposed
        prepared = await self._endorse(request, timeout=LIMITS.endorse_s)
        payload = EndorseResponse.FromString(prepared).prepared_transaction.payload
        await self._submit(proposer.submission(proposed, payload), timeout=LIMITS.submit_s)
        status = await self._status(
            proposer.status_request(proposed), timeout=LIMITS.commit_status_s
        )
        self._run.end_by_verdict(caller, CommitStatusResponse.FromString(status).result)

    async def _query(self, caller: Caller, request: bytes) -> None:
        answer = EvaluateResponse.FromString(
            await self._evaluate(request, timeout=LIMITS.evaluate_s)
        )
        self._run.end_by_result(caller, answer.result.status, answer.result.message)
