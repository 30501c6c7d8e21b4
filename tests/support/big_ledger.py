"""A long history for the nodes of a network that is down, made without asking them.

Blocks are signed by the network's own orderer and peers, and every one goes through validation and
the ledger's commit, as it does in a running peer.
"""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.networks import RunningNetwork
from tongban.node.core.block_build import build_block, read_chain_end
from tongban.node.core.policy import SignatureVerifier
from tongban.node.ordering.channel import open_log
from tongban.node.ordering.engine import BlockLog
from tongban.node.runtime.block_processor import BlockProcessor
from tongban.node.runtime.msp_dir import load_signer
from tongban.node.storage.files import RealFiles
from tongban.node.storage.ledger import Ledger
from tongban.protos.chaincode_pb2 import ChaincodeID
from tongban.protos.common_pb2 import Block, Envelope, Header, Payload
from tongban.protos.digest import compute_proposal_hash
from tongban.protos.kvrwset_pb2 import KVRWSet, KVWrite
from tongban.protos.proposal_pb2 import ChaincodeAction, ChaincodeProposalPayload
from tongban.protos.proposal_response_pb2 import (
    Endorsement,
    ProposalResponsePayload,
    Response,
)
from tongban.protos.rwset_pb2 import NsReadWriteSet, TxReadWriteSet
from tongban.protos.signing import Signer
from tongban.protos.transaction_pb2 import (
    ChaincodeActionPayload,
    ChaincodeEndorsedAction,
    Transaction,
    TransactionAction,
)
from tongban.sdk.core.proposal import Invocation, Moment, ProposalBuilder

KEYS_PER_TRANSACTION = 10
REWRITTEN_EVERY = 100
"""Every so many keys, a key of its own is written again, and has a long history."""

VALUE_BYTES = 100


def key_of(number: int) -> str:
    return f"key-{number:07d}"


@dataclass(frozen=True)
class History:
    """What to make: so many keys in so many blocks."""

    channel_id: str
    chaincode: str
    keys: int
    blocks: int

    def transactions(self) -> list[list[list[int]]]:
        """Of each block, of each transaction: the numbers of its keys."""
        each = -(-self.keys // self.blocks)
        numbers = range(self.keys)
        return [
            [
                list(numbers[start : min(start + KEYS_PER_TRANSACTION, first + each)])
                for start in range(first, min(first + each, self.keys), KEYS_PER_TRANSACTION)
            ]
            for first in range(0, self.keys, each)
        ]


class Historian:
    """Writes a history into the directories of all nodes."""

    def __init__(self, network: RunningNetwork, history: History) -> None:
        self._history = history
        topology, layout = network.topology, network.layout
        self._user = network.connections.identity(topology.organizations[0], "User1")
        self._endorsers: list[Signer] = [
            load_signer(layout.tree_of(org).node(org.peers[0].name) / "msp", org.msp_id)
            for org in topology.organizations
        ]
        tree = layout.tree_of_orderer(topology.orderer)
        node = topology.orderer.nodes[0].name
        self._orderer = load_signer(tree.node(node) / "msp", topology.orderer.msp_id)
        name = f"{node}.{topology.orderer.domain}"
        self._orderer_directory = layout.node(name) / "data" / "channels" / history.channel_id
        self._ledgers = [
            network.ledger_directory(name, history.channel_id) for name in network.peer_names()
        ]
        self._builder = ProposalBuilder(history.channel_id, history.chaincode, self._user.creator)
        self._serial = 0

    def write(self, on_block: Callable[[int], None] = lambda number: None) -> None:
        """The nodes must be down, and all at the same height."""
        first, *others = self._ledgers
        log = open_log(RealFiles(), self._orderer_directory)
        try:
            asyncio.run(self._write(log, first, on_block))
        finally:
            log.close()
        for other in others:
            shutil.rmtree(other)
            shutil.copytree(first, other)

    async def _write(self, log: BlockLog, path: Path, on_block: Callable[[int], None]) -> None:
        channel_id = self._history.channel_id
        processor = BlockProcessor(channel_id, SignatureVerifier(), None, lambda verdict: ())
        ledger = Ledger.open(path, processor.revalidate)
        try:
            envelope = ledger.config_envelope()
            assert envelope is not None
            processor.start_from(envelope)
            assert ledger.height == log.height, "the nodes were stopped at different heights"
            for numbers in self._history.transactions():
                await self._one_block(log, ledger, processor, numbers)
                on_block(ledger.height)
        finally:
            ledger.close()

    async def _one_block(
        self,
        log: BlockLog,
        ledger: Ledger,
        processor: BlockProcessor,
        numbers: Sequence[Sequence[int]],
    ) -> None:
        end = read_chain_end(Block.FromString(log.get_block(log.height - 1)))
        envelopes = [self._envelope(keys) for keys in numbers]
        nonce = end.height.to_bytes(24, "big")
        raw = build_block(end, envelopes, self._orderer, nonce, end.height).SerializeToString()
        log.append(end.height, raw)
        with ledger.snapshot() as before:
            processed = await processor.process(raw, end.height, end.header_hash, before)
        assert set(processed.commit.flags) == {0}, processed.commit.flags
        ledger.commit(processed.commit)

    def _envelope(self, numbers: Sequence[int]) -> bytes:
        self._serial += 1
        invocation = Invocation("", "", (b"Put",))
        nonce = self._serial.to_bytes(24, "big")
        facts, _ = self._builder.build(invocation, Moment(nonce, self._serial * 1_000_000))
        header = Header(
            channel_header=facts.channel_header, signature_header=facts.signature_header
        )
        call = ChaincodeProposalPayload(input=facts.call).SerializeToString()
        result = ProposalResponsePayload(
            proposal_hash=compute_proposal_hash(
                header.channel_header, header.signature_header, call
            ),
            extension=self._action(numbers).SerializeToString(),
        ).SerializeToString()
        endorsements = [
            Endorsement(endorser=one.creator, signature=one.sign(result + one.creator))
            for one in self._endorsers
        ]
        endorsed = ChaincodeEndorsedAction(
            proposal_response_payload=result, endorsements=endorsements
        )
        action = ChaincodeActionPayload(chaincode_proposal_payload=call, action=endorsed)
        transaction = Transaction(
            actions=[
                TransactionAction(
                    header=header.signature_header, payload=action.SerializeToString()
                )
            ]
        )
        payload = Payload(header=header, data=transaction.SerializeToString()).SerializeToString()
        return Envelope(payload=payload, signature=self._user.sign(payload)).SerializeToString()

    def _action(self, numbers: Sequence[int]) -> ChaincodeAction:
        keys = [key_of(number) for number in numbers]
        if any(number % REWRITTEN_EVERY == 0 for number in numbers):
            keys.append("rewritten")
        value = str(self._serial).zfill(VALUE_BYTES).encode()
        writes = KVRWSet(writes=[KVWrite(key=key, value=value) for key in keys])
        namespace = NsReadWriteSet(
            namespace=self._history.chaincode, rwset=writes.SerializeToString()
        )
        results = TxReadWriteSet(ns_rwset=[namespace]).SerializeToString()
        chaincode = ChaincodeID(name=self._history.chaincode, version="1.0")
        return ChaincodeAction(
            results=results, response=Response(status=200), chaincode_id=chaincode
        )
