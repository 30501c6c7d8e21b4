"""A peer process: ``python -m tongban.node.peer --config FILE``.

It follows the channels it has joined, endorses, validates and commits, and serves applications and
other peers. Exit status: 0 stopped, 1 refused to start, 2 wrong command line, 70 stopped by a
fault.
"""

import argparse
import asyncio
import importlib.metadata
import logging
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tongban.node.core.channel import ChannelConfig, policy_for
from tongban.node.core.delivered_block import wrap_block, wrap_filtered, wrap_with_private_data
from tongban.node.core.gateway.answer import EndorserAnswer
from tongban.node.core.identity import Msp
from tongban.node.core.lifecycle.errors import LifecycleRefused
from tongban.node.core.lifecycle.package import ChaincodePackage
from tongban.node.core.lifecycle.state_layout import LIFECYCLE_NAMESPACE
from tongban.node.core.package import PYTHON_TYPE, PythonPackage, parse_python_package
from tongban.node.core.policy import Policy, SignatureVerifier, SignedBy
from tongban.node.core.proposal import Delivery, ProposalRefused
from tongban.node.core.received import ReceivedProposal
from tongban.node.runtime.access import AccessControl
from tongban.node.runtime.block_processor import ProcessedBlock
from tongban.node.runtime.block_source import BlockSource
from tongban.node.runtime.broadcast_client import OrdererLink, OrderingClient
from tongban.node.runtime.catch_up import CatchUp
from tongban.node.runtime.chaincodes import ChaincodeLookup
from tongban.node.runtime.channel import Channel
from tongban.node.runtime.channels import Channels
from tongban.node.runtime.collector import settle_collector
from tongban.node.runtime.config import PeerConfig, load_config, read_file
from tongban.node.runtime.deliver_client import BlockFollower, Following
from tongban.node.runtime.deliverer import DeliveredChannel, Deliverer, DeliverRules, Render
from tongban.node.runtime.dialing import Dialer
from tongban.node.runtime.endorser import Endorser, EndorserOptions
from tongban.node.runtime.gateway.gateway import Gateway
from tongban.node.runtime.gateway.ports import GatewaySeconds
from tongban.node.runtime.health import watch_disk
from tongban.node.runtime.log import LogSpec, start_log
from tongban.node.runtime.metrics import Metrics
from tongban.node.runtime.msp_dir import load_signer, read_msp_directory
from tongban.node.runtime.operations import Operations
from tongban.node.runtime.own_signatures import RememberingSigner
from tongban.node.runtime.pace import Pace
from tongban.node.runtime.peer_health import FenceHealth, describe_peers, watch_follower
from tongban.node.runtime.peer_network import OwnPeer, PeerNetwork
from tongban.node.runtime.presence import Presence, check_peer
from tongban.node.runtime.supervisor import Supervisor
from tongban.node.runtime.syscc import build_system_chaincodes
from tongban.node.runtime.syscc.installer import Installer
from tongban.node.runtime.transaction_run import RunServices
from tongban.node.runtime.workers.fences import make_undumpable
from tongban.node.runtime.workers.host import WorkerHost
from tongban.node.runtime.workers.settings import WorkerSettings
from tongban.node.services.deliver import DeliverService, register_peer
from tongban.node.services.endorser import EndorserService
from tongban.node.services.gateway import GatewayService
from tongban.node.services.gateway_stream import GatewayStreamService
from tongban.node.services.guard import CONCURRENCY_LIMITS
from tongban.node.services.peer_stream import PeerStreamService
from tongban.node.services.server import RpcServer, read_server_tls
from tongban.node.storage.packages import PackageStore
from tongban.protos.errors import TongbanError
from tongban.protos.proposal_response_pb2 import ProposalResponse
from tongban.protos.services.endorser_pb2_grpc import add_EndorserServicer_to_server
from tongban.protos.services.gateway_pb2_grpc import add_GatewayServicer_to_server

EXIT_REFUSED = 1
"""The node cannot start with what it was given."""

VERIFY_THREADS = 2
"""Threads that check the signatures of a block; the library lets go of the interpreter lock."""

VERDICT_SECONDS_MAX = 4.0
"""How long a stopping peer waits for blocks with what was submitted; longer than a batch waits. Who
asks for the verdict on anything else is told to ask again."""

_log = logging.getLogger("tongban.node.peer")


