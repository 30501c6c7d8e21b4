"""Deliver sessions: a signed request for blocks in, blocks and a status out.

A session holds one block at a time and takes the next one only when its reader has taken the last,
so a slow reader costs nobody anything. The right to read is decided again whenever the channel's
configuration changed, and ends with the reader's certificate (fabric common/deliver/acl.go).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from tongban.node.core.channel import ChannelConfig
from tongban.node.core.delivered_block import omit_transactions
from tongban.node.core.errors import AccessDenied
from tongban.node.core.identity import is_expired
from tongban.node.core.policy import Policy, SignatureVerifier, SignedBy, evaluate_signatures
from tongban.node.core.seek import (
    SeekRange,
    SeekRefused,
    SeekRequest,
    find_range,
    parse_seek,
    parse_seek_info,
)
from tongban.node.runtime.block_source import BlockSource
from tongban.protos.ab_pb2 import DeliverResponse, SeekInfo
from tongban.protos.common_pb2 import Status

Render = Callable[[str, int, bytes, bytes], bytes]
"""Channel, block number, serialized block and the reader's serialized identity, to the serialized
DeliverResponse of one RPC."""


@dataclass(frozen=True, slots=True)
class DeliverRules:
    """What differs between the RPCs that deliver blocks."""

    readers: Callable[[ChannelConfig], Policy]
    """Who may read."""
    render: Render


@dataclass(frozen=True, slots=True)
class DeliveredChannel:
    source: BlockSource
    verifier: SignatureVerifier


class Deliverer:
    """Serves the deliver sessions of a node, for one RPC."""

    def __init__(
        self,
        channels: Mapping[str, DeliveredChannel],
        rules: DeliverRules,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        on_refusal: Callable[[SeekRefused], None] = lambda refused: None,
    ) -> None:
        self._channels = channels
        self._rules = rules
        self._now = now
        self._on_refusal = on_refusal

    async def serve(
        self, requests: AsyncIterator[bytes], tls_cert_hash: bytes | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The responses to serialized request envelopes, each a serialized DeliverResponse. The
        session ends after the first status that is not SUCCESS."""
        async for request in requests:
            status: Status.ValueType = Status.SUCCESS
            try:
                async with aclosing(self._deliver(request, tls_cert_hash)) as responses:
                    async for response in responses:
                        yield response
            except SeekRefused as refused:
                self._on_refusal(refused)
                status = refused.status
            yield DeliverResponse(status=status).SerializeToString()
            if status != Status.SUCCESS:
                return

    async def _deliver(
        self, envelope: bytes, tls_cert_hash: bytes | None
    ) -> AsyncGenerator[bytes, None]:
        request = parse_seek(envelope, self._now(), tls_cert_hash)
        channel = self._channels.get(request.channel_id)
        if channel is None:
            raise SeekRefused(Status.NOT_FOUND, f"channel {request.channel_id} not found")
        seek = parse_seek_info(request.data)
        source = channel.source
        _check_available(source, seek)
        access = _Access(request, channel, self._rules.readers)
        access.check(self._now())
        wanted = find_range(seek, source.height)
        render = partial(self._rules.render, request.channel_id)
        async with aclosing(_blocks(source, seek, wanted)) as blocks:
            async for number, block in blocks:
                access.check(self._now())
                yield render(number, block, request.creator)


async def _blocks(
    source: BlockSource, seek: SeekInfo, wanted: SeekRange
) -> AsyncGenerator[tuple[int, bytes], None]:
    loop = asyncio.get_running_loop()
    number = wanted.start
    while number <= wanted.stop:
        while number >= source.height:
            if seek.behavior == SeekInfo.FAIL_IF_NOT_READY:
                raise SeekRefused(Status.NOT_FOUND, f"block {number} not found")
            await source.wait_for(number)
            _check_available(source, seek)
        block = source.find_recent_block(number)
        if block is None:
            block = await loop.run_in_executor(None, source.get_block, number)
        if seek.content_type == SeekInfo.HEADER_WITH_SIG:
            block = omit_transactions(block)
        yield number, block
        number += 1


def _check_available(source: BlockSource, seek: SeekInfo) -> None:
    if source.is_closed:
        raise SeekRefused(Status.SERVICE_UNAVAILABLE, "the node is shutting down")
    if not source.is_available and seek.error_response == SeekInfo.STRICT:
        raise SeekRefused(Status.SERVICE_UNAVAILABLE, "ordering is not available")


class _Access:
    """Whether the sender of one request may go on reading."""

    def __init__(
        self,
        request: SeekRequest,
        channel: DeliveredChannel,
        readers: Callable[[ChannelConfig], Policy],
    ) -> None:
        self._signed = SignedBy(request.payload, request.creator, request.signature)
        self._channel = channel
        self._readers = readers
        self._sequence = -1

    def check(self, now: datetime) -> None:
        """Raises:
        SeekRefused: FORBIDDEN.
        """
        config = self._channel.source.config()
        try:
            identity = config.msps.deserialize(self._signed.identity)
        except AccessDenied as error:
            raise SeekRefused(Status.FORBIDDEN, str(error)) from None
        if is_expired(identity, now):
            raise SeekRefused(
                Status.FORBIDDEN, f"deliver client identity expired at {identity.not_after}"
            )
        if config.sequence == self._sequence:
            return
        verdict = evaluate_signatures(
            self._readers(config), [self._signed], config.msps, self._channel.verifier
        )
        if not verdict.satisfied:
            raise SeekRefused(Status.FORBIDDEN, verdict.reason)
        self._sequence = config.sequence
