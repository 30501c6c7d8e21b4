"""A node's page of health names what the node survives and cannot repair."""

import asyncio
import json
import os
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.support.ordering import small_network
from tongban.node.runtime import health, peer_health
from tongban.node.runtime.backoff import Backoff
from tongban.node.runtime.deliver_client import BlockFollower, Following
from tongban.node.runtime.health import watch_disk
from tongban.node.runtime.log import LogSpec
from tongban.node.runtime.metrics import Metrics
from tongban.node.runtime.operations import Operations
from tongban.node.runtime.peer_health import FenceHealth, watch_follower
from tongban.node.runtime.workers.fences import FENCES, HELD
from tongban.node.runtime.workers.host import WorkerHost
from tongban.node.runtime.workers.settings import WorkerSettings
from tongban.protos.errors import TongbanError


def operations() -> Operations:
    return Operations(Metrics(), LogSpec(), {})


def page(subject: Operations) -> tuple[HTTPStatus, dict[str, Any]]:
    reply = asyncio.run(subject.answer("GET", "/healthz", b""))
    return reply.status, json.loads(reply.body)


def test_a_disk_with_room_is_healthy_and_its_room_is_told(tmp_path: Path) -> None:
    subject = operations()
    watch_disk(subject, tmp_path)
    status, found = page(subject)
    assert status == HTTPStatus.OK
    assert found["components"]["disk"].endswith("MiB free")


def test_a_disk_without_room_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = operations()
    watch_disk(subject, tmp_path)
    monkeypatch.setattr(health, "DISK_BYTES_MIN", 1 << 62)
    status, found = page(subject)
    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    (failed,) = found["failed_checks"]
    assert failed["component"] == "disk"
    assert str(tmp_path) in failed["reason"]


def unreachable(address: str) -> grpc.aio.Channel:
    raise TongbanError(f"nothing listens on {address}")


def follower() -> BlockFollower:
    async def take(block: bytes) -> None:
        raise AssertionError("no block comes")

    signer = small_network().orderer.signer
    following = Following("mychannel", signer, lambda: ["orderer:7050"], unreachable, int, take)
    return BlockFollower(following, Backoff())


def test_a_peer_without_an_orderer_is_unhealthy_only_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject, lost = operations(), follower()
    watch_follower(subject, "mychannel", lost)

    async def try_once() -> None:
        task = asyncio.create_task(lost.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(try_once())
    status, found = page(subject)
    assert status == HTTPStatus.OK
    assert "nothing listens on orderer:7050" in found["components"]["orderer of mychannel"]
    monkeypatch.setattr(peer_health, "ORDERER_SECONDS_MAX", -1.0)
    status, found = page(subject)
    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "nothing listens on orderer:7050" in found["failed_checks"][0]["reason"]


def test_a_stream_that_an_orderer_ends_at_once_does_not_count_as_following(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    subject = follower()
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    subject._lost_at = 90.0
    subject._opened_at = 99.9
    assert subject.trouble() is not None, "open for a tenth of a second"
    subject._close()
    assert subject._lost_at == 90.0, "the time without an orderer goes on"
    subject._opened_at = 98.0
    assert subject.trouble() is None
    subject._close()
    assert subject.trouble() == (0.0, "no orderer has been reached yet")


def fences(sandbox: Any, probed: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Operations:
    monkeypatch.setattr(peer_health, "describe_fences", lambda settings: probed)
    subject = operations()

    def none(package_id: str) -> Any:
        raise AssertionError("no package is asked for")

    async def watch() -> None:
        settings = WorkerSettings(sandbox=sandbox)
        watched = FenceHealth(WorkerHost(none, settings), settings)
        await watched.probe()
        watched.watch(subject)

    asyncio.run(watch())
    return subject


@pytest.mark.parametrize(
    ("missing", "status"),
    [("system calls", HTTPStatus.SERVICE_UNAVAILABLE), ("namespaces", HTTPStatus.OK)],
)
def test_where_the_sandbox_is_required_a_fence_that_does_not_hold_is_unhealthy(
    missing: str, status: HTTPStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed = {**dict.fromkeys(FENCES, HELD), missing: "not on this kernel"}
    found, answer = page(fences("required", probed, monkeypatch))
    assert found == status
    assert "not on this kernel" in answer["components"]["sandbox"]


def test_where_it_is_not_required_nothing_is_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    status, found = page(fences("best-effort", dict.fromkeys(FENCES, "no"), monkeypatch))
    assert status == HTTPStatus.OK
    assert found["components"]["sandbox"] == "best-effort; no contract has run yet"


def test_a_directory_that_is_mounted_read_only_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = operations()
    watch_disk(subject, tmp_path)
    real = os.statvfs(tmp_path)
    values = list(real)
    values[8] = os.ST_RDONLY
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result(values))
    status, found = page(subject)
    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "read-only" in found["failed_checks"][0]["reason"]
