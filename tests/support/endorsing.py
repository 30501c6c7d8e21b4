"""A peer that endorses, in memory: organizations, a channel with chaincodes, and proposals.

peer = EndorsingPeer({"basic": contract})      two organizations, ``basic`` defined and installed
signed = peer.propose("basic", "Create", "k")
response = asyncio.run(peer.endorser.process(ReceivedProposal(signed)))
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.channels import make_channel
from tests.support.in_process_host import Contract, InProcessHost
from tests.support.pki import Member, make_organization
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.lifecycle import approvals, definitions, state_layout
from tongban.node.core.lifecycle.approvals import DefinitionScope
from tongban.node.core.lifecycle.definitions import ChaincodeDefinition
from tongban.node.core.lifecycle.state_layout import (
    CHAINCODE_SOURCES,
    LIFECYCLE_NAMESPACE,
    NAMESPACES,
    approval_name,
    implicit_collection,
)
from tongban.node.core.memory_state import MemoryState
from tongban.node.core.policy import SignatureVerifier
from tongban.node.core.state import (
    StateReader,
    UpdateBatch,
    Version,
    VersionedValue,
    hashed_namespace,
    private_namespace,
)
from tongban.node.runtime.access import AccessControl
from tongban.node.runtime.chaincodes import ChaincodeLookup
from tongban.node.runtime.endorser import Endorser, EndorserOptions
from tongban.node.runtime.syscc import build_system_chaincodes
from tongban.node.runtime.syscc.installer import Installer
from tongban.node.runtime.transaction_run import RunServices
from tongban.node.storage.layout import TxLocation
from tongban.node.storage.packages import PackageStore
from tongban.protos import (
    chaincode_pb2,
    common_pb2,
    lifecycle_pb2,
    proposal_pb2,
    queryresult_pb2,
)
from tongban.protos.digest import compute_tx_id, sha256
from tongban.protos.package_format import build_package
from tongban.protos.transientstore_pb2 import TxPvtReadWriteSetWithConfigInfo

NOW = datetime(2025, 6, 1, 12, 0, tzinfo=UTC)


class MemorySnapshot:
    """Implements ChannelSnapshot on a state that the test does not change meanwhile."""

    def __init__(self, state: MemoryState, height: int) -> None:
        self._state = state
        self.height = height
        self.is_closed = False
        self.past: dict[tuple[str, bytes], list[queryresult_pb2.KeyModification]] = {}

    def get(self, namespace: str, key: bytes) -> VersionedValue | None:
        assert not self.is_closed, "read after the snapshot was closed"
        return self._state.get(namespace, key)

    def scan(
        self, namespace: str, start: bytes, end: bytes
    ) -> Iterator[tuple[bytes, VersionedValue]]:
        assert not self.is_closed, "read after the snapshot was closed"
        return self._state.scan(namespace, start, end)

    def get_private(self, namespace: str, collection: str, key: bytes) -> VersionedValue | None:
        return self._state.get(private_namespace(namespace, collection), key)

    def scan_private(
        self, namespace: str, collection: str, start: bytes, end: bytes
    ) -> Iterator[tuple[bytes, VersionedValue]]:
        return self._state.scan(private_namespace(namespace, collection), start, end)

    def history(self, namespace: str, key: bytes) -> Iterator[queryresult_pb2.KeyModification]:
        return iter(self.past.get((namespace, key), []))

    def close(self) -> None:
        self.is_closed = True


class MemoryChannel:
    """Implements ChannelAccess."""

    def __init__(self, config: ChannelConfig) -> None:
        self.config = config
        self.channel_id = config.channel_id
        self.state = MemoryState()
        self.height = 0
        self.snapshots: list[MemorySnapshot] = []
        self.held: list[tuple[str, TxPvtReadWriteSetWithConfigInfo]] = []
        self.blocks: list[bytes] = []
        self.places: dict[str, TxLocation] = {}
        self.past: dict[tuple[str, bytes], list[queryresult_pb2.KeyModification]] = {}
        self.last_header_hash = b"\x11" * 32
        self.config_block_num = 0
        self.commit(UpdateBatch())

    def commit(self, updates: UpdateBatch) -> None:
        self.state.add_block(self.height, updates, (), (), ())
        block = common_pb2.Block(header=common_pb2.BlockHeader(number=self.height))
        self.blocks.append(block.SerializeToString())
        self.height += 1

    def put(self, namespace: str, values: Mapping[str, bytes]) -> None:
        """One more block with these values, in the order of a dictionary."""
        updates = UpdateBatch()
        for tx_num, (key, value) in enumerate(values.items()):
            version = Version(self.height, tx_num)
            updates.put(namespace, key.encode(), VersionedValue(value, version))
        self.commit(updates)

    def define(self, name: str, definition: ChaincodeDefinition, package_id: str) -> None:
        """One more block that commits a definition which every organization has approved."""
        writer = RecordWriter(self.state, self.height)
        state_layout.write_record(NAMESPACES, name, definition.to_record(), writer.public())
        key = approval_name(name, definition.sequence)
        package = definitions.local_package_record(package_id)
        for org in self.config.application_orgs.values():
            own = writer.collection(implicit_collection(org.mspid))
            state_layout.write_record(NAMESPACES, key, definition.parameters.to_record(), own)
            state_layout.write_record(CHAINCODE_SOURCES, key, package, own)
        self.commit(writer.updates)

    def snapshot(self) -> MemorySnapshot:
        snapshot = MemorySnapshot(self.state, self.height)
        snapshot.past = self.past
        self.snapshots.append(snapshot)
        return snapshot

    def has_tx(self, tx_id: str) -> bool:
        return tx_id in self.places

    def find_transaction(self, tx_id: str) -> TxLocation | None:
        return self.places.get(tx_id)

    def find_block_num(self, header_hash: bytes) -> int | None:
        return self.height - 1 if header_hash == self.last_header_hash else None

    def get_block(self, number: int) -> bytes:
        if number >= len(self.blocks):
            raise KeyError(number)
        return self.blocks[number]

    async def hold_private(self, tx_id: str, private: TxPvtReadWriteSetWithConfigInfo) -> None:
        self.held.append((tx_id, private))


class RecordWriter:
    """Writes lifecycle records into a block."""

    def __init__(self, state: StateReader, block_num: int) -> None:
        self._state = state
        self._version = Version(block_num, 0)
        self.updates = UpdateBatch()

    def public(self) -> "_Records":
        return _Records(self, LIFECYCLE_NAMESPACE, "")

    def collection(self, name: str) -> "_Records":
        return _Records(self, LIFECYCLE_NAMESPACE, name)

    def get(self, namespace: str, key: bytes) -> bytes | None:
        found = self._state.get(namespace, key)
        return None if found is None else found.value

    def put(self, namespace: str, key: bytes, value: bytes) -> None:
        self.updates.put(namespace, key, VersionedValue(value, self._version))


class _Records:
    def __init__(self, writer: RecordWriter, namespace: str, collection: str) -> None:
        self._writer = writer
        self._namespace = namespace
        self._collection = collection

    def get(self, key: str) -> bytes | None:
        namespace = self._namespace
        if self._collection:
            namespace = private_namespace(namespace, self._collection)
        return self._writer.get(namespace, key.encode())

    def put(self, key: str, value: bytes) -> None:
        namespace, plain = self._namespace, key.encode()
        if not self._collection:
            self._writer.put(namespace, plain, value)
            return
        self._writer.put(private_namespace(namespace, self._collection), plain, value)
        hashed = hashed_namespace(namespace, self._collection)
        self._writer.put(hashed, sha256(plain), sha256(value))

    def delete(self, key: str) -> None:
        raise AssertionError("definitions are only added in tests")


@dataclass
class MemoryChannels:
    """Implements PeerChannels."""

    channels: dict[str, MemoryChannel] = field(default_factory=dict)
    joined: list[str] = field(default_factory=list)

    def find(self, channel_id: str) -> MemoryChannel | None:
        return self.channels.get(channel_id)

    def channel_ids(self) -> list[str]:
        return sorted(self.channels)

    async def join(self, channel_id: str, genesis: bytes) -> None:
        self.joined.append(channel_id)


def a_package(label: str = "basic_1") -> bytes:
    metadata = {"label": label, "type": "tongban-python", "path": ""}
    return build_package(metadata, {"main.py": label.encode()})


def definition_args(name: str, **changes: Any) -> lifecycle_pb2.CommitChaincodeDefinitionArgs:
    """Version 1.0, sequence 1, the channel's default policy; ``changes`` are fields."""
    fields: dict[str, Any] = {"name": name, "version": "1.0", "sequence": 1, **changes}
    return lifecycle_pb2.CommitChaincodeDefinitionArgs(**fields)