class Peer:
    """The parts of one peer, put together. Made and run on its event loop."""

    def __init__(self, config: PeerConfig, log_spec: LogSpec) -> None:
        self._config = config
        self._supervisor = Supervisor()
        self._tasks: list[asyncio.Task[None]] = []
        self._verifier = SignatureVerifier()
        self._pool = ThreadPoolExecutor(VERIFY_THREADS, "verify")
        self._signer = load_signer(config.msp.directory, config.msp.id)
        self._msp = Msp.from_config(read_msp_directory(config.msp.directory, config.msp.id))
        self._channels = Channels(config.data, config.msp.id, self._verifier, self._pool)
        self._dialer = Dialer(
            self._trusted_roots if config.tls else None, overrides=config.dial_overrides
        )
        self._packages = PackageStore(config.data / "packages")
        self._host = WorkerHost(self._find_package, _worker_settings(config))
        self._endorser = self._make_endorser()
        self._pace = Pace(self._count_open)
        self._network = self._make_network()
        limits = config.gateway
        seconds = GatewaySeconds(limits.endorse_seconds_max, limits.broadcast_seconds_max)
        self._gateway = Gateway(self._channels.get, self._network, seconds)
        tls = read_server_tls(config.tls) if config.tls else None
        self._server = RpcServer(config.listen, tls, self._supervisor, _concurrency(config))
        self._register()
        version = importlib.metadata.version("tongban")
        self._operations = Operations(self._measure(), log_spec, {"Version": version})
        self._fences = FenceHealth(self._host, _worker_settings(config))
        self._watch_health()

    async def run(self) -> int:
        """Serve until a signal or a fault, and return the exit code."""
        for path in self._config.channels:
            await asyncio.to_thread(self._channels.join_at_start, read_file(path))
        await asyncio.to_thread(self._channels.open_all)
        await self._fences.probe()
        self._channels.when_joined(self._follow)
        self._tasks.append(self._supervisor.start("announce", self._network.run()))
        self._supervisor.start("measure loop lag", self._metrics.measure_loop_lag())
        port = await self._server.start()
        operations = await self._operations.start(self._config.operations.listen)
        _log.info(
            "ready listen=%s:%d operations=%s channels=%s",
            self._config.listen.rpartition(":")[0],
            port,
            operations,
            ",".join(self._channels.channel_ids()) or "none",
        )
        settle_collector()
        code = await self._supervisor.run(self._drain)
        await self._operations.close()
        _log.info("stopped code=%d", code)
        return code

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        for channel in self._channels.all():
            channel.blocks.close()
            loop.call_later(VERDICT_SECONDS_MAX, channel.feed.close)
        await self._server.drain()
        await self._host.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._channels.close)
        self._pool.shutdown(wait=False)

    def _make_endorser(self) -> Endorser:
        config = self._config
        access = AccessControl(self._msp)
        installer = Installer(
            self._packages, self._channels, config.msp.id, check=self._check_package
        )
        services = RunServices(
            channels=self._channels,
            access=access,
            chaincodes=ChaincodeLookup(self._packages, config.msp.id),
            host=self._host,
            verifier=self._verifier,
            system=build_system_chaincodes(self._channels, access, installer),
        )
        identity = self._msp.deserialize(self._signer.creator)
        signer = RememberingSigner(self._signer, identity.id, self._verifier)
        options = EndorserOptions(concurrency_limit=config.endorser_calls_max)
        return Endorser(services, signer, options)

    def _make_network(self) -> PeerNetwork:
        def verify(channel_ids: Iterable[str], signed: SignedBy) -> None:
            check_peer(self._channels, self._verifier, channel_ids, signed)

        presence = Presence(self._channels, self._packages, self._config.msp.id)
        own = OwnPeer(
            self._config.external_endpoint,
            self._config.msp.id,
            self._signer,
            self._endorse_locally,
            presence.now,
            presence.height,
            self._evaluate_locally,
        )
        return PeerNetwork(own, self._dialer.connect, verify, self._pace)

    def _endorse_locally(self, received: ReceivedProposal) -> Awaitable[EndorserAnswer]:
        return _answer(self._endorser.process, received)

    def _evaluate_locally(self, received: ReceivedProposal) -> Awaitable[EndorserAnswer]:
        return _answer(self._endorser.evaluate, received)

    def _count_open(self) -> int:
        return self._unary.count_open

    def _find_blocks(self, channel_id: str) -> BlockSource | None:
        channel = self._channels.find(channel_id)
        return None if channel is None else channel.blocks

    def _find_package(self, package_id: str) -> PythonPackage:
        return parse_python_package(self._packages.load(package_id))

    async def _check_package(self, package: ChaincodePackage, content: bytes) -> None:
        """Only packages that this peer can run are installed.

        Raises:
            TongbanError: it cannot run this one; says why.
        """
        if package.type.lower() != PYTHON_TYPE:
            raise LifecycleRefused(
                f"packages of type '{package.type}' cannot be run here, expected '{PYTHON_TYPE}'"
            )
        await asyncio.to_thread(parse_python_package, content)

    def _trusted_roots(self) -> bytes:
        """TLS authorities of every organization on any channel, as the configurations say now."""
        roots = {
            root
            for channel in self._channels.all()
            for msp in channel.config.msps.msps.values()
            for root in (*msp.tls_roots, *msp.tls_intermediates)
        }
        return b"\n".join(sorted(roots))

    def _follow(self, channel: Channel) -> None:
        """Start what an open channel needs."""

        def start_link(link: OrdererLink) -> None:
            self._supervisor.start(f"orderer {link.address}", link.run())

        route = OrderingClient(
            lambda: channel.config.orderer_addresses,
            self._dialer.connect,
            start_link,
            self._pace,
        )
        channel.use_orderers(route)
        channel.when_committed(self._on_committed)
        following = Following(
            channel_id=channel.channel_id,
            signer=self._signer,
            addresses=lambda: channel.config.orderer_addresses,
            connect=self._dialer.connect,
            height=lambda: channel.height,
            on_block=channel.commit_block,
        )
        self._delivered[channel.channel_id] = DeliveredChannel(channel.blocks, channel.verifier)
        follower = BlockFollower(following)
        watch_follower(self._operations, channel.channel_id, follower)
        self._tasks.append(self._supervisor.start(f"follow {channel.channel_id}", follower.run()))
        self._network.seed(channel.channel_id, _anchors(channel.config))
        self._network.changed()

    def _on_committed(self, processed: ProcessedBlock) -> None:
        if LIFECYCLE_NAMESPACE in processed.commit.updates.values:
            self._network.changed()
        if processed.commit.config is not None:
            config = processed.verdict.channel
            self._network.seed(config.channel_id, _anchors(config))

    def _register(self) -> None:
        self._delivered: dict[str, DeliveredChannel] = {}
        server, draining = self._server.server, self._server.draining
        add_EndorserServicer_to_server(EndorserService(self._endorser), server)
        self._unary = GatewayService(self._gateway)
        add_GatewayServicer_to_server(self._unary, server)
        limits = self._config.gateway
        GatewayStreamService(
            self._gateway,
            draining,
            self._supervisor,
            limits.stream_window,
            limits.stream_calls_max,
        ).register(server)
        PeerStreamService(
            self._endorse_locally,
            self._network,
            CatchUp(self._find_blocks),
            draining,
            self._supervisor,
        ).register(server)
        register_peer(
            server,
            self._deliver(
                "event/Block", lambda _channel, _number, block, _reader: wrap_block(block)
            ),
            self._deliver(
                "event/FilteredBlock",
                lambda channel_id, _number, block, _reader: wrap_filtered(channel_id, block),
            ),
            self._deliver(
                "event/Block",
                lambda _channel, _number, block, _reader: wrap_with_private_data(block, {}),
            ),
        )

    def _deliver(self, resource: str, render: Render) -> DeliverService:
        def readers(config: ChannelConfig) -> Policy:
            return policy_for(config, resource)

        deliverer = Deliverer(self._delivered, DeliverRules(readers, render))
        bind = self._server.requires_client_certificates
        return DeliverService(deliverer, bind_to_certificate=bind)

    def _watch_health(self) -> None:
        watch_disk(self._operations, self._config.data)
        describe_peers(self._operations, self._network)
        self._fences.watch(self._operations)

    def _measure(self) -> Metrics:
        metrics = self._metrics = Metrics()
        metrics.watch(
            "block_height",
            "Number of committed blocks",
            "channel",
            lambda: {channel.channel_id: channel.height for channel in self._channels.all()},
        )
        metrics.watch(
            "endorsements_in_work",
            "Proposals being processed",
            "service",
            lambda: {"endorser": self._endorser.in_work},
        )
        return metrics


