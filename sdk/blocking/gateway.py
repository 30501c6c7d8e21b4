"""Where an application begins."""

from typing import Self

import grpc

from ..channel import Tls, channel_options
from ..core.backoff import RECONNECT_FOR_S
from ..core.commands import Timeouts
from ..core.transport import PreferStream, StreamChoice, Transport
from ..identity import Identity, Signer, to_party
from .events import BlocksRequest, ChaincodeEventsRequest, Listener
from .network import Network
from .steps import Client, Commit, Proposal, Transaction
from .stream import StreamTransport
from .unary import UnaryTransport


class Gateway:
    """A connection to one peer, which finds the others, on behalf of one identity.

    >>> with Gateway.connect("localhost:7051", user, tls=tls) as gateway:  # doctest: +SKIP
    ...     contract = gateway.get_network("mychannel").get_contract("basic")
    ...     contract.submit("TransferAsset", "a1", "Li Na")

    Any number of threads may use it.
    """

    def __init__(self, client: Client, listener: Listener, transports: "_Transports") -> None:
        self._client = client
        self._listener = listener
        self._transports = transports

    @classmethod
    def connect(
        cls,
        target: str,
        identity: Identity | Signer,
        *,
        tls: Tls | None = None,
        stream: StreamChoice = "auto",
        timeouts: Timeouts | None = None,
        reconnect_for_s: float = RECONNECT_FOR_S,
    ) -> Self:
        """A gateway at ``host:port``; nothing is sent before something is asked.

        An ``Identity`` cannot sign: then every step is signed elsewhere and read back. ``stream``
        says whether our streaming protocol is used: "auto" where the peer speaks it, True always,
        False never. Broken event streams are tried again for ``reconnect_for_s``.
        """
        options = channel_options(tls)
        if tls is None:
            channel = grpc.insecure_channel(target, options=options)
        else:
            channel = grpc.secure_channel(target, tls.credentials(), options=options)
        party = to_party(identity, b"" if tls is None else tls.certificate_hash())
        transports = _Transports(channel, stream)
        client = Client(party, transports.chosen, timeouts or Timeouts(), transports.tick)
        return cls(client, Listener(party, channel, reconnect_for_s), transports)

    def close(self) -> None:
        """End everything that is open; whoever waits is told so."""
        self._transports.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_streaming(self) -> bool:
        """Whether transactions go over our stream, as far as is known yet."""
        return self._transports.is_streaming

    @property
    def creator(self) -> bytes:
        """The serialized identity on whose behalf things are asked."""
        return self._client.party.creator

    def get_network(self, channel_id: str) -> Network:
        """A channel of the peer."""
        return Network(channel_id, self._client, self._listener)

    def new_proposal_from_bytes(self, data: bytes, signature: bytes | None = None) -> Proposal:
        """A proposal made here or elsewhere, with a signature made elsewhere.

        Raises:
            MalformedMessage: these are not its bytes.
        """
        return Proposal.parse(data, signature).of(self._client)

    def new_transaction_from_bytes(
        self, data: bytes, signature: bytes | None = None
    ) -> Transaction:
        """An endorsed transaction, with a signature made elsewhere.

        Raises:
            MalformedMessage: these are not its bytes.
        """
        return Transaction.parse(data, signature).of(self._client)

    def new_commit_from_bytes(self, data: bytes, signature: bytes | None = None) -> Commit:
        """A submitted transaction, with a signature made elsewhere.

        Raises:
            MalformedMessage: these are not its bytes.
        """
        return Commit.parse(data, signature).of(self._client)

    def new_chaincode_events_request_from_bytes(
        self, data: bytes, signature: bytes | None = None
    ) -> ChaincodeEventsRequest:
        """A request for events, with a signature made elsewhere.

        Raises:
            MalformedMessage: these are not its bytes.
        """
        return ChaincodeEventsRequest.parse(data, signature).of(self._listener)

    def new_blocks_request_from_bytes(
        self, data: bytes, signature: bytes | None = None
    ) -> BlocksRequest:
        """A request for blocks, with a signature made elsewhere.

        Raises:
            MalformedMessage: these are not its bytes.
        """
        return BlocksRequest.parse(data, signature).of(self._listener)


class _Transports:
    """The channel and what runs on it."""

    def __init__(self, channel: grpc.Channel, choice: StreamChoice) -> None:
        self._channel = channel
        self._unary = UnaryTransport(channel)
        self._stream: StreamTransport | None = None
        self.chosen: Transport = self._unary
        if choice is not False:
            self._stream = StreamTransport(channel)
            self.chosen = PreferStream(self._stream, self._unary, may_fall_back=choice == "auto")

    @property
    def is_streaming(self) -> bool:
        return isinstance(self.chosen, PreferStream) and self.chosen.is_streaming

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._channel.close()

    def tick(self) -> float | None:
        """Let the stream keep its time; unary calls keep theirs."""
        return None if self._stream is None else self._stream.tick()
