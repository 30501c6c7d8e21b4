"""A gRPC server of a node: TLS, limits, the guard around every call, and a drain that ends.

What a service has to do with that: register on :attr:`RpcServer.server` before the start, and end
its long streams when the drain begins (:attr:`RpcServer.draining`), since the drain waits for them.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import grpc

from tongban.node.runtime.config import TlsConfig, read_file
from tongban.node.runtime.faults import FaultSink
from tongban.node.runtime.operations import ListenFailed
from tongban.node.services.guard import CONCURRENCY_LIMITS, CallGuard
from tongban.protos.limits import GRPC_OPTIONS, SERVER_KEEPALIVE_OPTIONS

DRAIN_SECONDS_MAX = 8.0
"""How long calls in flight may take to finish when the node stops; what follows fits into what the
supervisor leaves."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """PEM material of a server."""

    certificate_chain: bytes
    private_key: bytes
    client_roots: bytes | None = None
    """If given, every client must show a certificate of one of these authorities."""


def read_server_tls(section: TlsConfig) -> ServerTls:
    """Read the PEM files that a configuration names.

    Raises:
        InvalidNodeConfig: one cannot be read.
    """
    return ServerTls(
        read_file(section.certificate),
        read_file(section.key),
        read_file(section.client_roots) if section.client_roots else None,
    )


class RpcServer:
    """A server for one address."""

    def __init__(
        self,
        address: str,
        tls: ServerTls | None,
        faults: FaultSink,
        limits: Mapping[str, int] = CONCURRENCY_LIMITS,
    ) -> None:
        self._address = address
        self._tls = tls
        self._guard = CallGuard(faults, limits)
        self.draining = asyncio.Event()
        """Set when the drain begins."""
        # Without SO_REUSEPORT a second node on the same port is an error and not a lottery.
        options = (*GRPC_OPTIONS, *SERVER_KEEPALIVE_OPTIONS, ("grpc.so_reuseport", 0))
        self.server = grpc.aio.server(interceptors=[self._guard], options=options)

    @property
    def requires_client_certificates(self) -> bool:
        return self._tls is not None and self._tls.client_roots is not None

    def count_open(self) -> dict[str, int]:
        """Calls that are being served, by ``/package.Service``."""
        return self._guard.count_open()

    async def start(self) -> int:
        """Serve, and return the port.

        Raises:
            ListenFailed: the address is taken or not ours.
        """
        try:
            port = self._bind()
        except RuntimeError as error:
            raise ListenFailed(self._address, str(error)) from None
        await self.server.start()
        return port

    async def drain(self, seconds_max: float = DRAIN_SECONDS_MAX) -> None:
        """Refuse new calls, let the open ones finish, and cut off what has not in time."""
        self._guard.drain()
        self.draining.set()
        await self.server.stop(seconds_max)

    def _bind(self) -> int:
        if self._tls is None:
            return self.server.add_insecure_port(self._address)
        credentials = grpc.ssl_server_credentials(
            [(self._tls.private_key, self._tls.certificate_chain)],
            root_certificates=self._tls.client_roots,
            require_client_auth=self.requires_client_certificates,
        )
        return self.server.add_secure_port(self._address, credentials)
