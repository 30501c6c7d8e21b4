"""The events sample, as Fabric's sample application uses it."""

import json

import pytest

from tongban.contracts import ContractError
from tongban.contracts.samples.asset_transfer_events.asset_transfer_events import (
    AssetTransferEvents,
)
from tongban.contracts.testing import DeployedContract, Ledger

CREATED = b'{"AppraisedValue":100,"Color":"blue","ID":"asset1","Owner":"Sam","Size":10}'
UPDATED = CREATED.replace(b"100", b"200")
TRANSFERRED = UPDATED.replace(b"Sam", b"Mary")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def events(ledger: Ledger) -> DeployedContract:
    return ledger.deploy(AssetTransferEvents, name="events")


def test_every_change_is_an_event_with_the_asset(ledger: Ledger, events: DeployedContract) -> None:
    assert events.submit("CreateAsset", "asset1", "blue", "10", "Sam", "100") == b""
    assert events.evaluate("ReadAsset", "asset1") == CREATED
    assert events.submit("UpdateAsset", "asset1", "blue", "10", "Sam", "200") == b""
    assert events.submit("TransferAsset", "asset1", "Mary") == b"Sam"
    assert events.evaluate("ReadAsset", "asset1") == TRANSFERRED
    assert events.submit("DeleteAsset", "asset1") == b""
    assert [(event.name, event.payload) for event in ledger.events] == [
        ("CreateAsset", CREATED),
        ("UpdateAsset", UPDATED),
        ("TransferAsset", TRANSFERRED),
        ("DeleteAsset", TRANSFERRED),
    ]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (("CreateAsset", "asset1", "red", "1", "Tom", "1"), "the asset asset1 already exists"),
        (("ReadAsset", "asset2"), "the asset asset2 does not exist"),
        (("UpdateAsset", "asset2", "red", "1", "Tom", "1"), "the asset asset2 does not exist"),
        (("TransferAsset", "asset2", "Tom"), "the asset asset2 does not exist"),
        (("DeleteAsset", "asset2"), "the asset asset2 does not exist"),
    ],
)
def test_a_refused_change_is_no_event(
    ledger: Ledger, events: DeployedContract, call: tuple[str, ...], text: str
) -> None:
    events.submit("CreateAsset", "asset1", "blue", "10", "Sam", "100")
    with pytest.raises(ContractError) as refusal:
        events.submit(*call)
    assert str(refusal.value) == text and refusal.value.status == 500
    assert [event.name for event in ledger.events] == ["CreateAsset"]
    assert json.loads(events.evaluate("ReadAsset", "asset1"))["Owner"] == "Sam"
