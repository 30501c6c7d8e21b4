"""One channel as an application sees it."""

import time

from tongban.protos.common_pb2 import Block
from tongban.protos.events_pb2 import BlockAndPrivateData, FilteredBlock

from ..core.calls import ContractAddress
from ..core.events import ChaincodeEvent, Checkpoint, to_position
from ..core.flows import CommitStatus
from .contract import Contract
from .events import BlocksRequest, ChaincodeEventsRequest, EventStream, Listener
from .steps import Client, Commit


class Network:
    """The peers of one channel.

    Streams begin with the next block, or at ``start_block``, or behind a ``checkpoint``.
    """

    def __init__(self, channel_id: str, client: Client, listener: Listener) -> None:
        self.channel_id = channel_id
        self._client = client
        self._listener = listener

    def get_contract(self, chaincode_name: str, contract_name: str | None = None) -> Contract:
        """A contract of a chaincode; without a name, the chaincode's default one."""
        return Contract(
            ContractAddress(self.channel_id, chaincode_name, contract_name), self._client
        )

    def commit_status(self, transaction_id: str, timeout_s: float | None = None) -> CommitStatus:
        """The verdict on any transaction of the channel, waiting until there is one.

        Raises:
            CommitStatusError: it could not be learnt in time.
        """
        commit = Commit.build(transaction_id, self.channel_id, self._client.party)
        return commit.of(self._client).status(timeout_s)

    def chaincode_events(
        self,
        chaincode_name: str,
        *,
        start_block: int | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> EventStream[ChaincodeEvent]:
        """Events that the chaincode emitted in valid transactions."""
        return self.new_chaincode_events_request(
            chaincode_name, start_block=start_block, checkpoint=checkpoint
        ).events()

    def block_events(
        self, *, start_block: int | None = None, checkpoint: Checkpoint | None = None
    ) -> EventStream[Block]:
        """Whole blocks, with invalid transactions and the verdicts on all."""
        return self.new_blocks_request(start_block=start_block, checkpoint=checkpoint).blocks()

    def filtered_block_events(
        self, *, start_block: int | None = None, checkpoint: Checkpoint | None = None
    ) -> EventStream[FilteredBlock]:
        """Blocks without contents: transaction ids, verdicts and names of events."""
        request = self.new_blocks_request(start_block=start_block, checkpoint=checkpoint)
        return request.filtered_blocks()

    def block_and_private_data_events(
        self, *, start_block: int | None = None, checkpoint: Checkpoint | None = None
    ) -> EventStream[BlockAndPrivateData]:
        """Whole blocks with the private values that the identity may see."""
        request = self.new_blocks_request(start_block=start_block, checkpoint=checkpoint)
        return request.blocks_and_private_data()

    def new_chaincode_events_request(
        self,
        chaincode_name: str,
        *,
        start_block: int | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> ChaincodeEventsRequest:
        """A request that can be signed elsewhere."""
        return ChaincodeEventsRequest.build(
            self.channel_id,
            chaincode_name,
            to_position(start_block, checkpoint),
            self._listener.party,
        ).of(self._listener)

    def new_blocks_request(
        self, *, start_block: int | None = None, checkpoint: Checkpoint | None = None
    ) -> BlocksRequest:
        """A request for blocks, however much of each, that can be signed elsewhere."""
        return BlocksRequest.build(
            self.channel_id,
            to_position(start_block, checkpoint),
            self._listener.party,
            time.time_ns(),
        ).of(self._listener)