async def _answer(
    process: Callable[[ReceivedProposal], Awaitable[ProposalResponse]], received: ReceivedProposal
) -> EndorserAnswer:
    try:
        return EndorserAnswer(await process(received))
    except ProposalRefused as refused:
        response = None
        if refused.delivery is Delivery.ERROR_AND_RESPONSE:
            response = refused.to_response()
        return EndorserAnswer(response, str(refused))
    except TongbanError as error:
        return EndorserAnswer(error=str(error))


def _anchors(config: ChannelConfig) -> dict[str, str]:
    """MSP ids of the channel's anchor peers by endpoint."""
    return {
        str(anchor): org.mspid
        for org in config.application_orgs.values()
        for anchor in org.anchor_peers
    }


def _concurrency(config: PeerConfig) -> dict[str, int]:
    return {
        **CONCURRENCY_LIMITS,
        "/protos.Endorser": config.endorser_calls_max,
        "/protos.Deliver": config.deliver_calls_max,
        "/gateway.Gateway": config.gateway.calls_max,
    }


def _worker_settings(config: PeerConfig) -> WorkerSettings:
    contracts = config.contracts
    return WorkerSettings(
        execute_timeout_s=contracts.execute_seconds_max,
        memory_bytes_max=contracts.memory_mib_max * 1024 * 1024,
        open_files_max=contracts.open_files_max,
        sandbox=contracts.sandbox,
    )


async def serve(config: PeerConfig, log_spec: LogSpec) -> int:
    """Run the peer of this configuration and return the exit code."""
    return await Peer(config, log_spec).run()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="tongban.node.peer", description="Run a peer.")
    parser.add_argument("--config", type=Path, required=True, help="the node's YAML file")
    options = parser.parse_args(arguments)
    make_undumpable()
    try:
        config = load_config(PeerConfig, options.config)
        log_spec = start_log(config.logging.spec, config.logging.form)
        return asyncio.run(serve(config, log_spec))
    except TongbanError as error:
        print(f"the peer cannot start: {error}", file=sys.stderr)
        return EXIT_REFUSED


if __name__ == "__main__":
    sys.exit(main())
