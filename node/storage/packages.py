"""Installed chaincode packages on disk, each under its id.

    DIR/<label>.<sha256>.tar.gz    a package, as it was given (0600, in a directory of 0700)

A package is there completely or not at all: it is written aside, synced, renamed, and the directory
synced, before anybody is told. The file's name carries the digest of its bytes, which is checked
whenever it is read.
"""

import contextlib
import re
from pathlib import Path
from typing import NamedTuple

from tongban.node.core.faults import CorruptLedgerError
from tongban.node.core.lifecycle.availability import package_id_digest
from tongban.node.core.lifecycle.errors import NotDefined
from tongban.node.storage.files import Files, RealFiles, read_whole, write_whole
from tongban.protos.package_format import compute_package_id

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700

_FILE_NAME = re.compile(r"(.+)\.([0-9a-f]{64})\.tar\.gz")


class InstalledPackage(NamedTuple):
    """A package that is on disk."""

    package_id: str
    label: str


class PackageStore:
    """The packages of one peer. One process owns the directory; one thread at a time saves."""

    def __init__(self, directory: Path, files: Files | None = None) -> None:
        """Opens the directory, making it if there is none.

        Raises:
            StorageFailure: the disk refused.
        """
        self._directory = directory
        self._files = files if files is not None else RealFiles()
        self._packages: dict[bytes, InstalledPackage] = {}
        if not self._files.exists(directory):
            self._files.make_dirs(directory, DIRECTORY_MODE)
            self._files.sync_dir(directory.parent)
        for name in self._files.list(directory):
            if (match := _FILE_NAME.fullmatch(name)) is not None:
                self._add(f"{match[1]}:{match[2]}")

    def save(self, label: str, package: bytes) -> str:
        """The package is on disk, durably; returns its id. Saving it again changes nothing.

        Raises:
            StorageFailure: the disk refused; the package is not installed.
        """
        package_id = compute_package_id(label, package)
        if self.has(package_id):
            return package_id
        path = self.path_of(package_id)
        write_whole(self._files, path, package)
        with contextlib.suppress(FileNotFoundError):  # files that are not on this machine's disk
            path.chmod(FILE_MODE)
        self._add(package_id)
        return package_id

    def load(self, package_id: str) -> bytes:
        """The bytes of a package.

        Raises:
            NotDefined: it is not installed.
            CorruptLedgerError: the bytes on disk are not those of this id.
        """
        if not self.has(package_id):
            raise NotDefined(f"chaincode install package '{package_id}' not found")
        path = self.path_of(package_id)
        package = read_whole(self._files, path)
        label = package_id.rpartition(":")[0]
        if compute_package_id(label, package) != package_id:
            raise CorruptLedgerError(
                str(path),
                "the bytes of the package are not those that were installed",
                "Remove the file and install the package again",
            )
        return package

    def has(self, package_id: str) -> bool:
        return package_id_digest(package_id) in self._packages

    def installed(self) -> list[InstalledPackage]:
        """All packages, ascending by id."""
        return sorted(self._packages.values())

    def find_by_digest(self, digest: bytes) -> str | None:
        """The id whose hash an approval left in the state."""
        found = self._packages.get(digest)
        return None if found is None else found.package_id

    def path_of(self, package_id: str) -> Path:
        """Where the package is, or would be."""
        label, _, digest = package_id.rpartition(":")
        return self._directory / f"{label}.{digest}.tar.gz"

    def _add(self, package_id: str) -> None:
        label = package_id.rpartition(":")[0]
        self._packages[package_id_digest(package_id)] = InstalledPackage(package_id, label)
