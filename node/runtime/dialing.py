"""How a node reaches other nodes: options, TLS, and addresses that differ from names.

A channel's configuration names nodes by host:port. On one machine, or behind a proxy, another
address may have to be dialled; the name is still the one that the certificate must show (the
``addressOverrides`` of fabric sampleconfig/core.yaml).
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import grpc

from tongban.protos.errors import TongbanError
from tongban.protos.limits import GRPC_OPTIONS

_OPTIONS = (
    *GRPC_OPTIONS,
    # As Go nodes do as clients (fabric internal/pkg/comm/config.go).
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Pauses between attempts are ours alone; a shared connection would add grpc's.
    ("grpc.use_local_subchannel_pool", 1),
)


CONNECT_SECONDS_MAX = 5.0
"""For TCP, TLS and HTTP/2 together."""

_READY = grpc.ChannelConnectivity.READY
_BROKEN = (grpc.ChannelConnectivity.TRANSIENT_FAILURE, grpc.ChannelConnectivity.SHUTDOWN)

ByteStream: TypeAlias = "grpc.aio.StreamStreamCall[bytes, bytes]"


class ConnectFailed(TongbanError):
    """Another node cannot be reached."""


@dataclass(frozen=True, slots=True)
class ClientTls:
    """PEM certificate and key that a node shows as a client, where a server demands one."""

    certificate_chain: bytes
    private_key: bytes


@dataclass(frozen=True, slots=True)
class Dialer:
    """Opens connections to other nodes."""

    roots: Callable[[], bytes] | None
    """PEM of the authorities trusted now; None to dial in the clear."""
    client: ClientTls | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    """host:port to dial instead of the host:port that is asked for."""

    def connect(self, address: str) -> grpc.aio.Channel:
        """A channel to ``address``; whoever asked closes it. Nothing is dialled yet."""
        target = self.overrides.get(address, address)
        if self.roots is None:
            return grpc.aio.insecure_channel(target, options=_OPTIONS)
        credentials = grpc.ssl_channel_credentials(
            self.roots(),
            self.client.private_key if self.client else None,
            self.client.certificate_chain if self.client else None,
        )
        name = address.rpartition(":")[0]
        options = (*_OPTIONS, ("grpc.ssl_target_name_override", name))
        return grpc.aio.secure_channel(target, credentials, options=options)


async def connected(channel: grpc.aio.Channel) -> None:
    """Return when the connection is up.

    Raises:
        ConnectFailed: it is refused, its certificate is not accepted, or it takes too long.
    """
    try:
        async with asyncio.timeout(CONNECT_SECONDS_MAX):
            while (state := channel.get_state(try_to_connect=True)) is not _READY:
                if state in _BROKEN:
                    raise ConnectFailed(
                        "the connection is refused, or its certificate not accepted"
                    )
                await channel.wait_for_state_change(state)
    except TimeoutError:
        raise ConnectFailed(f"no connection within {CONNECT_SECONDS_MAX} s") from None


async def write(call: ByteStream, data: bytes) -> bool:
    """Whether the message was taken. If not, the call has ended and its next read says why; what
    a failed write itself says is only that it failed."""
    try:
        await call.write(data)
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        return False
    return True
