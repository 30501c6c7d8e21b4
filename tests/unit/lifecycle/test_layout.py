"""How records lie in the state, and how packages are opened."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping

import pytest

from tests.support.endorsing import a_package
from tongban.node.core.lifecycle.definitions import (
    ChaincodeDefinition,
    ChaincodeParameters,
    find_definition,
    read_definition,
)
from tongban.node.core.lifecycle.errors import LifecycleRefused
from tongban.node.core.lifecycle.package import is_package_id, parse_package
from tongban.node.core.lifecycle.state_layout import (
    MalformedRecord,
    Record,
    encode_field,
    find_mismatches,
    implicit_collection,
    implicit_collection_owner,
    read_metadata,
    write_record,
)
from tongban.node.core.memory_state import MemoryState
from tongban.protos.digest import sha256
from tongban.protos.package_format import compute_package_id


class Store:
    """A namespace that notes what was read and written."""

    def __init__(self, values: Mapping[str, bytes] | None = None) -> None:
        self.values = dict(values or {})
        self.reads: list[str] = []
        self.writes: list[str] = []
        self.deletes: list[str] = []

    def get(self, key: str) -> bytes | None:
        self.reads.append(key)
        return self.values.get(key)

    def get_hash(self, key: str) -> bytes | None:
        value = self.get(key)
        return None if value is None else sha256(value)

    def put(self, key: str, value: bytes) -> None:
        self.writes.append(key)
        self.values[key] = value

    def delete(self, key: str) -> None:
        self.deletes.append(key)
        del self.values[key]


A = Record("Thing", {"Number": 1, "Text": "one", "Bytes": b""})


def test_empty_bytes_are_present_with_length_zero() -> None:
    assert encode_field(b"") == bytes.fromhex("1200")
    assert encode_field(0) == bytes.fromhex("0800")
    assert encode_field("") == bytes.fromhex("1a00")


def test_a_new_record_is_written_whole() -> None:
    store = Store()
    write_record("s", "n", A, store)
    assert store.reads == ["s/metadata/n"]
    assert store.writes == [
        "s/fields/n/Number",
        "s/fields/n/Text",
        "s/fields/n/Bytes",
        "s/metadata/n",
    ]


@pytest.mark.parametrize(
    ("record", "writes", "deletes"),
    [
        (A, [], []),
        (Record("Thing", {"Number": 2, "Text": "one", "Bytes": b""}), ["s/fields/n/Number"], []),
        (Record("Other", dict(A.fields)), ["s/metadata/n"], []),
        (
            Record("Thing", {"Number": 1, "Text": "one"}),
            ["s/metadata/n"],
            ["s/fields/n/Bytes"],
        ),
        (
            Record("Thing", {**A.fields, "More": "x"}),
            ["s/fields/n/More", "s/metadata/n"],
            [],
        ),
    ],
)
def test_only_what_changes_is_written(
    record: Record, writes: list[str], deletes: list[str]
) -> None:
    store = Store()
    write_record("s", "n", A, store)
    again = Store(store.values)
    write_record("s", "n", record, again)
    assert (again.writes, again.deletes) == (writes, deletes)
    assert find_mismatches("s", "n", record, again) == []


def test_mismatches_name_the_fields_or_the_type() -> None:
    store = Store()
    write_record("s", "n", A, store)
    other = Record("Thing", {"Number": 2, "Text": "one", "Bytes": b"x"})
    assert find_mismatches("s", "n", other, store) == ["Number", "Bytes"]
    store.reads.clear()
    assert find_mismatches("s", "nobody", other, store) == ["Thing"]
    assert len(store.reads) == 4, "every key is looked at, so that every peer reads the same"


DEFINITION = ChaincodeDefinition(
    3, ChaincodeParameters("1.0", "escc", True, "vscc", b"\x0a\x00", b"")
)


def test_a_definition_is_read_as_it_was_written() -> None:
    store = Store()
    write_record("namespaces", "cc", DEFINITION.to_record(), store)
    assert read_definition(store, "cc") == DEFINITION
    assert find_definition(MemoryState(), "cc") is None


def test_another_type_under_a_chaincodes_name_is_malformed() -> None:
    store = Store()
    write_record("namespaces", "cc", Record("Thing", {"Sequence": 1}), store)
    with pytest.raises(MalformedRecord, match="not a chaincode type: Thing"):
        read_definition(store, "cc")
    store = Store()
    write_record("namespaces", "cc", DEFINITION.to_record(), store)
    store.values["namespaces/fields/cc/Sequence"] = encode_field("three")
    with pytest.raises(MalformedRecord, match="value of type Int64, found String"):
        read_definition(store, "cc")
    assert read_metadata("namespaces", "cc", store) is not None


def test_implicit_collections_name_their_owner() -> None:
    assert implicit_collection_owner(implicit_collection("Org1MSP")) == "Org1MSP"
    assert implicit_collection_owner("Org1MSP") is None


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue())


def a_file(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content


def metadata(**fields: object) -> tuple[tarfile.TarInfo, bytes]:
    return a_file("metadata.json", json.dumps(fields).encode())


def a_link() -> tuple[tarfile.TarInfo, bytes]:
    link = tarfile.TarInfo("link")
    link.type = tarfile.SYMTYPE
    link.linkname = "/etc/passwd"
    return link, b""


def test_a_package_is_known_by_its_label_and_bytes() -> None:
    package = a_package("basic_1")
    opened = parse_package(package)
    assert opened.label == "basic_1"
    assert opened.package_id == compute_package_id("basic_1", package)
    assert is_package_id(opened.package_id)
    assert not is_package_id("basic_1") and not is_package_id(opened.package_id + "0")


@pytest.mark.parametrize(
    ("package", "text"),
    [
        (b"", "error reading as gzip stream: "),
        (b"\x1f\x8b\x08garbage", "error reading as gzip stream: "),
        (a_package()[:-20], "error reading as gzip stream: "),
        (gzip.compress(b"not a tar" * 100), "error inspecting next tar header: "),
        (tar_of(metadata(label="a")), "did not find a code package inside the package"),
        (
            tar_of(a_file("code.tar.gz")),
            "did not find any package metadata (missing metadata.json)",
        ),
        (tar_of(a_link()), "tar entry link is not a regular file, type 2"),
        (
            tar_of(a_file("metadata.json", b"{"), a_file("code.tar.gz")),
            "could not unmarshal metadata.json as json: ",
        ),
        (
            tar_of(metadata(label=5), a_file("code.tar.gz")),
            "could not unmarshal metadata.json as json: label is not a string",
        ),
        (
            tar_of(metadata(label="../../evil"), a_file("code.tar.gz")),
            "invalid label '../../evil'. Label must be non-empty",
        ),
        (tar_of(metadata(label=""), a_file("code.tar.gz")), "invalid label ''. Label must be"),
    ],
)
def test_what_is_no_package_is_refused(package: bytes, text: str) -> None:
    with pytest.raises(LifecycleRefused) as caught:
        parse_package(package)
    assert str(caught.value).startswith(text)
