"""The gateway's five calls, free of transport: messages in, messages out, GatewayError if not.

Deadlines are seconds from now; a call that has none waits as long as its parts do.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TypeVar

from google.protobuf.message import Message

from tongban.node.core.errors import AccessDenied, UnknownChannel
from tongban.node.core.gateway.envelope_id import read_envelope_id
from tongban.node.core.gateway.errors import Code, GatewayError
from tongban.node.core.gateway.layouts import undefined_chaincode
from tongban.node.core.gateway.request import read_for_endorse, read_for_evaluate
from tongban.node.core.policy import SignedBy
from tongban.node.runtime.commits import CommitStatus
from tongban.node.runtime.gateway.endorse import Endorsing
from tongban.node.runtime.gateway.evaluate import evaluate
from tongban.node.runtime.gateway.events import chaincode_events, start_block
from tongban.node.runtime.gateway.ports import Endorsers, GatewayChannel, GatewaySeconds
from tongban.node.runtime.gateway.submit import submit
from tongban.protos import gateway_pb2
from tongban.protos.codec import parse
from tongban.protos.errors import MalformedMessage
from tongban.protos.transaction_pb2 import TxValidationCode

NO_CONFIG = "failed to get config for channel [{0}]: could not get last config for channel {0}"
NO_POLICIES = "Failed to get policy manager for channel [{}]"
"""What a Go peer says of a channel that it has not joined (fabric internal/pkg/gateway/registry.go,
core/policy/policy.go)."""


class Gateway:
    """Serves applications on all channels of this peer."""

    def __init__(
        self,
        channels: Callable[[str], GatewayChannel],
        endorsers: Endorsers,
        seconds: GatewaySeconds = GatewaySeconds(),  # noqa: B008, it cannot change
    ) -> None:
        """``channels`` raises UnknownChannel for a channel this peer has not joined."""
        self._seconds = seconds
        self._channels = channels
        self._endorsers = endorsers

    async def endorse(
        self, request: gateway_pb2.EndorseRequest, deadline: float | None = None
    ) -> gateway_pb2.EndorseResponse:
        facts = read_for_endorse(request.proposed_transaction)
        channel = self._find(facts.channel_id)
        if channel is None:
            raise undefined_chaincode(facts.chaincode, facts.channel_id)
        endorsing = Endorsing(
            facts, channel, self._endorsers, _limit(self._seconds.endorse, deadline)
        )
        try:
            async with asyncio.timeout(deadline):
                envelope = await endorsing.run(request.endorsing_organizations)
        except TimeoutError:
            text = f"endorsement timeout expired while {endorsing.stage}"
            raise GatewayError(Code.DEADLINE_EXCEEDED, text) from None
        return gateway_pb2.EndorseResponse(prepared_transaction=envelope)

    async def evaluate(
        self, request: gateway_pb2.EvaluateRequest, deadline: float | None = None
    ) -> gateway_pb2.EvaluateResponse:
        facts = read_for_evaluate(request.proposed_transaction)
        if self._find(facts.channel_id) is None:
            raise GatewayError(Code.UNAVAILABLE, NO_CONFIG.format(facts.channel_id))
        limit = _limit(self._seconds.endorse, deadline)
        try:
            async with asyncio.timeout(deadline):
                result = await evaluate(facts, self._endorsers, request.target_organizations, limit)
        except TimeoutError:
            raise GatewayError(Code.DEADLINE_EXCEEDED, "evaluate timeout expired") from None
        return gateway_pb2.EvaluateResponse(result=result)

    async def submit(
        self, request: gateway_pb2.SubmitRequest, deadline: float | None = None
    ) -> gateway_pb2.SubmitResponse:
        _check_prepared(request)
        channel = self._writable(request.channel_id)
        limit = self._seconds.broadcast
        await submit(request.prepared_transaction, channel, limit, deadline)
        return gateway_pb2.SubmitResponse()

    async def commit_status(
        self, signed: gateway_pb2.SignedCommitStatusRequest, deadline: float | None = None
    ) -> gateway_pb2.CommitStatusResponse:
        if not signed.request:
            raise GatewayError(Code.INVALID_ARGUMENT, "a commit status request is required")
        request = _parse(gateway_pb2.CommitStatusRequest, signed.request, "invalid status request")
        for value, text in (
            (request.identity, "no identity provided"),
            (request.channel_id, "no channel ID provided"),
            (request.transaction_id, "transaction ID should not be empty"),
        ):
            if not value:
                raise GatewayError(Code.INVALID_ARGUMENT, text)
        signature = SignedBy(signed.request, request.identity, signed.signature)
        channel = self._readable(request.channel_id, "gateway/CommitStatus", signature)
        return await self._wait_for_commit(channel, request.transaction_id, deadline)

    async def submit_and_wait(
        self,
        request: gateway_pb2.SubmitRequest,
        on_accepted: Callable[[gateway_pb2.SubmitResponse], None],
        deadline: float | None = None,
    ) -> gateway_pb2.CommitStatusResponse:
        """The verdict, for whoever handed the envelope in; that its creator may write was for the
        orderer to check. ``on_accepted`` is called when an orderer has accepted it."""
        _check_prepared(request)
        channel_id, tx_id = read_envelope_id(request.prepared_transaction)
        channel = self._writable(channel_id)
        ends = None if deadline is None else asyncio.get_running_loop().time() + deadline
        verdict = channel.subscribe(tx_id)
        try:
            on_accepted(await self.submit(request, deadline))
            return await _await_verdict(tx_id, verdict, ends)
        finally:
            channel.unsubscribe(tx_id, verdict)

    async def _wait_for_commit(
        self, channel: GatewayChannel, tx_id: str, deadline: float | None = None
    ) -> gateway_pb2.CommitStatusResponse:
        ends = None if deadline is None else asyncio.get_running_loop().time() + deadline
        verdict = channel.subscribe(tx_id)
        try:
            return await _await_verdict(tx_id, verdict, ends)
        finally:
            channel.unsubscribe(tx_id, verdict)

    def chaincode_events(
        self, signed: gateway_pb2.SignedChaincodeEventsRequest
    ) -> AsyncGenerator[gateway_pb2.ChaincodeEventsResponse, None]:
        """Checks at once, then answers until it is closed."""
        if not signed.request:
            raise GatewayError(Code.INVALID_ARGUMENT, "a chaincode events request is required")
        request = _parse(
            gateway_pb2.ChaincodeEventsRequest, signed.request, "invalid chaincode events request"
        )
        signature = SignedBy(signed.request, request.identity, signed.signature)
        resource = "gateway/ChaincodeEvents"
        channel = self._readable(request.channel_id, resource, signature)
        start_block(request, channel)

        def recheck() -> None:
            self._readable(request.channel_id, resource, signature)

        return chaincode_events(request, channel, recheck)

    def _find(self, channel_id: str) -> GatewayChannel | None:
        """The channel, None if this peer has not joined it."""
        try:
            return self._channels(channel_id)
        except UnknownChannel:
            return None

    def _writable(self, channel_id: str) -> GatewayChannel:
        channel = self._find(channel_id)
        if channel is None:
            raise GatewayError(Code.FAILED_PRECONDITION, NO_CONFIG.format(channel_id))
        return channel

    def _readable(self, channel_id: str, resource: str, signature: SignedBy) -> GatewayChannel:
        channel = self._find(channel_id)
        if channel is None:
            raise GatewayError(Code.PERMISSION_DENIED, NO_POLICIES.format(channel_id))
        try:
            channel.check_access(resource, signature)
        except AccessDenied as error:
            raise GatewayError(Code.PERMISSION_DENIED, str(error)) from None
        return channel


def _check_prepared(request: gateway_pb2.SubmitRequest) -> None:
    if not request.HasField("prepared_transaction"):
        raise GatewayError(Code.INVALID_ARGUMENT, "a prepared transaction is required")
    if not request.prepared_transaction.signature:
        raise GatewayError(Code.INVALID_ARGUMENT, "prepared transaction must be signed")


def _limit(seconds: float, deadline: float | None) -> float | None:
    """How long one of several nodes may take; no limit of its own where the whole call's deadline
    comes first."""
    return None if deadline is not None and deadline <= seconds else seconds


M = TypeVar("M", bound=Message)


def _parse(kind: type[M], data: bytes, what: str) -> M:
    try:
        return parse(kind, data)
    except MalformedMessage as error:
        raise GatewayError(Code.INVALID_ARGUMENT, f"{what}: {error}") from None


async def _await_verdict(
    tx_id: str, verdict: asyncio.Future[CommitStatus], ends: float | None
) -> gateway_pb2.CommitStatusResponse:
    """``ends`` is the time of the event loop at which waiting ends."""
    alarm = None
    if ends is not None:
        alarm = asyncio.get_running_loop().call_at(ends, _give_up, verdict)
    try:
        found = await verdict
    except TimeoutError:
        text = f"transaction {tx_id} was not committed in time; its outcome is not known yet"
        raise GatewayError(Code.DEADLINE_EXCEEDED, text) from None
    finally:
        if alarm is not None:
            alarm.cancel()
    return gateway_pb2.CommitStatusResponse(
        result=TxValidationCode.ValueType(found.code), block_number=found.block_num
    )


def _give_up(verdict: asyncio.Future[CommitStatus]) -> None:
    if not verdict.done():
        verdict.set_exception(TimeoutError())
