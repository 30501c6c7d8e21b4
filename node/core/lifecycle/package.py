"""Chaincode packages: what is in one, and by which id it is known.

A package is a gzipped tar with ``metadata.json`` and ``code.tar.gz``. Its id is its label and the
digest of its bytes, so every peer must be given the same file
(fabric core/chaincode/persistence/chaincode_package.go).
"""

import json
import re
from typing import NamedTuple

from tongban.node.core.lifecycle.errors import LifecycleRefused
from tongban.protos.errors import MalformedMessage, TongbanError
from tongban.protos.package_format import (
    CODE_FILE,
    METADATA_FILE,
    compute_package_id,
    gunzip,
    is_label,
)
from tongban.protos.tar_format import read_tar

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


def is_package_id(text: str) -> bool:
    """Whether the text has the form of a package id."""
    return _PACKAGE_ID.fullmatch(text) is not None


def parse_package(package: bytes) -> ChaincodePackage:
    """Open a package.

    Raises:
        LifecycleRefused: it is not one.
    """
    files = _read_files(package)
    metadata, code = files.get(METADATA_FILE), files.get(CODE_FILE)
    if code is None:
        raise LifecycleRefused("did not find a code package inside the package")
    if metadata is None:
        raise LifecycleRefused("did not find any package metadata (missing metadata.json)")
    fields = _parse_metadata(metadata)
    label = fields["label"]
    if not is_label(label):
        raise LifecycleRefused(
            f"invalid label '{label}'. Label must be non-empty, can only consist of alphanumerics, "
            "symbols from '.+-_', and can only begin with alphanumerics"
        )
    return ChaincodePackage(
        compute_package_id(label, package), label, fields["type"], fields["path"], code
    )


def _read_files(package: bytes) -> dict[str, bytes]:
    if not package:
        raise LifecycleRefused("error reading as gzip stream: EOF")
    try:
        archive = gunzip(package, "package")
    except TongbanError as error:
        raise LifecycleRefused(f"error reading as gzip stream: {_reason(error)}") from None
    try:
        return read_tar(archive, "package", strict=True)
    except TongbanError as error:
        reason = _reason(error)
        if not reason.startswith("tar entry "):  # an entry that is no file says so itself
            reason = f"error inspecting next tar header: {reason}"
        raise LifecycleRefused(reason) from None


def _reason(error: TongbanError) -> str:
    return error.reason if isinstance(error, MalformedMessage) else str(error)


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
