"""Any process of a network is killed at any moment, again and again, while clients work.

Killed are orderer, peers and contract workers, with SIGKILL. The seed decides who and when; how far
everybody had come is up to the machine.
"""

import asyncio
import contextlib
import os
import random
import signal
from pathlib import Path

import pytest

from tests.support.ledgers import LedgerContents, read_ledger, verify_ledger
from tests.support.load import (
    CHANNEL,
    CONTRACT,
    SOURCE,
    Told,
    connect,
    counter_of,
    keep_adding,
    keep_putting,
)
from tests.support.networks import RunningNetwork, running, two_organizations_three_peers
from tests.support.processes import descendants
from tongban.network.readiness import wait_until_healthy
from tongban.protos.transaction_pb2 import TxValidationCode
from tongban.sdk.aio import Gateway

SEED = 20_260_701
KILLS = 100
KILLS_AT_ONCE_MAX = 5
PAUSE_SECONDS_MAX = 1.0
PROGRESS_SECONDS_MAX = 60.0
"""From one round of kills until a transaction commits again."""

SETTLE_SECONDS_MAX = 60.0
BOTH = "AND('Org1MSP.peer','Org2MSP.peer')"


class Killer:
    """Ends processes without warning."""

    def __init__(self, network: RunningNetwork, chance: random.Random) -> None:
        self._network = network
        self._chance = chance
        self.killed: dict[str, int] = {"orderer": 0, "peer": 0, "worker": 0}

    @property
    def count(self) -> int:
        return sum(self.killed.values())

    def pause_seconds(self) -> float:
        """How much later than a success the next round is."""
        return self._chance.uniform(0, PAUSE_SECONDS_MAX)

    def kill_some(self) -> None:
        """Between one and KILLS_AT_ONCE_MAX kills; nodes that are down are left alone."""
        running_now = [node for node in self._network.control.status() if node.pid is not None]
        targets: list[tuple[str, int]] = []
        for node in running_now:
            assert node.pid is not None
            kind = "orderer" if node.name.startswith("orderer") else "peer"
            targets.append((kind, node.pid))
            targets.extend(("worker", pid) for pid in descendants(node.pid))
        self._chance.shuffle(targets)
        for kind, pid in targets[: self._chance.randint(1, KILLS_AT_ONCE_MAX)]:
            if kind != "worker":
                name = next(node.name for node in running_now if node.pid == pid)
                self._network.control.kill(name)
            else:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue  # its node was killed a moment ago
            self.killed[kind] += 1


async def run_load_and_kill(network: RunningNetwork, told: Told, killer: Killer) -> None:
    """Kill until KILLS, never again before somebody has made progress; then let all come to an end
    and make sure that the network works."""
    first, second = network.topology.organizations
    async with contextlib.AsyncExitStack() as stack:
        gateways: list[Gateway] = [
            await stack.enter_async_context(connect(network, first, first.peers[0])),
            await stack.enter_async_context(connect(network, second, second.peers[0])),
            await stack.enter_async_context(connect(network, first, first.peers[1], stream=False)),
        ]
        load = [
            asyncio.create_task(work)
            for index, gateway in enumerate(gateways)
            for work in (
                keep_adding(counter_of(gateway), f"account-{index}-a", told),
                keep_adding(counter_of(gateway), f"account-{index}-b", told),
                keep_putting(counter_of(gateway), f"key-{index}", told),
            )
        ]
        try:
            while killer.count < KILLS:
                await _progress(told, load)
                await asyncio.sleep(killer.pause_seconds())
                await asyncio.to_thread(killer.kill_some)
            await _progress(told, load)
        finally:
            for task in load:
                task.cancel()
            await asyncio.gather(*load, return_exceptions=True)


async def _progress(told: Told, load: list[asyncio.Task[None]]) -> None:
    """Return when a transaction has become valid from now on."""
    told.progress.clear()
    progress: asyncio.Task[object] = asyncio.create_task(told.progress.wait())
    done, _ = await asyncio.wait(
        [progress, *load], timeout=PROGRESS_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED
    )
    progress.cancel()
    for task in done:
        task.result()
    if progress not in done:
        raise AssertionError(f"nothing committed for {PROGRESS_SECONDS_MAX} s: {told.refusals}")


async def commit_one_everywhere(network: RunningNetwork, told: Told) -> None:
    """One more transaction: it reaches everybody who is still behind."""
    told.progress = asyncio.Event()  # of this event loop
    first = network.topology.organizations[0]
    async with (
        asyncio.timeout(SETTLE_SECONDS_MAX),
        connect(network, first, first.peers[0]) as gateway,
    ):
        work = asyncio.create_task(keep_putting(counter_of(gateway), "last", told, in_flight=1))
        await _progress(told, [work])
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def check_what_was_told(told: Told, contents: LedgerContents) -> None:
    for tx_id, code in told.codes.items():
        assert contents.first_code(tx_id) == code, f"{tx_id} was told {code}"
    for tx_id in told.unordered:
        assert not contents.has(tx_id), f"{tx_id} failed before it was ordered"
    for tx_id, codes in contents.codes.items():
        assert codes.count(TxValidationCode.VALID) <= 1, f"{tx_id} committed twice"
    for account, sums in told.sums.items():
        assert sums == sorted(set(sums)), f"{account} was told the same sum twice"
        added = contents.written[account]
        assert [int(value) for value in added] == list(range(1, len(added) + 1))
        assert set(sums) <= set(range(1, len(added) + 1))


@pytest.mark.slow
def test_kills_at_any_moment_lose_nothing_and_commit_nothing_twice(tmp_path: Path) -> None:
    told, chance = Told(), random.Random(SEED)
    with running(two_organizations_three_peers(), tmp_path) as network:
        network.deploy(CHANNEL, SOURCE, BOTH)
        killer = Killer(network, chance)
        asyncio.run(run_load_and_kill(network, told, killer))
        wait_until_healthy(network.topology, network.control)
        asyncio.run(commit_one_everywhere(network, told))
        network.wait_for_equal_heights(CHANNEL)
    print(killer.killed, f"valid={told.valid_count} unknown={len(told.unknown)}", told.refusals)
    ledgers = [network.ledger_directory(name, CHANNEL) for name in network.peer_names()]
    contents = [read_ledger(directory, CONTRACT, list(told.sums)) for directory in ledgers]
    assert len({(found.height, found.commit_hash) for found in contents}) == 1
    check_what_was_told(told, contents[0])
    for directory in ledgers:
        report = verify_ledger(directory)
        assert report.is_sound, report
    assert killer.count >= KILLS
    assert min(killer.killed.values()) > 0
