"""What the ledgers of the peers say in the end: equal heights, equal commit hashes, and in how many
transactions two departments acted at once."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tongban.network.connections import Connections
from tongban.network.errors import NetworkError
from tongban.network.layout import full_name
from tongban.network.topology import Channel, Node, Organization
from tongban.node.core.block import parse_block
from tongban.protos.codec import parse
from tongban.protos.ledger_info_pb2 import BlockchainInfo
from tongban.protos.transaction_pb2 import TxValidationCode
from tongban.sdk.core.proposal import Invocation

QSCC: Final = "qscc"
ADMIN: Final = "Admin"

EQUAL_SECONDS_MAX: Final = 30.0
"""For the last block to reach every peer."""

TRIGGERED: Final = frozenset({"property", "electricity"})
"""Namespaces that one transaction writes if a rule between them fired in it."""


@dataclass(frozen=True, slots=True)
class PeerTip:
    """Where a peer's ledger ends."""

    name: str
    height: int
    commit_hash: str
    """Of its last block, hex: covers every block's verdicts and writes."""


class LedgerEvidence:
    """Asks every peer of a channel by itself."""

    def __init__(self, connections: Connections, channel: Channel) -> None:
        self._connections = connections
        self._channel = channel

    def tips(self) -> list[PeerTip]:
        """The ends of all ledgers, once they are equally long.

        Raises:
            NetworkError: they are not, in time.
        """
        deadline = time.monotonic() + EQUAL_SECONDS_MAX
        while True:
            tips = [self._tip(org, peer) for org, peer in self._peers()]
            if len({tip.height for tip in tips}) == 1:
                return tips
            if time.monotonic() > deadline:
                raise NetworkError(f"ledgers differ in height: {tips}")
            time.sleep(0.1)

    def triggered(self, height: int) -> int:
        """Valid transactions below this height that wrote both namespaces."""
        organization, _ = next(iter(self._peers()))
        with self._connections.gateway(organization, ADMIN) as gateway:
            network = gateway.get_network(self._channel.id)
            found = 0
            with network.block_events(start_block=0) as blocks:
                for block in blocks:
                    found += _count(block.SerializeToString())
                    if block.header.number + 1 >= height:
                        break
        return found

    def _peers(self) -> Iterable[tuple[Organization, Node]]:
        for organization in self._connections.members(self._channel):
            for peer in organization.peers:
                yield organization, peer

    def _tip(self, organization: Organization, peer: Node) -> PeerTip:
        info = parse(BlockchainInfo, self._ask(organization, peer, "GetChainInfo"))
        last = self._ask(organization, peer, "GetBlockByNumber", str(info.height - 1))
        name = full_name(peer, organization.domain)
        return PeerTip(name, info.height, parse_block(last).commit_hash.hex())

    def _ask(self, organization: Organization, peer: Node, function: str, *args: str) -> bytes:
        identity = self._connections.identity(organization, ADMIN)
        words = (function, self._channel.id, *args)
        call = Invocation(self._channel.id, QSCC, tuple(word.encode() for word in words))
        response = self._connections.call_peer(organization, peer, identity, call).response
        if response.status != 200:
            raise NetworkError(f"{peer.name}.{organization.domain}: {response.message}")
        return response.payload


def _count(data: bytes) -> int:
    block = parse_block(data)
    found = 0
    for transaction, flag in zip(block.transactions, block.flags, strict=True):
        if flag == TxValidationCode.VALID and transaction.body is not None:
            written = {p.namespace for p in transaction.body.rwset.namespaces if p.is_written}
            found += written >= TRIGGERED
    return found
