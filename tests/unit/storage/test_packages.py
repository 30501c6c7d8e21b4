"""Installed packages: there completely or not at all, also after a power loss."""

import stat
from pathlib import Path

import pytest

from tests.support.endorsing import a_package
from tests.support.failing_files import FailingFiles
from tests.support.recording_files import LOSSES, Loss, RecordingFiles, rebuild
from tongban.node.core.faults import CorruptLedgerError, StorageFailure
from tongban.node.core.lifecycle.availability import package_id_digest
from tongban.node.core.lifecycle.errors import NotDefined
from tongban.node.storage.packages import PackageStore


def test_a_package_is_found_again_after_a_restart(tmp_path: Path) -> None:
    directory = tmp_path / "packages"
    store = PackageStore(directory)
    package = a_package("cc_1")
    package_id = store.save("cc_1", package)
    assert store.save("cc_1", package) == package_id
    for opened in (store, PackageStore(directory)):
        assert [entry.package_id for entry in opened.installed()] == [package_id]
        assert opened.load(package_id) == package
        assert opened.find_by_digest(package_id_digest(package_id)) == package_id
        assert opened.find_by_digest(bytes(32)) is None


def test_others_on_the_machine_cannot_read_packages(tmp_path: Path) -> None:
    store = PackageStore(tmp_path / "packages")
    path = store.path_of(store.save("cc_1", a_package("cc_1")))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_package_that_is_not_installed_is_not_found(tmp_path: Path) -> None:
    store = PackageStore(tmp_path / "packages")
    with pytest.raises(NotDefined, match=r"install package '\.\./etc:00' not found"):
        store.load("../etc:00")
    assert not store.has("cc:00")


def test_a_damaged_package_stops_whoever_reads_it(tmp_path: Path) -> None:
    store = PackageStore(tmp_path / "packages")
    package_id = store.save("cc_1", a_package("cc_1"))
    store.path_of(package_id).write_bytes(b"something else")
    with pytest.raises(CorruptLedgerError, match="not those that were installed"):
        store.load(package_id)


@pytest.mark.parametrize("changes", [0, 1])
def test_a_failing_disk_installs_nothing(tmp_path: Path, changes: int) -> None:
    files = FailingFiles()
    store = PackageStore(tmp_path / "packages", files)
    files.changes_left = changes
    with pytest.raises(StorageFailure):
        store.save("cc_1", a_package("cc_1"))
    assert not store.installed()
    assert not PackageStore(tmp_path / "packages").installed()


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_a_power_loss_leaves_whole_packages_and_all_that_were_told(
    tmp_path: Path, loss: Loss
) -> None:
    root = tmp_path / "life"
    root.mkdir()
    files = RecordingFiles(root)
    store = PackageStore(root / "packages", files)
    packages, told = {}, []
    for number in range(3):
        label = f"cc_{number}"
        packages[store.save(label, a_package(label))] = a_package(label)
        told.append(len(files.journal))
    for count in range(len(files.journal) + 1):
        directory = tmp_path / f"after{count}"
        directory.mkdir()
        rebuild(files.journal, count, loss, directory)
        found = PackageStore(directory / "packages")
        for entry in found.installed():
            assert found.load(entry.package_id) == packages[entry.package_id]
        expected = sum(count >= written for written in told)
        assert len(found.installed()) >= expected, f"after {count} entries"
        found.save("later", a_package("later"))
