"""What the endorser and the system chaincodes need from the peer's channels."""

from collections.abc import Iterator
from typing import Protocol

from tongban.node.core.channel import ChannelConfig
from tongban.node.core.simulation.simulator import SimulationState
from tongban.protos import queryresult_pb2, transientstore_pb2


class ChannelSnapshot(SimulationState, Protocol):
    """A channel as it was after some block. Close it when done."""

    @property
    def height(self) -> int: ...

    def history(self, namespace: str, key: bytes) -> Iterator[queryresult_pb2.KeyModification]:
        """Newest first."""
        ...

    def close(self) -> None: ...


class TransactionPlace(Protocol):
    """Where a transaction stands in the ledger, and the verdict on it."""

    @property
    def block_num(self) -> int: ...

    @property
    def tx_num(self) -> int: ...

    @property
    def code(self) -> int: ...


class ChannelAccess(Protocol):
    """One channel that this peer has joined."""

    @property
    def channel_id(self) -> str: ...

    @property
    def config(self) -> ChannelConfig:
        """The configuration in force; a new object after every change."""
        ...

    @property
    def height(self) -> int: ...

    @property
    def last_header_hash(self) -> bytes: ...

    @property
    def config_block_num(self) -> int:
        """The last block that changed the configuration."""
        ...

    def snapshot(self) -> ChannelSnapshot: ...

    def has_tx(self, tx_id: str) -> bool:
        """Whether the ledger has a transaction of this id, valid or not."""
        ...

    def find_transaction(self, tx_id: str) -> TransactionPlace | None: ...

    def find_block_num(self, header_hash: bytes) -> int | None: ...

    def get_block(self, number: int) -> bytes:
        """A serialized block with its flags and commit hash. Raises KeyError beyond the height."""
        ...

    async def hold_private(
        self, tx_id: str, private: transientstore_pb2.TxPvtReadWriteSetWithConfigInfo
    ) -> None:
        """The private values of an endorsement are kept, and given to whom the collections say,
        before the endorsement is handed out.

        Raises:
            TongbanError: they are not; there must be no endorsement.
        """
        ...


class PeerChannels(Protocol):
    """All channels of this peer."""

    def find(self, channel_id: str) -> ChannelAccess | None: ...

    def channel_ids(self) -> list[str]: ...

    async def join(self, channel_id: str, genesis: bytes) -> None:
        """The peer follows the channel that this checked block 0 starts.

        Raises:
            TongbanError: it follows it already, or cannot.
        """
        ...
