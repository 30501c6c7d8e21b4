"""The RPCs that deliver blocks: an orderer's ``orderer.AtomicBroadcast``, a peer's
``protos.Deliver``.

Requests and responses pass as bytes, so that a block goes out as it is on disk.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from ssl import PEM_cert_to_DER_cert

import grpc

from tongban.node.runtime.deliverer import Deliverer
from tongban.node.services.broadcast import BroadcastService
from tongban.node.services.guard import Behavior, Context, Handler
from tongban.protos.digest import sha256


class DeliverService:
    """One RPC that delivers blocks."""

    def __init__(self, deliverer: Deliverer, *, bind_to_certificate: bool = False) -> None:
        """``bind_to_certificate``: the server demands client certificates, so a request must
        carry the digest of the one that its connection showed."""
        self._deliverer = deliverer
        self._bind = bind_to_certificate

    async def deliver(
        self, requests: AsyncIterator[bytes], context: Context
    ) -> AsyncGenerator[bytes, None]:
        """Responses to the requests of one stream."""
        digest = _client_certificate_hash(context) if self._bind else None
        async with aclosing(self._deliverer.serve(requests, digest)) as responses:
            async for response in responses:
                yield response


def register_orderer(
    server: grpc.aio.Server, broadcast: BroadcastService, deliver: DeliverService
) -> None:
    """Serve ``orderer.AtomicBroadcast``."""
    _register(
        server,
        "orderer.AtomicBroadcast",
        {"Broadcast": broadcast.broadcast, "Deliver": deliver.deliver},
    )


def register_peer(
    server: grpc.aio.Server,
    deliver: DeliverService,
    filtered: DeliverService,
    with_private_data: DeliverService,
) -> None:
    """Serve ``protos.Deliver``."""
    _register(
        server,
        "protos.Deliver",
        {
            "Deliver": deliver.deliver,
            "DeliverFiltered": filtered.deliver,
            "DeliverWithPrivateData": with_private_data.deliver,
        },
    )


def _register(server: grpc.aio.Server, service: str, methods: Mapping[str, Behavior]) -> None:
    handlers: dict[str, Handler] = {
        name: grpc.stream_stream_rpc_method_handler(behavior) for name, behavior in methods.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))


def _client_certificate_hash(context: Context) -> bytes:
    """SHA-256 of the DER of the client's certificate (fabric common/util/utils.go,
    ExtractCertificateHashFromContext)."""
    (pem,) = context.auth_context()["x509_pem_cert"]
    return sha256(PEM_cert_to_DER_cert(pem.decode()))
