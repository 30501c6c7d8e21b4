"""An orderer process: ``python -m tongban.node.orderer --config FILE``.

It joins the channels whose genesis blocks the file names, orders what the writers of its channels
send, and delivers blocks to their readers. Exit status: 0 stopped, 1 refused to start, 2 wrong
command line, 70 stopped by a fault.
"""

import argparse
import asyncio
import importlib.metadata
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tongban.node.core.channel import ChannelConfig
from tongban.node.core.delivered_block import wrap_block
from tongban.node.core.policy import Policy
from tongban.node.ordering.channel import OrdererChannel, join, open_log
from tongban.node.runtime.broadcaster import Broadcaster, OrderedChannel
from tongban.node.runtime.collector import settle_collector
from tongban.node.runtime.config import OrdererConfig, load_config, read_file
from tongban.node.runtime.deliverer import DeliveredChannel, Deliverer, DeliverRules
from tongban.node.runtime.health import watch_disk
from tongban.node.runtime.log import LogSpec, start_log
from tongban.node.runtime.metrics import Metrics
from tongban.node.runtime.msp_dir import load_signer
from tongban.node.runtime.operations import Operations
from tongban.node.runtime.supervisor import Supervisor
from tongban.node.services.broadcast import BroadcastService
from tongban.node.services.deliver import DeliverService, register_orderer
from tongban.node.services.orderer_stream import OrdererStreamService
from tongban.node.services.server import RpcServer, read_server_tls
from tongban.node.storage.files import Files, RealFiles
from tongban.protos.codec import parse
from tongban.protos.common_pb2 import Block
from tongban.protos.errors import TongbanError
from tongban.protos.signing import Signer

EXIT_REFUSED = 1
"""The node cannot start with what it was given."""

READERS = "/Channel/Readers"

_log = logging.getLogger("tongban.node.orderer")


class Orderer:
    """The parts of one orderer, put together. Made and run on its event loop."""

    def __init__(self, config: OrdererConfig, log_spec: LogSpec, files: Files) -> None:
        self._config = config
        self._supervisor = Supervisor()
        signer = load_signer(config.msp.directory, config.msp.id)
        self._channels = {
            channel.channel_id: channel for channel in open_channels(config, signer, files)
        }
        self._metrics = self._measure()
        tls = read_server_tls(config.tls) if config.tls else None
        self._server = RpcServer(config.listen, tls, self._supervisor)
        self._register()
        version = importlib.metadata.version("tongban")
        self._operations = Operations(self._metrics, log_spec, {"Version": version})
        watch_disk(self._operations, config.data)

    async def run(self) -> int:
        """Serve until a signal or a fault, and return the exit code."""
        supervisor = self._supervisor
        for channel in self._channels.values():
            supervisor.start(f"order {channel.channel_id}", channel.queue.run())
        supervisor.start("measure loop lag", self._metrics.measure_loop_lag())
        port = await self._server.start()
        operations = await self._operations.start(self._config.operations.listen)
        _log.info(
            "ready listen=%s:%d operations=%s channels=%s",
            self._config.listen.rpartition(":")[0],
            port,
            operations,
            ",".join(self._channels) or "none",
        )
        settle_collector()
        code = await supervisor.run(self._drain)
        await self._operations.close()
        _log.info("stopped code=%d", code)
        return code

    async def _drain(self) -> None:
        """Everything taken is ordered and answered, readers are told, and the disk is let go."""
        for channel in self._channels.values():
            await channel.queue.drain()
            channel.blocks.close()
        await self._server.drain()
        for channel in self._channels.values():
            await channel.close()

    def _measure(self) -> Metrics:
        metrics = Metrics()
        self._refusals = metrics.counter(
            "refused_requests", "Envelopes and deliver requests refused", ("status",)
        )
        metrics.watch(
            "block_height",
            "Number of blocks",
            "channel",
            lambda: {name: channel.blocks.height for name, channel in self._channels.items()},
        )
        metrics.watch(
            "waiting_envelopes",
            "Envelopes that wait to be ordered",
            "channel",
            lambda: {name: channel.queue.waiting_count for name, channel in self._channels.items()},
        )
        return metrics

    def _register(self) -> None:
        server = self._server
        broadcaster = Broadcaster(
            {name: _ordered(channel) for name, channel in self._channels.items()},
            on_refusal=lambda refused: self._refusals.labels(refused.status).inc(),
        )
        deliverer = Deliverer(
            {
                name: DeliveredChannel(channel.blocks, channel.verifier)
                for name, channel in self._channels.items()
            },
            DeliverRules(_readers, lambda channel_id, number, block, reader: wrap_block(block)),
            on_refusal=lambda refused: self._refusals.labels(refused.status).inc(),
        )
        register_orderer(
            server.server,
            BroadcastService(broadcaster, server.draining),
            DeliverService(deliverer, bind_to_certificate=server.requires_client_certificates),
        )
        OrdererStreamService(broadcaster, server.draining).register(server.server)


def open_channels(config: OrdererConfig, signer: Signer, files: Files) -> Iterator[OrdererChannel]:
    """Every channel that was joined before or is named now.

    Raises:
        InvalidConfig: a genesis block is not usable, or not the one that was joined with.
    """
    directory = config.data / "channels"
    files.make_dirs(directory)
    files.sync_dir(config.data)
    genesis = {}
    for path in config.channels:
        block = read_file(path)
        genesis[ChannelConfig.from_genesis(parse(Block, block)).channel_id] = block
    for channel_id in sorted({*files.list(directory), *genesis}):
        log = open_log(files, directory / channel_id)
        if channel_id in genesis:
            join(log, genesis[channel_id])
        if log.height == 0:
            log.close()  # joining was cut short before the genesis block was on disk
            continue
        yield OrdererChannel(log, signer, config.block_pace_ms)


def _ordered(channel: OrdererChannel) -> OrderedChannel:
    return OrderedChannel(lambda: channel.admission, channel.queue)


def _readers(config: ChannelConfig) -> Policy:
    return config.policies.get(READERS)


async def serve(config: OrdererConfig, log_spec: LogSpec) -> int:
    """Run the orderer of this configuration and return the exit code."""
    return await Orderer(config, log_spec, RealFiles()).run()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="tongban.node.orderer", description="Run an orderer.")
    parser.add_argument("--config", type=Path, required=True, help="the node's YAML file")
    options = parser.parse_args(arguments)
    try:
        config = load_config(OrdererConfig, options.config)
        log_spec = start_log(config.logging.spec, config.logging.form)
        return asyncio.run(serve(config, log_spec))
    except TongbanError as error:
        print(f"the orderer cannot start: {error}", file=sys.stderr)
        return EXIT_REFUSED


if __name__ == "__main__":
    sys.exit(main())
