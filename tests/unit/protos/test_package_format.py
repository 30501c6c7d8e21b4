"""Packages: one set of bytes for one set of files, and a reader that nobody can hurt."""

import gzip
import io
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongban.protos.errors import LimitExceeded, MalformedMessage, TongbanError
from tongban.protos.package_format import (
    PACKAGE_BYTES_MAX,
    UNPACKED_BYTES_MAX,
    build_package,
    compute_package_id,
    gunzip,
    parse_code,
    parse_package,
    to_stored_gzip,
)
from tongban.protos.tar_format import FILES_MAX, read_tar, write_tar

METADATA = {"label": "basic_1.0", "type": "tongban-python", "path": ""}
FILES = {"b.py": b"x = 1\n", "a/__init__.py": b"", "\u5305/c.py": b"# \xe4\xb8\xad\n" * 20_000}
KNOWN_ID = "basic_1.0:3107801d1a3a6c7e28ca476e30075fe23c65030e1adce019eb5e7d63ce2fc953"
"""Of METADATA and FILES, for good: whoever changes it renames every installed contract."""


def test_the_same_files_have_this_id_on_every_machine() -> None:
    package = build_package(METADATA, FILES)
    assert compute_package_id("basic_1.0", package) == KNOWN_ID
    again = dict(reversed(FILES.items()))
    assert build_package(dict(reversed(METADATA.items())), again) == package


def test_common_tools_read_what_we_write() -> None:
    package = build_package(METADATA, FILES)
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as outer:
        assert outer.getnames() == ["code.tar.gz", "metadata.json"]
        code = outer.extractfile("code.tar.gz")
        assert code is not None
        with tarfile.open(fileobj=io.BytesIO(code.read()), mode="r:gz") as inner:
            members = inner.getmembers()
            assert [member.name for member in members] == ["a/__init__.py", "b.py", "包/c.py"]
            assert {(m.mode, m.uid, m.gid, m.mtime, m.uname) for m in members} == {
                (0o644, 0, 0, 0, "")
            }


def test_a_package_reads_back() -> None:
    package = parse_package(build_package(METADATA | {"api": 1}, FILES))
    assert (package.label, package.type, package.path) == ("basic_1.0", "tongban-python", "")
    assert package.metadata["api"] == 1
    assert parse_code(package.code) == FILES


@pytest.mark.parametrize("size", [0, 1, 65_534, 65_535, 65_536, 131_070, 131_071])
def test_stored_gzip_is_gzip(size: int) -> None:
    data = bytes(index % 251 for index in range(size))
    assert gzip.decompress(to_stored_gzip(data)) == data
    assert gunzip(to_stored_gzip(data), "it") == data


@pytest.mark.parametrize("label", ["", "_x", "a b", "a/b", "ä", "a\n", ".x", None, 7])
def test_a_label_that_go_peers_refuse_is_refused(label: object) -> None:
    with pytest.raises(MalformedMessage):
        build_package(METADATA | {"label": label}, FILES)


@pytest.mark.parametrize(
    "path", ["/a", "../a", "a/../b", "a//b", "./a", "a/", "", "a\\b", "c:a", "a\x00", "a\nb"]
)
def test_a_path_that_could_leave_its_folder_is_refused(path: str) -> None:
    with pytest.raises(MalformedMessage):
        write_tar({path: b""})


def test_a_path_longer_than_ustar_holds_is_refused() -> None:
    with pytest.raises(MalformedMessage):
        write_tar({"x" * 101: b""})
    assert read_tar(write_tar({"d" * 155 + "/" + "f" * 99: b"1"}), "it")
    with pytest.raises(LimitExceeded):
        write_tar({"d" * 155 + "/" + "f" * 100: b""})


def archive(add: Callable[[tarfile.TarFile], None], kind: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as tar:
        add(tar)
    return buffer.getvalue()


def entry(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.size, info.linkname, info.mtime = kind, len(data), link, 1.25
        tar.addfile(info, io.BytesIO(data))

    return archive(add)


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_archives_of_other_tools_are_read(kind: int) -> None:
    name = "folder/" * 12 + "n" * 60 + ".json"

    def add(tar: tarfile.TarFile) -> None:
        folder = tarfile.TarInfo("./folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        info = tarfile.TarInfo("./" + name)
        info.size = 2
        tar.addfile(info, io.BytesIO(b"{}"))

    assert read_tar(archive(add, kind), "it") == {name: b"{}"}


@pytest.mark.parametrize(
    "data",
    [
        entry("link", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        entry("link", kind=tarfile.LNKTYPE, link="x"),
        entry("device", kind=tarfile.CHRTYPE),
        entry("pipe", kind=tarfile.FIFOTYPE),
        entry("../../etc/cron.d/x", b"x"),
        entry("/etc/passwd", b"x"),
        write_tar({"a": b"1"})[:300],
        entry("a", b"1" * 600)[: 2048 - 400],
        b"\x01" * 512,
        b"short",
    ],
    ids=["symlink", "hardlink", "device", "pipe", "up", "root", "cut", "cut2", "sum", "short"],
)
def test_an_archive_that_could_hurt_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_tar(data, "it")


def test_a_file_that_is_there_twice_is_refused() -> None:
    one = write_tar({"a": b"1"})[:-1024]
    with pytest.raises(MalformedMessage, match="twice"):
        read_tar(one + write_tar({"a": b"2"}), "it")


def test_a_bomb_is_refused() -> None:
    bomb = gzip.compress(bytes(UNPACKED_BYTES_MAX + 1), compresslevel=9)
    with pytest.raises(LimitExceeded):
        gunzip(bomb, "it")
    with pytest.raises(LimitExceeded):
        gunzip(gzip.compress(bytes(UNPACKED_BYTES_MAX)) + gzip.compress(b"x"), "it")
    with pytest.raises(LimitExceeded):
        parse_package(bytes(PACKAGE_BYTES_MAX + 1))
    with pytest.raises(LimitExceeded):
        read_tar(write_tar({str(n): b"" for n in range(FILES_MAX + 1)}), "it")


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"metadata.json": b"{}"},
        {"code.tar.gz": b""},
        {"metadata.json": b"[]", "code.tar.gz": b""},
        {"metadata.json": b"{", "code.tar.gz": b""},
        {"metadata.json": b"[" * 100_000, "code.tar.gz": b""},
        {"metadata.json": b'{"label":"a b"}', "code.tar.gz": b""},
        {"metadata.json": b'{"label":7}', "code.tar.gz": b""},
    ],
    ids=repr,
)
def test_what_lacks_a_part_is_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(MalformedMessage):
        parse_package(to_stored_gzip(write_tar(files)))


@given(st.binary(max_size=2_000))
def test_random_bytes_are_refused(data: bytes) -> None:
    for wrapped in (data, to_stored_gzip(data)):
        with pytest.raises(TongbanError):
            parse_package(wrapped)


@given(st.integers(0, 1023), st.integers(0, 255))
def test_a_flipped_byte_is_refused_or_harmless(at: int, value: int) -> None:
    data = bytearray(write_tar({"a.py": b"1", "b.py": b"2"}))
    data[at] = value
    try:
        files = read_tar(bytes(data), "it")
    except TongbanError:
        return
    assert all(".." not in path and not path.startswith("/") for path in files)


NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\:"), min_size=1)


@given(
    st.dictionaries(
        NAMES.filter(lambda name: name not in (".", "..") and len(name) < 25), st.binary()
    )
)
def test_what_is_written_is_read(files: dict[str, bytes]) -> None:
    assert read_tar(write_tar(files), "it", strict=True) == files
