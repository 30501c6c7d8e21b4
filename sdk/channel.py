"""What both drivers need to open a gRPC channel and to read its failures."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tongban.protos.limits import GRPC_OPTIONS

from .core.commands import Failure
from .core.status_details import to_failure

STREAM_METHOD = "/tongban.gateway.Gateway/Stream"

CLIENT_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # In spite of its name: how long TCP, TLS and HTTP/2 together may take at the least.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
"""Go peers bear a ping a minute, not more; a restarted peer is found again within two seconds; one
that is far away or busy is given the time to shake hands."""

HELLO_TIMEOUT_S = 5.0
"""How long a gateway may take to say hello on a new stream."""


class AnswerStream(Protocol):
    """What we use of a blocking call whose answers are many; grpc's own type has no public name."""

    def __iter__(self) -> Iterator[bytes]: ...

    def __next__(self) -> bytes: ...

    def cancel(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Tls:
    """How to know the server, and what to show it."""

    ca_certificates: bytes
    """PEM of the authorities that may have issued the server's certificate."""
    server_name: str | None = None
    """The name to expect in its certificate, when it is not the one that is dialled."""
    client_certificate: bytes | None = None
    """PEM, where the server requires one; its key beside it."""
    client_key: bytes | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(
            root_certificates=self.ca_certificates,
            private_key=self.client_key,
            certificate_chain=self.client_certificate,
        )

    def certificate_hash(self) -> bytes:
        """SHA-256 of the client certificate's DER: a server that requires one looks for it in
        requests for blocks (fabric common/deliver/binding.go). Empty without one."""
        if self.client_certificate is None:
            return b""
        certificate = x509.load_pem_x509_certificate(self.client_certificate)
        return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()


def channel_options(tls: Tls | None) -> list[tuple[str, Any]]:  # Any: as grpc types them
    options: list[tuple[str, Any]] = [*GRPC_OPTIONS, *CLIENT_OPTIONS]
    if tls is not None and tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
        options.append(("grpc.default_authority", tls.server_name))
    return options


def failure_of(error: grpc.RpcError) -> Failure:
    """The failure that a call ended with, with what each node said."""
    assert isinstance(error, grpc.Call | grpc.aio.AioRpcError)
    code = error.code()
    number = code.value[0] if code is not None else grpc.StatusCode.UNKNOWN.value[0]
    trailers = error.trailing_metadata() or ()
    return to_failure(number, error.details() or "", ((k, v) for k, v in trailers))


def software_name() -> str:
    try:
        return f"tongban-sdk/{version('tongban')}"
    except PackageNotFoundError:
        return "tongban-sdk"
