"""Proposals recorded at real Fabric peers must lead to the same payloads here, byte for byte."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.in_process_host import InProcessHost
from tests.support.pki import make_organization
from tests.support.program import run_program
from tests.support.recorded_peer import (
    ENDORSEMENTS,
    NamedPackages,
    OneChannel,
    RecordedChannel,
    approved_package_ids,
    opened,
    recorded_endorsements,
)
from tongban.node.core.policy import SignatureVerifier
from tongban.node.core.proposal import ClockRules
from tongban.node.core.received import ReceivedProposal
from tongban.node.runtime.access import AccessControl
from tongban.node.runtime.chaincodes import ChaincodeLookup
from tongban.node.runtime.contract_host import ContractHost
from tongban.node.runtime.endorser import Endorser, EndorserOptions
from tongban.node.runtime.syscc import build_system_chaincodes
from tongban.node.runtime.syscc.installer import Installer
from tongban.node.runtime.transaction_run import RunServices
from tongban.node.storage.packages import PackageStore
from tongban.protos.proposal_pb2 import SignedProposal

# The library that reads certificates warns of oddities that it accepts all the same.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Parsed a serial number"),
    pytest.mark.filterwarnings("ignore:Attribute's length"),
]

ANY_TIME = EndorserOptions(clock_rules=ClockRules(time_window=None, refuse_expired=False))


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[RecordedChannel]:
    yield from opened(tmp_path / "ledger")


def make_endorser(
    channel: RecordedChannel, msp_id: str, directory: Path, host: ContractHost | None = None
) -> Endorser:
    """A peer of an organization of the recorded channel. Its own key is new: signatures are not
    recorded, and only its organization matters for what it endorses."""
    channels = OneChannel(channel)
    access = AccessControl(channel.config.msps.msps[msp_id])
    installer = Installer(PackageStore(directory / f"packages-{msp_id}"), channels, msp_id)
    services = RunServices(
        channels=channels,
        access=access,
        chaincodes=ChaincodeLookup(NamedPackages(approved_package_ids()), msp_id),
        host=host or InProcessHost({"": run_program}),
        verifier=SignatureVerifier(),
        system=build_system_chaincodes(channels, access, installer),
    )
    signer = make_organization(msp_id, peers=1).peers[0].signer
    return Endorser(services, signer, ANY_TIME)


async def check_entry(entry: dict[str, Any], endorser: Endorser, answer: dict[str, Any]) -> None:
    data = (ENDORSEMENTS / entry["signed_proposal"]).read_bytes()
    response = await endorser.process(ReceivedProposal(SignedProposal.FromString(data)))
    case = (entry["id"], entry["note"], answer["msp"])
    assert response.response.status == answer["status"], (case, response.response.message)
    assert response.response.message == answer["message"], case
    assert response.response.payload.hex() == answer["response_payload_hex"], case
    expected = b""
    if entry.get("payload"):
        expected = (ENDORSEMENTS / entry["payload"]).read_bytes()
    assert response.payload == expected, case
    assert response.HasField("endorsement") == answer["endorsed"], case


def test_every_recorded_proposal_leads_to_the_recorded_payload(
    channel: RecordedChannel, tmp_path: Path
) -> None:
    endorsers: dict[str, Endorser] = {}
    count = 0
    for entry in sorted(recorded_endorsements(), key=lambda one: one["after_block"]):
        channel.replay_to(entry["after_block"])
        for answer in entry["responses"]:
            msp_id = answer["msp"]
            if msp_id not in endorsers:
                endorsers[msp_id] = make_endorser(channel, msp_id, tmp_path)
            asyncio.run(check_entry(entry, endorsers[msp_id], answer))
        count += 1
    assert count == 48
    assert {tx_id for tx_id, _ in channel.held}, "approvals and private writes are held"
