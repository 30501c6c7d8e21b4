"""The file contract on this machine's file system, and the format line that opens every store."""

from pathlib import Path

import pytest

from tongban.node.core.faults import CorruptLedgerError, NewerFormatError, StorageFailure
from tongban.node.storage.files import RealFiles, read_whole, write_whole
from tongban.node.storage.format import check_format


def test_what_is_appended_is_read_at_any_place(tmp_path: Path) -> None:
    files = RealFiles()
    path = tmp_path / "f"
    file = files.open_append(path)
    file.write(b"hello ")
    file.write(b"world")
    file.sync()
    assert file.size() == 11
    file.close()
    file = files.open_append(path)
    assert file.size() == 11
    file.write(b"!")
    file.close()
    reader = files.open_read(path)
    assert (reader.size(), reader.read_at(6, 5), reader.read_at(10, 99)) == (12, b"world", b"d!")
    assert reader.read_at(50, 5) == b""
    files.truncate(path, 5)
    assert read_whole(files, path) == b"hello"


def test_the_disk_refusing_is_a_storage_failure_that_says_what_and_where(tmp_path: Path) -> None:
    files = RealFiles()
    absent = tmp_path / "absent"
    for call, operation in (
        (lambda: files.open_read(absent), "open"),
        (lambda: files.open_append(absent / "f"), "open"),
        (lambda: files.truncate(absent, 0), "truncate"),
        (lambda: files.rename(absent, tmp_path / "other"), "rename"),
        (lambda: files.sync_dir(absent), "fsync"),
    ):
        with pytest.raises(StorageFailure, match="No such file or directory") as caught:
            call()
        assert caught.value.operation == operation
        assert str(absent) in caught.value.path
    assert files.list(absent) == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_written_whole_replaces_the_old_one_and_leaves_no_draft(tmp_path: Path) -> None:
    files = RealFiles()
    path = tmp_path / "f"
    path.with_name("f.new").write_bytes(b"a draft that a crash left, longer than the content")
    for content in (b"one", b"two"):
        write_whole(files, path, content)
        assert read_whole(files, path) == content
    assert files.list(tmp_path) == ["f"]


def test_a_new_store_gets_the_format_of_this_release(tmp_path: Path) -> None:
    assert check_format(RealFiles(), tmp_path / "s", "thing", 3) == 3
    assert (tmp_path / "s" / "FORMAT").read_text() == "tongban thing 3\n"
    assert check_format(RealFiles(), tmp_path / "s", "thing", 4) == 3


@pytest.mark.parametrize(
    "line",
    ["", "tongban other 1\n", "tongban thing\n", "tongban thing -1\n", "tongban thing 1 2\n"],
)
def test_another_format_line_is_refused_and_kept(tmp_path: Path, line: str) -> None:
    (tmp_path / "FORMAT").write_text(line)
    with pytest.raises(CorruptLedgerError, match="expected 'tongban thing 1'"):
        check_format(RealFiles(), tmp_path, "thing", 1)
    assert (tmp_path / "FORMAT").read_text() == line


def test_a_newer_format_names_both_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "FORMAT").write_text("tongban thing 12\n")
    with pytest.raises(NewerFormatError, match=r"format 12, .* up to 1\. Start the release that"):
        check_format(RealFiles(), tmp_path, "thing", 1)
