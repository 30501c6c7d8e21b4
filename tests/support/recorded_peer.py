"""A peer on the recorded Fabric channel: its ledger replayed from the blocks, block by block."""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from tongban.node.core.block import parse_block
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.lifecycle.availability import package_id_digest
from tongban.node.core.policy import SignatureVerifier
from tongban.node.core.validation.block_validator import BlockValidator
from tongban.node.core.validation.genesis import accept_genesis
from tongban.node.core.validation.verdict import BlockVerdict, build_commit_input
from tongban.node.storage.layout import TxLocation
from tongban.node.storage.ledger import Ledger
from tongban.node.storage.snapshot import StateSnapshot
from tongban.protos import (
    chaincode_pb2,
    common_pb2,
    lifecycle_pb2,
    proposal_pb2,
    transaction_pb2,
)
from tongban.protos.transientstore_pb2 import TxPvtReadWriteSetWithConfigInfo

CHANNEL = Path(__file__).parents[1] / "vectors" / "fabric-channel"
ENDORSEMENTS = CHANNEL / "endorsements"


@cache
def recorded_endorsements() -> list[dict[str, Any]]:  # Any: a JSON document
    return list(json.loads((ENDORSEMENTS / "index.json").read_text(encoding="utf-8")))


@cache
def approved_package_ids() -> frozenset[str]:
    """The package ids that the recorded channel's approvals name."""
    found: set[str] = set()
    for path in CHANNEL.glob("*.block"):
        block = common_pb2.Block.FromString(path.read_bytes())
        for envelope in block.data.data:
            found.update(_package_ids(envelope))
    return frozenset(found)


def _package_ids(envelope: bytes) -> Iterator[str]:
    try:
        payload = common_pb2.Payload.FromString(common_pb2.Envelope.FromString(envelope).payload)
        for action in transaction_pb2.Transaction.FromString(payload.data).actions:
            body = transaction_pb2.ChaincodeActionPayload.FromString(action.payload)
            proposal = proposal_pb2.ChaincodeProposalPayload.FromString(
                body.chaincode_proposal_payload
            )
            invocation = chaincode_pb2.ChaincodeInvocationSpec.FromString(proposal.input)
            name, *rest = invocation.chaincode_spec.input.args
            if name == b"ApproveChaincodeDefinitionForMyOrg":
                args = lifecycle_pb2.ApproveChaincodeDefinitionForMyOrgArgs.FromString(rest[0])
                yield args.source.local_package.package_id
    except (DecodeError, ValueError):
        return  # one of the malformed transactions of the recording


class NamedPackages:
    """Pretends that these packages are installed."""

    def __init__(self, package_ids: Iterable[str]) -> None:
        self._by_digest = {package_id_digest(name): name for name in package_ids}

    def find_by_digest(self, digest: bytes) -> str | None:
        return self._by_digest.get(digest)


class RecordedChannel:
    """Implements ChannelAccess on a real ledger."""

    channel_id = "goldchan"

    def __init__(self, directory: Path) -> None:
        self._verifier = SignatureVerifier()
        self._config: ChannelConfig | None = None
        self._ledger = Ledger.open(directory, self._refuse_recovery)
        self.held: list[tuple[str, TxPvtReadWriteSetWithConfigInfo]] = []

    @staticmethod
    def _refuse_recovery(number: int, block: bytes, snapshot: StateSnapshot) -> Any:
        raise AssertionError("a new ledger has nothing to recover")

    def replay_to(self, number: int) -> None:
        """The ledger holds the blocks up to and including this one."""
        while self._ledger.height <= number:
            self._commit((CHANNEL / f"{self._ledger.height}.block").read_bytes())

    def _commit(self, data: bytes) -> None:
        block = parse_block(data)
        verdict = self._judge(block)
        assert verdict.flags == block.flags, f"block {block.number}"
        self._config = verdict.channel
        previous = self._ledger.commit_hash
        self._ledger.commit(build_commit_input(block, verdict, previous))

    def _judge(self, block: Any) -> BlockVerdict:
        if block.number == 0:
            return accept_genesis(block)
        with self._ledger.snapshot() as before:
            return BlockValidator(
                block, self.config, before, before, self._verifier, expiry_schedule=before
            ).finish()

    @property
    def config(self) -> ChannelConfig:
        assert self._config is not None
        return self._config

    @property
    def height(self) -> int:
        return self._ledger.height

    @property
    def last_header_hash(self) -> bytes:
        return self._ledger.last_header_hash

    @property
    def config_block_num(self) -> int:
        return self._ledger.config_block_num

    def snapshot(self) -> StateSnapshot:
        return self._ledger.snapshot()

    def has_tx(self, tx_id: str) -> bool:
        return self._ledger.has_tx(tx_id)

    def find_transaction(self, tx_id: str) -> TxLocation | None:
        return self._ledger.find_transaction(tx_id)

    def find_block_num(self, header_hash: bytes) -> int | None:
        return self._ledger.find_block_num(header_hash)

    def get_block(self, number: int) -> bytes:
        return self._ledger.get_block(number)

    async def hold_private(self, tx_id: str, private: TxPvtReadWriteSetWithConfigInfo) -> None:
        self.held.append((tx_id, private))

    def close(self) -> None:
        self._ledger.close()


class OneChannel:
    """Implements PeerChannels for a peer on one channel."""

    def __init__(self, channel: RecordedChannel) -> None:
        self.channel = channel

    def find(self, channel_id: str) -> RecordedChannel | None:
        return self.channel if channel_id == self.channel.channel_id else None

    def channel_ids(self) -> list[str]:
        return [self.channel.channel_id]

    async def join(self, channel_id: str, genesis: bytes) -> None:
        raise AssertionError("this test joins no channel")


def opened(directory: Path) -> Iterator[RecordedChannel]:
    """For fixtures."""
    channel = RecordedChannel(directory)
    try:
        yield channel
    finally:
        channel.close()
