"""Chaincode packages: what is in one, and by which id it is known.

A package is a gzipped tar with ``metadata.json`` and ``code.tar.gz``. Its id is its label and the
digest of its bytes, so every peer must be given the same file
(fabric core/chaincode/persistence/chaincode_package.go).
"""

import gzip
import io
import json
import re
import tarfile
import zlib
from typing import NamedTuple

from tongban.node.core.lifecycle.errors import LifecycleRefused
from tongban.protos.digest import sha256

METADATA_FILE = "metadata.json"
CODE_FILE = "code.tar.gz"

UNPACKED_BYTES_MAX = 256 * 1024 * 1024
"""Bytes of a package after decompression; more than the largest message that can carry one, and
little enough that a crafted package does not exhaust memory."""

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", re.ASCII)
_PACKAGE_ID = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.+-]*):([0-9a-f]{64})", re.ASCII)


class ChaincodePackage(NamedTuple):
    """A package, opened."""

    package_id: str
    """``label:sha256``."""

    label: str
    type: str
    """What can run it, as the author wrote it."""

    path: str
    code: bytes
    """The bytes of ``code.tar.gz``."""


def compute_package_id(label: str, package: bytes) -> str:
    return f"{label}:{sha256(package).hex()}"


def is_package_id(text: str) -> bool:
    """Whether the text has the form of a package id."""
    return _PACKAGE_ID.fullmatch(text) is not None


def parse_package(package: bytes) -> ChaincodePackage:
    """Open a package.

    Raises:
        LifecycleRefused: it is not one.
    """
    metadata: bytes | None = None
    code: bytes | None = None
    for name, content in _read_files(package):
        if name == METADATA_FILE:
            metadata = content
        elif name == CODE_FILE:
            code = content
    if code is None:
        raise LifecycleRefused("did not find a code package inside the package")
    if metadata is None:
        raise LifecycleRefused("did not find any package metadata (missing metadata.json)")
    fields = _parse_metadata(metadata)
    label = fields["label"]
    if _LABEL.fullmatch(label) is None:
        raise LifecycleRefused(
            f"invalid label '{label}'. Label must be non-empty, can only consist of alphanumerics, "
            "symbols from '.+-_', and can only begin with alphanumerics"
        )
    return ChaincodePackage(
        compute_package_id(label, package), label, fields["type"], fields["path"], code
    )


def _read_files(package: bytes) -> list[tuple[str, bytes]]:
    try:
        with tarfile.open(fileobj=io.BytesIO(_unzip(package))) as archive:
            files = []
            for member in archive:
                # A sparse file would unpack to more than the archive holds.
                if not member.isreg() or member.issparse():
                    kind = member.type.decode("latin-1")
                    raise LifecycleRefused(
                        f"tar entry {member.name} is not a regular file, type {kind}"
                    )
                opened = archive.extractfile(member)
                assert opened is not None, "a regular file can be opened"
                files.append((member.name, opened.read()))
            return files
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise LifecycleRefused(f"error inspecting next tar header: {error}") from None


def _unzip(package: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(package)) as stream:
            unzipped = stream.read(UNPACKED_BYTES_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise LifecycleRefused(f"error reading as gzip stream: {error}") from None
    if len(unzipped) > UNPACKED_BYTES_MAX:
        raise LifecycleRefused(
            f"the package holds more than {UNPACKED_BYTES_MAX} bytes after decompression"
        )
    return unzipped


def _parse_metadata(content: bytes) -> dict[str, str]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise LifecycleRefused(f"could not unmarshal {METADATA_FILE} as json: {error}") from None
    if not isinstance(fields, dict):
        raise LifecycleRefused(f"could not unmarshal {METADATA_FILE} as json: not an object")
    found = {name: fields.get(name, "") for name in ("label", "type", "path")}
    for name, value in found.items():
        if not isinstance(value, str):
            raise LifecycleRefused(
                f"could not unmarshal {METADATA_FILE} as json: {name} is not a string"
            )
    return found
