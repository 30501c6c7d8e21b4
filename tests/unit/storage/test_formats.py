"""Every format that was ever released opens, and holds what was put in."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.format_fixture import HASHED, PRIVATE_SET, RECORDED_BLOCKS
from tests.support.ledger_blocks import NAMESPACE, commit, revalidate
from tests.support.recorded_ledger import Revalidator, recorded_block
from tongban.node.core.commit_input import PrivateSet, StateKey
from tongban.node.core.state import Version, VersionedValue
from tongban.node.ledger.verify import main
from tongban.node.storage.ledger import Ledger
from tongban.node.storage.transient import TransientSet, TransientStore
from tongban.protos.digest import sha256

VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.fixture(params=["ledger-format-1"])
def fixture(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(VECTORS / request.param, tmp_path / "fixture"))


def test_the_recorded_ledger_opens_and_is_sound(fixture: Path) -> None:
    assert CliRunner().invoke(main, [str(fixture / "recorded")]).exit_code == 0
    revalidate_recorded = Revalidator()
    ledger = Ledger.open(fixture / "recorded", revalidate_recorded)
    assert ledger.height == RECORDED_BLOCKS
    blocks = [ledger.get_block(number) for number in range(RECORDED_BLOCKS)]
    assert blocks == [recorded_block(number) for number in range(RECORDED_BLOCKS)]
    with ledger.snapshot() as before:
        block = recorded_block(RECORDED_BLOCKS)
        ledger.commit(revalidate_recorded(RECORDED_BLOCKS, block, before))
    ledger.close()


def test_everything_that_is_stored_is_read(fixture: Path) -> None:
    ledger = Ledger.open(fixture / "features", revalidate)
    assert (ledger.height, ledger.config_block_num, ledger.config_envelope()) == (5, 0, b"config")
    with ledger.snapshot() as snapshot:
        assert [(key, value.value) for key, value in snapshot.scan(NAMESPACE, b"", b"")] == [
            (b"a", b"3"),
            (b"b", b"2"),
            (b"m", b"with metadata"),
            (b"z", b"26"),
        ]
        stored = snapshot.get(NAMESPACE, b"m")
        assert stored == VersionedValue(b"with metadata", Version(3, 0), b"metadata" * 30)
        assert snapshot.find_expired(9) == [StateKey(HASHED, sha256(b"k"))]
        private = snapshot.get_private("cc", "coll", b"k")
        assert private == VersionedValue(b"v", Version(3, 0))
    assert ledger.private_sets(3) == [PrivateSet(0, "cc", "coll", PRIVATE_SET, 9)]
    assert ledger.find_transaction("not hex") == (4, 0, 0)
    past = [(entry.value, entry.is_delete) for entry in ledger.history(NAMESPACE, b"gone")]
    assert past == [(b"", True), (b"x", False)]
    commit(ledger, {"a": b"more"})
    ledger.close()


def test_the_transient_store_opens(fixture: Path) -> None:
    store = TransientStore.open(fixture / "transient")
    assert store.find("waiting") == [TransientSet(4, b"a private set")]
    store.close()
