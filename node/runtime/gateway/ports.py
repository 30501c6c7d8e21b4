"""What the gateway needs from the rest of the peer."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import NamedTuple, Protocol

from tongban.node.core.gateway.answer import EndorserAnswer
from tongban.node.core.gateway.directory import PeerRecord
from tongban.node.core.gateway.plan import Layout
from tongban.node.core.policy import SignedBy
from tongban.node.core.received import ReceivedProposal
from tongban.node.runtime.commits import CommitStatus
from tongban.protos.ab_pb2 import BroadcastResponse
from tongban.protos.chaincode_event_pb2 import ChaincodeEvent
from tongban.protos.common_pb2 import Envelope
from tongban.protos.proposal_response_pb2 import ChaincodeInterest


class GatewaySeconds(NamedTuple):
    """How long others may take to answer; then the next one is asked. The values are Fabric's
    (sampleconfig/core.yaml, endorsementTimeout and broadcastTimeout)."""

    endorse: float = 30.0
    broadcast: float = 30.0


class Endorsers(Protocol):
    """The peers that can be asked to endorse."""

    @property
    def local(self) -> PeerRecord: ...

    def with_chaincode(self, channel_id: str, chaincode: str) -> list[PeerRecord]:
        """Live peers that can run the chaincode, the most suitable first."""
        ...

    def forget(self, peer: PeerRecord) -> None:
        """Do not offer the peer again until it announces itself."""
        ...

    def call(self, peer: PeerRecord, proposal: ReceivedProposal) -> Awaitable[EndorserAnswer]:
        """The peer's answer; never raises for what the peer or the network does."""
        ...

    def evaluate(self, peer: PeerRecord, proposal: ReceivedProposal) -> Awaitable[EndorserAnswer]:
        """As :meth:`call`, but the answer need not be endorsed."""
        ...


class OrderingRoute(Protocol):
    """The way to the orderers of a channel."""

    @property
    def addresses(self) -> Sequence[str]:
        """host:port of each orderer, in the order to try them."""
        ...

    async def broadcast(self, address: str, envelope: Envelope) -> BroadcastResponse:
        """Raises OrdererUnreachable if there is no answer."""
        ...


class GatewayChannel(Protocol):
    """One channel of this peer, as the gateway sees it."""

    @property
    def height(self) -> int: ...

    @property
    def orderers(self) -> OrderingRoute: ...

    def orderer_msp_id(self, address: str) -> str:
        """Whose orderer this is; empty if the channel does not say."""
        ...

    def layouts(self, interest: ChaincodeInterest, protect_transient: bool = False) -> list[Layout]:
        """Every minimal way to satisfy all policies that the interest touches.

        Raises:
            GatewayError: a chaincode is not defined on the channel.
        """
        ...

    def check_access(self, resource: str, signed: SignedBy) -> None:
        """Raises AccessDenied unless the channel's policy for the resource is satisfied."""
        ...

    def subscribe(self, tx_id: str) -> asyncio.Future[CommitStatus]:
        """Ends with the verdict on the transaction, at once if it is committed. Give it back with
        :meth:`unsubscribe`.

        Raises:
            Overloaded: too many wait already.
        """
        ...

    def unsubscribe(self, tx_id: str, verdict: asyncio.Future[CommitStatus]) -> None: ...

    def find_position(self, tx_id: str) -> tuple[int, int] | None:
        """Block and place in the block of a committed transaction."""
        ...

    async def wait_for_block(self, number: int) -> None:
        """Returns when the block is committed."""
        ...

    async def chaincode_events(self, number: int) -> Sequence[ChaincodeEvent]:
        """Events of all valid transactions of a committed block, in block order."""
        ...
