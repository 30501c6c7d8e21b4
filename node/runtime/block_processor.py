"""From a block's bytes to what the ledger stores: the one way for new blocks and for recovery.

The configuration in force and everything derived from it travel from block to block.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from itertools import chain
from typing import NamedTuple

from tongban.node.core.block import ParsedBlock, parse_block
from tongban.node.core.channel import ChannelConfig
from tongban.node.core.commit_input import CommitInput, PrivateSet
from tongban.node.core.policy import SignatureCheck, SignatureVerifier
from tongban.node.core.validation.block_signatures import verify_block
from tongban.node.core.validation.block_validator import BlockValidator
from tongban.node.core.validation.endorsement_policies import EndorsementPolicies
from tongban.node.core.validation.genesis import accept_genesis
from tongban.node.core.validation.verdict import BlockVerdict, build_commit_input
from tongban.node.storage.snapshot import StateSnapshot
from tongban.protos.codec import parse
from tongban.protos.configtx_pb2 import ConfigEnvelope

PORTIONS_MAX = 2
"""Threads among which the signatures of a block are divided."""

CHECKS_PER_CALL_MIN = 16
"""Checks that one thread does at least: about a millisecond, so hand-overs do not count."""

SLICE_SECONDS = 0.002
"""How long validation keeps the event loop before it yields."""

FindPrivate = Callable[[BlockVerdict], Sequence[PrivateSet]]
"""The private values that this peer holds for the transactions of a block."""


class ProcessedBlock(NamedTuple):
    """A judged block, not yet stored."""

    block: ParsedBlock
    verdict: BlockVerdict
    commit: CommitInput


class BlockProcessor:
    """Judges the blocks of one channel in order."""

    def __init__(
        self,
        channel_id: str,
        verifier: SignatureVerifier,
        pool: Executor | None,
        find_private: FindPrivate,
    ) -> None:
        """``pool`` checks signatures on threads; None checks them where they are asked for."""
        self._channel_id = channel_id
        self._verifier = verifier
        self._pool = pool
        self._find_private = find_private
        self._config: ChannelConfig | None = None
        self._policies: EndorsementPolicies | None = None

    @property
    def config(self) -> ChannelConfig:
        """The configuration in force."""
        assert self._config is not None, "no block was seen yet"
        return self._config

    def start_from(self, envelope: bytes) -> None:
        """Go on from a ledger whose configuration is this serialized ConfigEnvelope."""
        message = parse(ConfigEnvelope, envelope)
        self._adopt(ChannelConfig.from_envelope(message, self._channel_id))

    def revalidate(self, number: int, raw: bytes, before: StateSnapshot) -> CommitInput:
        """For recovery: judge a stored block again, without its orderer's signature, which was
        checked before it was stored."""
        block = parse_block(raw)
        if number == 0:
            return self._genesis(raw, block).commit
        if self._config is None:
            envelope = before.config_envelope()
            assert envelope is not None, "a ledger above height 0 has a configuration"
            self.start_from(envelope)
        validator = self._validator(block, before)
        return self._finish(block, validator.finish(), before).commit

    def genesis(self, raw: bytes) -> ProcessedBlock:
        """Block 0, which starts the channel.

        Raises:
            InvalidConfig: it is not a config block that a node can run on.
        """
        return self._genesis(raw, parse_block(raw))

    async def process(
        self, raw: bytes, number: int, previous_hash: bytes, before: StateSnapshot
    ) -> ProcessedBlock:
        """Judge the next block from an orderer. Yields to other tasks between slices.

        Raises:
            BlockRefused: it is not the next block, or not signed as the channel demands.
            MalformedMessage: it is not a block.
        """
        block = parse_block(raw)
        verify_block(block, previous_hash, number, self.config, self._verifier)
        validator = self._validator(block, before)
        if self._pool is not None and len(block.transactions) > 1:
            checks = validator.signature_checks()
            validator.take_results(await self._verify(checks, self._pool))
        started = time.perf_counter()
        while validator.step():
            if time.perf_counter() - started > SLICE_SECONDS:
                await asyncio.sleep(0)
                started = time.perf_counter()
        return self._finish(block, validator.finish(), before)

    async def _verify(self, checks: Sequence[SignatureCheck], pool: Executor) -> list[bool]:
        """Whether the signatures hold, checked on as many threads as are worth waking."""
        loop = asyncio.get_running_loop()
        size = max(CHECKS_PER_CALL_MIN, -(-len(checks) // PORTIONS_MAX))
        portions = [checks[at : at + size] for at in range(0, len(checks), size)]
        results = await asyncio.gather(
            *(loop.run_in_executor(pool, self._verifier.verify_many, part) for part in portions)
        )
        return list(chain.from_iterable(results))

    def _validator(self, block: ParsedBlock, before: StateSnapshot) -> BlockValidator:
        return BlockValidator(
            block,
            self.config,
            before,
            before,
            self._verifier,
            policies=self._policies,
            expiry_schedule=before,
        )

    def _genesis(self, raw: bytes, block: ParsedBlock) -> ProcessedBlock:
        verdict = accept_genesis(block)
        self._adopt(verdict.channel)
        return ProcessedBlock(block, verdict, build_commit_input(block, verdict, b""))

    def _finish(
        self, block: ParsedBlock, verdict: BlockVerdict, before: StateSnapshot
    ) -> ProcessedBlock:
        savepoint = before.savepoint()
        previous = savepoint.commit_hash if savepoint else b""
        private = self._find_private(verdict)
        commit = build_commit_input(block, verdict, previous, private)
        if verdict.channel is not self._config:
            self._adopt(verdict.channel)
        return ProcessedBlock(block, verdict, commit)

    def _adopt(self, config: ChannelConfig) -> None:
        config.check_supported()
        self._config = config
        self._policies = EndorsementPolicies(config)
