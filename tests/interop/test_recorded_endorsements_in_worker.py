"""The recorded proposals once more, through the contract library in real worker processes."""

import asyncio
from pathlib import Path

from tests.interop import test_recorded_endorsements as recorded
from tests.support.recorded_peer import RecordedChannel, recorded_endorsements
from tongban.contracts import samples
from tongban.contracts.packaging import build_project
from tongban.node.core.package import parse_python_package
from tongban.node.runtime.endorser import Endorser
from tongban.node.runtime.workers.host import WorkerHost

pytestmark = recorded.pytestmark
channel = recorded.channel


async def _replay(channel: RecordedChannel, directory: Path, host: WorkerHost) -> int:
    endorsers: dict[str, Endorser] = {}
    count = 0
    for entry in sorted(recorded_endorsements(), key=lambda one: one["after_block"]):
        channel.replay_to(entry["after_block"])
        for answer in entry["responses"]:
            msp_id = answer["msp"]
            if msp_id not in endorsers:
                endorsers[msp_id] = recorded.make_endorser(channel, msp_id, directory, host)
            await recorded.check_entry(entry, endorsers[msp_id], answer)
        count += 1
    return count


def test_the_sample_program_leads_to_the_recorded_payloads(
    channel: RecordedChannel, tmp_path: Path
) -> None:
    folder = Path(samples.__path__[0]) / "program"
    package = parse_python_package(build_project(folder).content)

    async def main() -> int:
        host = WorkerHost(lambda _: package)
        try:
            return await _replay(channel, tmp_path, host)
        finally:
            await host.close()

    assert asyncio.run(main()) == 48
