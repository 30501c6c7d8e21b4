"""The sample, as Fabric's sample applications use it."""

import json

import pytest

from tongban.contracts import ContractError
from tongban.contracts.samples.asset_transfer.asset_transfer import AssetTransfer
from tongban.contracts.testing import DeployedContract, Ledger

ALL = (
    "["
    + ",".join(
        f'{{"AppraisedValue":{value},"Color":"{color}","ID":"{id}","Owner":"{owner}","Size":{size},'
        '"docType":"asset"}'
        for id, color, size, owner, value in (
            ("asset1", "blue", 5, "Tomoko", 300),
            ("asset2", "red", 5, "Brad", 400),
            ("asset3", "green", 10, "Jin Soo", 500),
            ("asset4", "yellow", 10, "Max", 600),
            ("asset5", "black", 15, "Adriana", 700),
            ("asset6", "white", 15, "Michel", 800),
        )
    )
    + "]"
)


def test_an_asset_changes_hands() -> None:
    ledger = Ledger()
    contract = ledger.deploy(AssetTransfer)
    contract.CreateAsset("a1", "blue", 5, "Tom", 100)
    assert contract.TransferAsset("a1", "金秀") == "Tom"
    assert json.loads(contract.ReadAsset("a1"))["Owner"] == "金秀"


@pytest.fixture
def basic() -> DeployedContract:
    return Ledger().deploy(AssetTransfer, name="basic")


def test_the_first_assets_are_those_of_the_official_sample(basic: DeployedContract) -> None:
    assert basic.submit("InitLedger") == b""
    assert basic.evaluate("GetAllAssets").decode() == ALL


def test_the_sample_applications_calls_get_the_official_answers(basic: DeployedContract) -> None:
    assert basic.evaluate("GetAllAssets") == b"[]"
    assert basic.submit("CreateAsset", "asset7", "yellow", "5", "Tom", "1300") == b""
    assert basic.submit("TransferAsset", "asset7", "Saptha") == b"Tom"
    assert basic.evaluate("ReadAsset", "asset7") == (
        b'{"AppraisedValue":1300,"Color":"yellow","ID":"asset7","Owner":"Saptha","Size":5}'
    )
    assert basic.submit("UpdateAsset", "asset7", "red", "6", "Ann", "1") == b""
    assert basic.evaluate("AssetExists", "asset7") == b"true"
    assert basic.submit("DeleteAsset", "asset7") == b""
    assert basic.evaluate("AssetExists", "asset7") == b"false"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (("CreateAsset", "asset1", "blue", "5", "Tom", "1"), "The asset asset1 already exists"),
        (("ReadAsset", "asset70"), "The asset asset70 does not exist"),
        (("UpdateAsset", "asset70", "blue", "5", "T", "3"), "The asset asset70 does not exist"),
        (("DeleteAsset", "asset70"), "The asset asset70 does not exist"),
        (("TransferAsset", "asset70", "Ann"), "The asset asset70 does not exist"),
        (("CreateAsset", "asset1"), "Expected 5 parameters, but 1 have been supplied"),
        (("NoSuch",), "You've asked to invoke a function that does not exist: NoSuch"),
    ],
)
def test_a_refusal_has_the_official_text_and_changes_nothing(
    basic: DeployedContract, call: tuple[str, ...], text: str
) -> None:
    basic.submit("InitLedger")
    with pytest.raises(ContractError) as refusal:
        basic.submit(*call)
    assert str(refusal.value) == text and refusal.value.status == 500
    assert basic.evaluate("GetAllAssets").decode() == ALL