def scope_of(config: ChannelConfig) -> DefinitionScope:
    return DefinitionScope(config.channel_id, lambda path: config.policies.find(path) is not None)


class EndorsingPeer:
    """A peer of Org1MSP on ``mychannel`` (and, if asked for, on others)."""

    def __init__(
        self,
        contracts: Mapping[str, Contract],
        directory: Path,
        *,
        options: EndorserOptions | None = None,
        other_channels: tuple[str, ...] = (),
    ) -> None:
        self.org1 = make_organization("Org1MSP", peers=1, users=1)
        self.org2 = make_organization("Org2MSP", peers=1, users=1)
        self.channels = MemoryChannels()
        for channel_id in ("mychannel", *other_channels):
            config = make_channel([self.org1, self.org2], channel_id=channel_id)
            self.channels.channels[channel_id] = MemoryChannel(config)
        self.channel = self.channels.channels["mychannel"]
        self.store = PackageStore(directory / "packages")
        self.host = InProcessHost({})
        self.access = AccessControl(self.channel.config.msps.msps["Org1MSP"])
        self.installer = Installer(self.store, self.channels, "Org1MSP")
        self.services = RunServices(
            channels=self.channels,
            access=self.access,
            chaincodes=ChaincodeLookup(self.store, "Org1MSP"),
            host=self.host,
            verifier=SignatureVerifier(),
            system=build_system_chaincodes(self.channels, self.access, self.installer),
        )
        options = options or EndorserOptions(now=lambda: NOW)
        self.endorser = Endorser(self.services, self.org1.peers[0].signer, options)
        self._nonce = 0
        for name, contract in contracts.items():
            self.deploy(name, contract)

    @property
    def user(self) -> Member:
        return self.org1.users[0]

    def deploy(self, name: str, contract: Contract, **changes: Any) -> str:
        """The chaincode is installed here and defined on every channel; returns its package id."""
        label = f"{name}_{changes.get('sequence', 1)}"
        package_id = self.store.save(label, a_package(label))
        self.host.contracts[package_id] = contract
        for channel in self.channels.channels.values():
            scope = scope_of(channel.config)
            definition = approvals.build_definition(scope, definition_args(name, **changes))
            channel.define(name, definition, package_id)
        return package_id

    def propose(
        self,
        chaincode: str,
        *args: str | bytes,
        member: Member | None = None,
        change: Callable[["ProposalParts"], None] | None = None,
        **parts: Any,
    ) -> proposal_pb2.SignedProposal:
        """A signed proposal. ``parts`` are fields of ProposalParts, ``change`` edits them last."""
        self._nonce += 1
        built = ProposalParts(
            member=member or self.user,
            chaincode=chaincode,
            args=[arg.encode() if isinstance(arg, str) else arg for arg in args],
            nonce=self._nonce.to_bytes(24, "big"),
            **parts,
        )
        if change is not None:
            change(built)
        return built.build()

    def snapshot_is_closed(self) -> bool:
        """Whether nothing holds on to a snapshot any more."""
        return all(
            snapshot.is_closed
            for channel in self.channels.channels.values()
            for snapshot in channel.snapshots
        )


