"""Transactions, blocks and a channel to validate them on, for tests.

    channel = a_channel()
    channel.define("cc", "AND('Org1MSP.peer','Org2MSP.peer')")
    block = a_block(channel).with_tx(a_tx(channel, "cc").writing("key", b"value"))
    verdict = channel.validate(block)

Everything an envelope can be wrong in is an ``override`` of :func:`a_tx`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Self

from tests.support.channels import make_channel
from tests.support.pki import Member
from tests.support.transactions import (
    TxBuilder,
    a_tx,
    an_event,
    application_policy,
    endorse,
    key_metadata,
    organizations,
    policy_entries,
    read,
    signature_policy,
)
from tongban.node.core.block import ParsedBlock, parse_block
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.lifecycle import state_layout
from tongban.node.core.lifecycle.definitions import ChaincodeDefinition, ChaincodeParameters
from tongban.node.core.memory_state import MemoryState
from tongban.node.core.policy import SignatureVerifier
from tongban.node.core.state import UpdateBatch, Version, VersionedValue, hashed_namespace
from tongban.node.core.validation.block_validator import BlockValidator
from tongban.node.core.validation.verdict import BlockVerdict
from tongban.protos.collection_pb2 import (
    CollectionConfig,
    CollectionConfigPackage,
    StaticCollectionConfig,
)
from tongban.protos.common_pb2 import (
    Block,
    BlockData,
    BlockHeader,
    BlockMetadata,
    Envelope,
    LastConfig,
    Metadata,
    MetadataSignature,
    OrdererBlockMetadata,
    SignatureHeader,
)
from tongban.protos.digest import (
    compute_data_hash,
    compute_header_hash,
    encode_block_header,
)
from tongban.protos.transaction_pb2 import (
    TxValidationCode,
)

__all__ = [
    "BOTH",
    "EITHER",
    "BlockBuilder",
    "TestChannel",
    "TxBuilder",
    "a_block",
    "a_channel",
    "a_collection",
    "a_tx",
    "an_event",
    "application_policy",
    "channel_config",
    "code_names",
    "endorse",
    "hashed",
    "header_hash",
    "key_metadata",
    "organizations",
    "policy_entries",
    "read",
    "sign_block",
    "signature_policy",
]

EITHER = "OR('Org1MSP.peer','Org2MSP.peer')"
BOTH = "AND('Org1MSP.peer','Org2MSP.peer')"


@cache
def channel_config(**changes: object) -> ChannelConfig:
    org1, org2, orderer = organizations()
    return make_channel([org1, org2], [orderer], "mychannel", **changes)


def a_collection(name: str, policy: str = "", block_to_live: int = 0) -> StaticCollectionConfig:
    config = StaticCollectionConfig(name=name, block_to_live=block_to_live)
    if policy:
        config.endorsement_policy.ParseFromString(application_policy(policy))
    return config


@dataclass
class TestChannel:
    """A channel, its state in memory and its height."""

    __test__ = False

    config: ChannelConfig
    state: MemoryState = field(default_factory=MemoryState)
    height: int = 1
    verifier: SignatureVerifier = field(default_factory=SignatureVerifier)
    nonces: int = 0

    def put(
        self, namespace: str, key: str | bytes, value: bytes | None, metadata: bytes = b""
    ) -> Version:
        """Commit one value, or a delete, in a block of its own."""
        raw = key.encode() if isinstance(key, str) else key
        version = Version(self.height, 0)
        updates = UpdateBatch()
        if value is None:
            updates.delete(namespace, raw, version)
        else:
            updates.put(namespace, raw, VersionedValue(value, version, metadata))
        self._add(updates)
        return version

    def define(
        self,
        name: str,
        policy: str | bytes = EITHER,
        collections: Sequence[StaticCollectionConfig] = (),
        *,
        plugin: str = "vscc",
    ) -> None:
        """Commit a chaincode definition."""
        package = CollectionConfigPackage(
            config=[CollectionConfig(static_collection_config=one) for one in collections]
        )
        parameters = ChaincodeParameters(
            version="1.0",
            endorsement_plugin="escc",
            init_required=False,
            validation_plugin=plugin,
            validation_parameter=(
                policy if isinstance(policy, bytes) else application_policy(policy)
            ),
            collection_package=package.SerializeToString(),
        )
        record = ChaincodeDefinition(1, parameters).to_record()
        target = _LifecycleWrites()
        state_layout.write_record(state_layout.NAMESPACES, name, record, target)
        for key, value in target.written.items():
            self.put(state_layout.LIFECYCLE_NAMESPACE, key, value)

    def validate(self, block: "BlockBuilder") -> BlockVerdict:
        """The verdict on the next block, which is not committed."""
        return self.validator(block.parsed()).finish()

    def validator(self, block: ParsedBlock) -> BlockValidator:
        return BlockValidator(
            block,
            self.config,
            self.state,
            self.state,
            self.verifier,
            expiry_schedule=self.state,
        )

    def commit(self, block: "BlockBuilder") -> BlockVerdict:
        """The verdict on the next block, which becomes part of the channel."""
        verdict = self.validate(block)
        self.state.add_block(
            self.height, verdict.updates, verdict.tx_ids, verdict.expiries, verdict.expired
        )
        self.height += 1
        self.config = verdict.channel
        return verdict

    def value(self, namespace: str, key: str | bytes) -> VersionedValue | None:
        return self.state.get(namespace, key.encode() if isinstance(key, str) else key)

    def _add(self, updates: UpdateBatch) -> None:
        self.state.add_block(self.height, updates, [])
        self.height += 1


class _LifecycleWrites:
    """Collects what a record is made of."""

    def __init__(self) -> None:
        self.written: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self.written.get(key)

    def put(self, key: str, value: bytes) -> None:
        self.written[key] = value

    def delete(self, key: str) -> None:
        self.written.pop(key, None)


def a_channel(**changes: object) -> TestChannel:
    """A new channel of Org1MSP and Org2MSP; ``changes`` are fields of its description."""
    return TestChannel(channel_config(**changes))


@dataclass
class BlockBuilder:
    """The next block of a channel."""

    channel: TestChannel
    data: list[bytes] = field(default_factory=list)
    previous_hash: bytes = b"p" * 32

    def with_tx(self, *transactions: TxBuilder | Envelope | bytes) -> Self:
        for one in transactions:
            if isinstance(one, TxBuilder):
                self.data.append(one.serialize())
            else:
                self.data.append(one if isinstance(one, bytes) else one.SerializeToString())
        return self

    def block(self) -> Block:
        """Without signatures."""
        header = BlockHeader(
            number=self.channel.height,
            previous_hash=self.previous_hash,
            data_hash=compute_data_hash(self.data),
        )
        return Block(
            header=header,
            data=BlockData(data=self.data),
            metadata=BlockMetadata(metadata=[b""] * 5),
        )

    def signed(self, *orderers: Member) -> Block:
        """With the signatures of these orderers, by default the channel's first."""
        block = self.block()
        value = OrdererBlockMetadata(last_config=LastConfig(index=0)).SerializeToString()
        metadata = Metadata(value=value)
        for orderer in orderers or organizations()[2].orderers[:1]:
            metadata.signatures.append(sign_block(block, value, orderer))
        block.metadata.metadata[0] = metadata.SerializeToString()
        return block

    def parsed(self) -> ParsedBlock:
        return parse_block(self.block())


def sign_block(block: Block, value: bytes, orderer: Member) -> MetadataSignature:
    header = SignatureHeader(creator=orderer.identity, nonce=b"n" * 24).SerializeToString()
    given = block.header
    signed = encode_block_header(given.number, given.previous_hash, given.data_hash)
    return MetadataSignature(
        signature_header=header, signature=orderer.signer.sign(value + header + signed)
    )


def header_hash(block: Block) -> bytes:
    given = block.header
    return compute_header_hash(given.number, given.previous_hash, given.data_hash)


def a_block(channel: TestChannel) -> BlockBuilder:
    return BlockBuilder(channel)


def code_names(verdict: BlockVerdict) -> list[str]:
    """The codes by their names."""
    return [TxValidationCode.Name(code) for code in verdict.codes]


def hashed(collection: str, namespace: str = "cc") -> str:
    return hashed_namespace(namespace, collection)
