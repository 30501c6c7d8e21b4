"""What ends a node, and with which exit code."""

import asyncio
import os
import signal

import pytest

from tongban.node.core.faults import CorruptLedgerError
from tongban.node.runtime import supervisor as supervisor_module
from tongban.node.runtime.supervisor import EXIT_FAULT, EXIT_STOPPED, Supervisor


@pytest.fixture(autouse=True)
def no_hard_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "_end_hard_after", lambda seconds, supervisor: None)


async def _forever() -> None:
    await asyncio.Event().wait()


async def _raises(error: Exception) -> None:
    raise error


async def _returns() -> None:
    return


def run(
    *, fault: Exception | None = None, returns: bool = False, kill: bool = False
) -> list[object]:
    """The exit code, whether it was drained, and what failed."""

    async def work() -> list[object]:
        subject = Supervisor()
        drained: list[bool] = []

        async def drain() -> None:
            drained.append(True)

        waiting = subject.start("wait", _forever())
        if fault is not None:
            subject.start("fail", _raises(fault))
        if returns:
            subject.start("return", _returns())
        if kill:
            asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            code = await subject.run(drain)
        assert waiting.cancelled()
        return [code, bool(drained), subject.failed]

    return asyncio.run(work())


def test_a_signal_drains_and_stops() -> None:
    assert run(kill=True) == [EXIT_STOPPED, True, None]


def test_a_task_that_raises_stops_the_node_without_a_drain() -> None:
    fault = CorruptLedgerError("/ledger", "bad", "restore")
    assert run(fault=fault) == [EXIT_FAULT, False, fault]


def test_a_task_that_ends_is_a_fault() -> None:
    code, drained, failed = run(returns=True)
    assert (code, drained) == (EXIT_FAULT, False)
    assert "the task return ended" in str(failed)


def test_the_first_fault_counts_and_a_failing_drain_is_one() -> None:
    async def work() -> None:
        subject = Supervisor()

        async def drain() -> None:
            raise AssertionError("while draining")

        subject.stop()
        async with asyncio.timeout(5):
            assert await subject.run(drain) == EXIT_FAULT
        subject.fault(AssertionError("later"))
        assert str(subject.failed) == "while draining"

    asyncio.run(work())


def test_a_drain_that_hangs_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor_module, "STOP_SECONDS_MAX", 1.05)

    async def work() -> None:
        subject = Supervisor()
        subject.stop()
        async with asyncio.timeout(5):
            assert await subject.run(_forever) == EXIT_STOPPED

    asyncio.run(work())