@dataclass
class ProposalParts:
    """Everything in a proposal that a test may want to change. None leaves a part out."""

    member: Member
    chaincode: str
    args: list[bytes]
    nonce: bytes
    channel_id: str = "mychannel"
    transient: dict[str, bytes] = field(default_factory=dict)
    is_init: bool = False
    header_type: int = common_pb2.ENDORSER_TRANSACTION
    epoch: int = 0
    seconds: int = int(NOW.timestamp())
    creator: bytes | None = None
    tx_id: str | None = None
    extension: bytes | None = None
    input: bytes | None = None
    signature: bytes | None = None

    def build(self) -> proposal_pb2.SignedProposal:
        creator = self.member.identity if self.creator is None else self.creator
        channel_header = common_pb2.ChannelHeader(
            type=self.header_type,
            channel_id=self.channel_id,
            tx_id=compute_tx_id(self.nonce, creator) if self.tx_id is None else self.tx_id,
            epoch=self.epoch,
            extension=self._extension() if self.extension is None else self.extension,
        )
        channel_header.timestamp.seconds = self.seconds
        header = common_pb2.Header(
            channel_header=channel_header.SerializeToString(),
            signature_header=common_pb2.SignatureHeader(
                creator=creator, nonce=self.nonce
            ).SerializeToString(),
        )
        payload = proposal_pb2.ChaincodeProposalPayload(
            input=self._input() if self.input is None else self.input, TransientMap=self.transient
        )
        proposal = proposal_pb2.Proposal(
            header=header.SerializeToString(), payload=payload.SerializeToString()
        ).SerializeToString()
        signature = self.member.signer.sign(proposal) if self.signature is None else self.signature
        return proposal_pb2.SignedProposal(proposal_bytes=proposal, signature=signature)

    def _extension(self) -> bytes:
        name = chaincode_pb2.ChaincodeID(name=self.chaincode)
        return proposal_pb2.ChaincodeHeaderExtension(chaincode_id=name).SerializeToString()

    def _input(self) -> bytes:
        spec = chaincode_pb2.ChaincodeSpec(
            chaincode_id=chaincode_pb2.ChaincodeID(name=self.chaincode),
            input=chaincode_pb2.ChaincodeInput(args=self.args, is_init=self.is_init),
        )
        return chaincode_pb2.ChaincodeInvocationSpec(chaincode_spec=spec).SerializeToString()


def a_program(*operations: Mapping[str, Any]) -> tuple[str, str]:
    """Arguments for the program contract of ``tests.support.program``."""
    return "run", json.dumps({"ops": list(operations)})
