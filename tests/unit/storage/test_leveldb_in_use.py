"""A directory that another process works on is refused in words that help."""

from pathlib import Path

import pytest

from tongban.node.core.errors import DirectoryInUse
from tongban.node.storage.leveldb import LevelDBStore


def test_a_directory_in_use_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    first = LevelDBStore(tmp_path / "store")
    first.write([(b"k", b"v")], sync=True)
    with pytest.raises(DirectoryInUse, match="stop the node it belongs to"):
        LevelDBStore(tmp_path / "store")
    assert first.get(b"k") == b"v"
    first.close()
    again = LevelDBStore(tmp_path / "store")
    assert again.get(b"k") == b"v"
    again.close()
